"""Feeds: items are published to any number of subscriptions.

A :class:`Feed` is written to by one part of the program and read by any number of subscriptions.
Publishing never waits: each subscription keeps a bounded number of items, drops the oldest when it
is full, and counts the dropped ones.

The meaning of the items is not decided here, and no thread is started: ``publish`` runs in the
caller, ``get`` in the subscriber. Any thread may call any method.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from typing import Generic, TypeVar

from p2p import forks
from p2p.arguments import check_int
from p2p.clock import checked_timeout
from p2p.errors import Closed, ServerStopped, Timeout
from p2p.latch import Condition

#: Default limit on the items that a subscription keeps: a second or so of a busy server.
DEFAULT_CAPACITY = 1000

T = TypeVar("T")


class Subscription(Generic[T]):
    """One reader's view of a feed; made by :meth:`Feed.subscribe`.

    Iterate over it, or call :meth:`get`. Several threads may read it; each item goes to one of
    them. Close it when done (or use a ``with`` block), or the feed keeps filling it.
    """

    def __init__(self, feed: Feed[T], capacity: int) -> None:
        # fixed after __init__
        self._feed = feed
        # guarded by _changed
        self._changed = Condition()
        self._items: deque[T] = deque(maxlen=capacity)
        self._lost = 0
        self._closed = False
        self._is_stopped = False  # by the feed
        self._cause: BaseException | None = None

    @property
    def lost(self) -> int:
        """Number of items dropped, oldest first, because they were not read in time."""
        return self._lost

    def get(self, timeout: float | None = None) -> T:
        """Return the oldest item; wait for one at most ``timeout`` seconds (None: without limit).

        Raises :class:`Timeout` when the time is up, :class:`Closed` when the subscription was
        closed, and :class:`ServerStopped` when the feed was closed and all its items have been
        read. If a fault closed it, that is the exception's ``__cause__``. Raises
        :class:`ArgumentError` for a time that is not a number, and :class:`WrongProcess` in a child
        of the process that runs the server.
        """
        timeout = checked_timeout(timeout)
        self._feed.check_process("subscription")
        with self._changed:
            if not self._changed.wait_for(lambda: self._items or self._closed, timeout):
                raise Timeout(f"no event within {timeout:g} s")
            if self._items:
                return self._items.popleft()
            is_stopped, cause = self._is_stopped, self._cause
        if is_stopped:
            raise ServerStopped("no more events: the server has stopped") from cause
        raise Closed("no more events: the subscription is closed")

    def close(self) -> None:
        """Unsubscribe; drops the unread items and wakes waiting readers. Idempotent."""
        if not self._feed.is_here:
            return
        self._feed._remove(self)
        with self._changed:
            self._closed = True
            self._items.clear()
            self._changed.notify_all()

    def __repr__(self) -> str:
        state = "closed" if self._closed else "open"
        return f"<Subscription, {state}, {len(self._items)} unread, {self._lost} lost>"

    def _put(self, item: T) -> None:
        with self._changed:
            if self._closed:
                return
            if len(self._items) == self._items.maxlen:
                self._lost += 1  # the append below drops the oldest
            self._items.append(item)
            self._changed.notify()

    def _end(self, cause: BaseException | None) -> None:
        with self._changed:
            if not self._closed:
                self._closed = self._is_stopped = True
                self._cause = cause
            self._changed.notify_all()

    def __iter__(self) -> Subscription[T]:
        return self

    def __next__(self) -> T:
        """Return the next item; the iteration ends when the feed is closed.

        If a fault closed it, :class:`ServerStopped` is raised instead, since a loop that just ends
        would hide the fault.
        """
        try:
            return self.get()
        except Closed as closed:
            if closed.__cause__ is not None:
                raise
        raise StopIteration

    def __enter__(self) -> Subscription[T]:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class Feed(Generic[T]):
    """A publisher of items, each to all subscriptions that exist at that time."""

    def __init__(self) -> None:
        # guarded by _lock for writing; read without it: the tuple is replaced, never changed
        self._lock = threading.Lock()
        self._subscriptions: tuple[Subscription[T], ...] = ()
        # guarded by _lock
        self._closed = False
        self._cause: BaseException | None = None
        # set once, before anything is published
        self._process: forks.Process | None = None

    def begin(self) -> None:
        """Record that this process publishes; in a child of it there is nothing to read."""
        self._process = forks.here

    @property
    def is_here(self) -> bool:
        """Whether this process publishes, or no process does yet."""
        return self._process is None or self._process.is_here

    def check_process(self, what: str) -> None:
        """Raise WrongProcess, about ``what``, in a child of the process that publishes."""
        if self._process is not None:
            self._process.check(what)

    def subscribe(self, capacity: int = DEFAULT_CAPACITY) -> Subscription[T]:
        """Return a subscription that keeps at most ``capacity`` unread items.

        On a feed that is closed the subscription is closed from the start. Raises
        :class:`ArgumentError` when ``capacity`` is not a positive int.
        """
        check_int("capacity", capacity, 1, sys.maxsize, "an int of at least 1")
        subscription = Subscription(self, capacity)
        with self._lock:
            closed, cause = self._closed, self._cause
            if not closed:
                self._subscriptions += (subscription,)
        if closed:
            subscription._end(cause)
        return subscription

    @property
    def has_subscriptions(self) -> bool:
        """Whether there is a subscription at this moment."""
        return bool(self._subscriptions)

    def publish(self, item: T) -> None:
        """Add ``item`` to every subscription. Never waits for a reader; any thread."""
        for subscription in self._subscriptions:
            subscription._put(item)

    def close(self, error: BaseException | None = None) -> None:
        """End every subscription once its unread items have been read.

        ``error`` is the fault behind it, or None for an orderly end. Further calls do nothing.
        """
        with self._lock:
            if self._closed:
                return
            self._closed, self._cause = True, error
            ended, self._subscriptions = self._subscriptions, ()
        for subscription in ended:
            subscription._end(error)

    def _remove(self, subscription: Subscription[T]) -> None:
        with self._lock:
            self._subscriptions = tuple(
                other for other in self._subscriptions if other is not subscription
            )
