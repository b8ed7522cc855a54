"""Feeds: what happens is told to whoever asked to hear of it.

A :class:`Feed` is written to by one part of the program and read by any number of subscriptions.
Telling never waits: each subscription keeps a bounded number of items, lets the oldest go when it
is full, and counts how many it lost. :class:`PeerEvent` is the item that the server tells.

It does not own what the items mean, and it does not start a thread: ``publish`` runs in the caller,
``get`` in the subscriber. Any thread may call any method here.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, Literal, TypeVar

from p2p.clock import checked_timeout
from p2p.errors import ConfigError, ReadTimeout, ServerStopped

#: Items a subscription keeps unless told otherwise: a second or so of a busy server.
DEFAULT_CAPACITY = 1000

PeerEventType = Literal["add", "drop", "msgsend", "msgrecv"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PeerEvent:
    """A peer came or went, or a message passed.

    ``type`` is "add", "drop", "msgsend" or "msgrecv"; ``peer`` the 32-byte node ID. ``error`` says
    why a peer was dropped. ``protocol``, ``msg_code`` and ``msg_size`` (bytes of the payload)
    belong to messages. ``local`` and ``remote`` are "ip:port".
    """

    type: PeerEventType
    peer: bytes
    error: str = ""
    protocol: str = ""
    msg_code: int | None = None
    msg_size: int | None = None
    local: str = ""
    remote: str = ""

    def to_json(self) -> dict[str, str | int]:
        """The event under the keys go-ethereum uses, what is empty left out.

        A message code of 0 stays: it is a code like any other.
        """
        event: dict[str, str | int] = {"type": self.type, "peer": self.peer.hex()}
        optional = {
            "error": self.error or None,
            "protocol": self.protocol or None,
            "msg_code": self.msg_code,
            "msg_size": self.msg_size,
            "local": self.local or None,
            "remote": self.remote or None,
        }
        event.update({key: value for key, value in optional.items() if value is not None})
        return event


class Subscription(Generic[T]):
    """One reader's view of a feed; made by :meth:`Feed.subscribe`.

    Iterate over it, or call :meth:`get`. Several threads may read it; each item goes to one of
    them. Close it when done (or use it in a ``with`` block), or the feed keeps filling it.
    """

    def __init__(self, feed: Feed[T], capacity: int) -> None:
        # fixed after __init__
        self._feed = feed
        # guarded by _changed
        self._changed = threading.Condition(threading.Lock())
        self._items: deque[T] = deque(maxlen=capacity)
        self._lost = 0
        self._closed = False
        self._cause: BaseException | None = None

    @property
    def lost(self) -> int:
        """How many items were let go, oldest first, because nobody read them in time."""
        return self._lost

    def get(self, timeout: float | None = None) -> T:
        """Return the oldest item; wait for one at most ``timeout`` seconds (None: for ever).

        Raises :class:`ReadTimeout` when the time is up, and :class:`ServerStopped` when the feed
        is closed and everything it told has been read. If a fault closed it, that is the
        exception's ``__cause__``. Raises :class:`ConfigError` for a time that is no number.
        """
        timeout = checked_timeout(timeout)
        with self._changed:
            if not self._changed.wait_for(lambda: self._items or self._closed, timeout):
                raise ReadTimeout(f"no event within {timeout:g} s")
            if self._items:
                return self._items.popleft()
            cause = self._cause
        raise ServerStopped("no more events: the subscription is closed") from cause

    def close(self) -> None:
        """Stop listening; items not yet read are forgotten and waiting readers wake."""
        self._feed._forget(self)
        with self._changed:
            self._closed = True
            self._items.clear()
            self._changed.notify_all()

    def _put(self, item: T) -> None:
        with self._changed:
            if self._closed:
                return
            if len(self._items) == self._items.maxlen:
                self._lost += 1  # the append below pushes the oldest out
            self._items.append(item)
            self._changed.notify()

    def _end(self, cause: BaseException | None) -> None:
        with self._changed:
            if not self._closed:
                self._closed = True
                self._cause = cause
            self._changed.notify_all()

    def __iter__(self) -> Subscription[T]:
        return self

    def __next__(self) -> T:
        """The next item; the iteration ends when the feed is closed.

        If a fault closed it, :class:`ServerStopped` is raised instead, for a loop that just ends
        would hide the fault.
        """
        try:
            return self.get()
        except ServerStopped as stopped:
            if stopped.__cause__ is not None:
                raise
        raise StopIteration

    def __enter__(self) -> Subscription[T]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class Feed(Generic[T]):
    """Tells each item to every subscription that exists when it is published."""

    def __init__(self) -> None:
        # guarded by _lock for writing; read without it, for the tuple is replaced, never changed
        self._lock = threading.Lock()
        self._subscriptions: tuple[Subscription[T], ...] = ()
        # guarded by _lock
        self._closed = False
        self._cause: BaseException | None = None

    def subscribe(self, capacity: int = DEFAULT_CAPACITY) -> Subscription[T]:
        """Return a subscription that keeps at most ``capacity`` unread items.

        On a feed that is closed the subscription is closed from the start. Raises
        :class:`ConfigError` when ``capacity`` is not a positive int.
        """
        if type(capacity) is not int or capacity < 1:
            raise ConfigError(f"capacity: wanted an int of at least 1, got {capacity!r}")
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
        """Whether anybody listens at this moment."""
        return bool(self._subscriptions)

    def publish(self, item: T) -> None:
        """Tell ``item`` to every subscription. Never waits for a reader; any thread."""
        for subscription in self._subscriptions:
            subscription._put(item)

    def close(self, error: BaseException | None = None) -> None:
        """End every subscription once its reader has read what is there.

        ``error`` is the fault behind it, or None for an orderly end. Further calls do nothing.
        """
        with self._lock:
            if self._closed:
                return
            self._closed, self._cause = True, error
            ended, self._subscriptions = self._subscriptions, ()
        for subscription in ended:
            subscription._end(error)

    def _forget(self, subscription: Subscription[T]) -> None:
        with self._lock:
            self._subscriptions = tuple(
                other for other in self._subscriptions if other is not subscription
            )
