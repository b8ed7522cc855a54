"""The bounded queue through which messages pass between the I/O thread and the workers.

A mailbox has two sides. Workers use the blocking one: :meth:`Mailbox.put` and :meth:`Mailbox.get`,
any number of threads each. The I/O thread uses the other, which never waits: :meth:`Mailbox.offer`
and :meth:`Mailbox.take`. An inbox has ``offer`` and ``get``, an outbox ``put`` and ``take``, a
direction of a message pipe ``put`` and ``get``.

Items are tuples whose second member is the payload. The bound counts bytes: a mailbox is full when
it has ``LIMIT_BYTES`` or more, and has room again when it is down to a quarter, so that neither
side is woken for every message. One item of any size fits into a mailbox that is not full.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from p2p import forks
from p2p.clock import Deadline, checked_timeout
from p2p.errors import P2PError, Timeout

#: Bytes at which a mailbox is full. Large enough for the I/O thread and a worker to take turns of
#: some milliseconds, the interval at which the interpreter lock passes between them.
LIMIT_BYTES = 1024 * 1024
#: Low mark: a full mailbox has room again at this number of bytes.
ROOM_AGAIN_BYTES = LIMIT_BYTES // 4
#: Memory of an item besides its payload: tuple, bytes object, slot in the queue.
ITEM_BYTES = 128

Item = tuple[Any, ...]


class Mailbox:
    """A queue of messages, bounded by bytes.

    It belongs to the process that made it: in a child WrongProcess is raised (:mod:`p2p.forks`).
    ``on_items`` is called when a put finds the mailbox empty of items not yet announced, and
    ``on_room`` when a full one has room again; both from the thread that caused it, without a lock.
    """

    def __init__(
        self,
        on_items: Callable[[], object] | None = None,
        on_room: Callable[[], object] | None = None,
    ) -> None:
        # fixed after __init__
        self._on_items = on_items
        self._on_room = on_room
        self._process = forks.here
        # An RLock is released only by its owner, not by a reader whose wait a Ctrl-C has ended.
        self._lock = threading.RLock()
        # guarded by _lock
        self._items: deque[Item] = deque()
        self._size = 0
        self._full = False
        self._announced = False
        # a locked lock for each waiting thread, the longest waiting first
        self._readers: list[threading.Lock] = []
        self._writers: list[threading.Lock] = []
        self._gets = 0
        self._make_error: Callable[[], P2PError] | None = None

    # the blocking side: any thread but the I/O thread

    def put(self, item: Item, timeout: float | None = None) -> None:
        """Add an item; waits while the mailbox is full, at most ``timeout`` seconds.

        Raises Timeout, or the error of :meth:`close`.
        """
        if self._process is not forks.here:
            raise self._process.error("connection")
        with self._lock:
            if self._full:
                self._wait_for_room_locked(timeout)
            make_error = self._make_error
            if make_error is None:
                self._items.append(item)
                self._size += len(item[1]) + ITEM_BYTES
                if self._size >= LIMIT_BYTES:
                    self._full = True
                if self._readers:
                    _wake(self._readers, 1)
                announced, self._announced = self._announced, True
        if make_error is not None:
            raise make_error()
        if not announced and self._on_items is not None:
            self._on_items()

    def get(self, timeout: float | None = None) -> Item:
        """Remove and return the oldest item; waits for one, at most ``timeout`` seconds.

        Raises Timeout, or, once there are no more items, the error of :meth:`close`.
        """
        if timeout is not None:
            timeout = checked_timeout(timeout)
        if self._process is not forks.here:
            raise self._process.error("connection")
        with self._lock:
            item, room = None, False
            if self._items or self._wait_for_items_locked(timeout):
                item = self._items.popleft()
                self._gets += 1
                self._size -= len(item[1]) + ITEM_BYTES
                room = self._full and self._makes_room_locked()
        if item is None:
            raise self.error or Timeout(f"no message within {timeout:g} s")
        if room and self._on_room is not None:
            self._on_room()
        return item

    # the side that never waits: the I/O thread

    def offer(self, items: Sequence[Item], payload_bytes: int | None = None) -> bool:
        """Add items, even to a full mailbox. Returns whether there is room for more.

        ``payload_bytes`` is the size of their payloads together, if it is known. A closed mailbox
        drops them, since they have no reader.
        """
        if payload_bytes is None:
            payload_bytes = sum(len(item[1]) for item in items)
        with self._lock:
            if self._make_error is not None:
                return True
            self._items.extend(items)
            self._size += payload_bytes + ITEM_BYTES * len(items)
            if self._size >= LIMIT_BYTES:
                self._full = True
            if self._readers:
                _wake(self._readers, len(items))
            return not self._full

    def take(self, max_bytes: int) -> list[Item]:
        """Remove and return the oldest items, about ``max_bytes`` in sum, at least one if any.

        When that leaves the mailbox empty, ``on_items`` is called for the next item.
        """
        with self._lock:
            items = self._items
            if self._size <= max_bytes:
                taken = list(items)
                items.clear()
                size = self._size
            else:
                taken, size = [], 0
                while size < max_bytes:
                    item = items.popleft()
                    taken.append(item)
                    size += len(item[1]) + ITEM_BYTES
            if not items:
                self._announced = False
            self._size -= size
            room = self._full and self._makes_room_locked()
        if room and self._on_room is not None:
            self._on_room()
        return taken

    # any thread

    def close(self, make_error: Callable[[], P2PError], *, discard: bool) -> None:
        """Refuse further items and wake all waiting threads.

        ``make_error`` makes the error that each of them raises; only the first call sets it.
        ``discard`` drops the unread items; otherwise :meth:`get` and :meth:`take` still return
        them.
        """
        if self._process is not forks.here:
            return
        with self._lock:
            if self._make_error is None:
                self._make_error = make_error
            if discard:
                self._items.clear()
                self._size = 0
                self._full = False
            _wake(self._readers, len(self._readers))
            _wake(self._writers, len(self._writers))

    def __len__(self) -> int:
        return len(self._items)

    @property
    def size_bytes(self) -> int:
        """Bytes of the payloads at this moment, and ``ITEM_BYTES`` for each item."""
        return self._size

    @property
    def is_empty(self) -> bool:
        """Whether there is no item at this moment."""
        return not self._items

    @property
    def gets(self) -> int:
        """Number of items that :meth:`get` has returned."""
        return self._gets

    @property
    def has_reader(self) -> bool:
        """Whether a thread waits for an item."""
        return bool(self._readers)

    @property
    def is_full(self) -> bool:
        """Whether the mailbox was full and has not been emptied to a quarter since."""
        return self._full

    @property
    def is_closed(self) -> bool:
        """Whether the mailbox refuses further items."""
        return self._make_error is not None or self._process is not forks.here

    @property
    def error(self) -> P2PError | None:
        """The error that :meth:`put` raises, or None while the mailbox is open."""
        make_error = self._make_error
        return None if make_error is None else make_error()

    def _wait_for_items_locked(self, timeout: float | None) -> bool:
        """Wait for an item, the end or the time-out. Returns whether there is an item."""
        deadline = Deadline(timeout)
        while not (self._items or self._make_error or deadline.is_over):
            self._wait_locked(self._readers, deadline.left_s)
        return bool(self._items)

    def _wait_for_room_locked(self, timeout: float | None) -> None:
        """Wait for room or the end. Raises Timeout."""
        deadline = Deadline(timeout)
        while self._full and self._make_error is None:
            if deadline.is_over:
                raise Timeout(f"no room for a message within {timeout:g} s")
            self._wait_locked(self._writers, deadline.left_s)

    def _wait_locked(self, turns: list[threading.Lock], timeout_s: float | None = None) -> None:
        """Wait to be woken; ``threading.Condition`` takes more memory and more calls for this."""
        turn = threading.Lock()
        turn.acquire()
        turns.append(turn)
        self._lock.release()
        try:
            turn.acquire(timeout=-1 if timeout_s is None else timeout_s)
        finally:
            self._lock.acquire()
            if turn in turns:
                turns.remove(turn)

    def _makes_room_locked(self) -> bool:
        """Wake the writers if a full mailbox is down to a quarter. Returns whether it is."""
        if self._size > ROOM_AGAIN_BYTES:
            return False
        self._full = False
        _wake(self._writers, len(self._writers))
        return True


def _wake(turns: list[threading.Lock], count: int) -> None:
    """Wake ``count`` of the waiting threads, the longest waiting first."""
    for turn in turns[:count]:
        turn.release()
    del turns[:count]
