"""The bounded queue through which messages pass between the I/O thread and the workers.

A mailbox has two sides. Workers use the blocking one: :meth:`Mailbox.put` and :meth:`Mailbox.get`,
any number of threads each. The I/O thread uses the other, which never waits: :meth:`Mailbox.offer`
and :meth:`Mailbox.take`. An inbox is offered to and got from; an outbox is put into and taken from;
a message pipe is put into and got from.

Items are tuples whose second member is the payload. The bound counts bytes: a mailbox is full when
it holds ``LIMIT_BYTES`` or more, and has room again when it is down to a quarter, so that neither
side is woken for every message. One item of any size fits into a mailbox that is not full.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from p2p.clock import checked_timeout
from p2p.errors import P2PError, ReadTimeout

#: Bytes at which a mailbox is full. Large enough for the I/O thread and a worker to take turns of
#: some milliseconds, which is how the interpreter lock passes between them.
LIMIT_BYTES = 1024 * 1024
#: Bytes down to which it stays full.
ROOM_AGAIN_BYTES = LIMIT_BYTES // 4
#: What an item costs besides its payload: tuple, bytes object, slot in the queue.
ITEM_BYTES = 128

Item = tuple[Any, ...]


class Mailbox:
    """A queue of messages, bounded by bytes.

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
        self._lock = threading.Lock()
        # guarded by _lock
        self._items: deque[Item] = deque()
        self._size = 0
        self._full = False
        self._announced = False
        # a locked lock for each thread that waits, in the order in which they came
        self._readers: list[threading.Lock] = []
        self._writers: list[threading.Lock] = []
        self._gets = 0
        self._make_error: Callable[[], P2PError] | None = None

    # the blocking side: any thread but the I/O thread

    def put(self, item: Item) -> None:
        """Add an item; waits while the mailbox is full. Raises the error it was closed with."""
        announced = True
        try:
            with self._lock:
                while self._full and self._make_error is None:
                    self._wait_locked(self._writers)
                make_error = self._make_error
                if make_error is None:
                    if self._readers:  # first: it may fail, the rest does not
                        _wake(self._readers, 1)
                    self._items.append(item)
                    self._size += len(item[1]) + ITEM_BYTES
                    if self._size >= LIMIT_BYTES:
                        self._full = True
                    announced, self._announced = self._announced, True
            if not announced and self._on_items is not None:
                self._on_items()
        except BaseException:  # a Ctrl-C, perhaps between the item and its announcement
            self._announced = False  # if that fails, too, as at the end of the stack: the next does
            if self._on_items is not None:
                self._on_items()
            raise
        if make_error is not None:
            raise make_error()

    def get(self, timeout: float | None = None) -> Item:
        """Remove the oldest item; waits for one, at most ``timeout`` seconds.

        Raises ReadTimeout, or, once there are no more items, the error it was closed with.
        """
        if timeout is not None:
            timeout = checked_timeout(timeout)
        item = make_error = None
        room = False
        try:
            with self._lock:
                if self._items or self._wait_for_items_locked(timeout):
                    size = len(self._items[0][1]) + ITEM_BYTES
                    if self._full:  # first: it may fail, the rest does not
                        room = self._makes_room_locked(size)
                    item = self._items.popleft()
                    self._gets += 1
                    self._size -= size
                else:
                    make_error = self._make_error
            if room and self._on_room is not None:
                self._on_room()
        except BaseException:  # a Ctrl-C, perhaps between the room and its announcement
            if self._on_room is not None:
                self._on_room()
            raise
        if item is None:
            if make_error is None:
                raise ReadTimeout(f"no message within {timeout:g} s")
            raise make_error()
        return item

    # the side that never waits: the I/O thread

    def offer(self, items: Sequence[Item]) -> bool:
        """Add items, full or not; returns whether there is room for more.

        A closed mailbox drops them: nobody is left to want them.
        """
        with self._lock:
            if self._make_error is not None:
                return True
            self._items.extend(items)
            size = ITEM_BYTES * len(items)
            for item in items:
                size += len(item[1])
            self._size += size
            if self._size >= LIMIT_BYTES:
                self._full = True
            if self._readers:
                _wake(self._readers, len(items))
            return not self._full

    def take(self, max_bytes: int) -> list[Item]:
        """Remove the oldest items, about ``max_bytes`` of them and at least one if there is any.

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
            room = self._full and self._makes_room_locked(size)
            self._size -= size
        if room and self._on_room is not None:
            self._on_room()
        return taken

    # any thread

    def close(self, make_error: Callable[[], P2PError], *, discard: bool) -> None:
        """Refuse further items and wake every waiter; each gets an error of its own.

        The first error counts. ``discard`` throws away what was not read yet; otherwise it can
        still be got or taken.
        """
        with self._lock:
            if self._make_error is None:
                self._make_error = make_error
            if discard:
                self._items.clear()
                self._size = 0
                self._full = False
            _wake(self._readers, len(self._readers))
            _wake(self._writers, len(self._writers))

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to get or take at this moment."""
        return not self._items

    @property
    def gets(self) -> int:
        """How many items have been got so far."""
        return self._gets

    @property
    def is_full(self) -> bool:
        """Whether it was filled and has not been emptied to a quarter since."""
        return self._full

    @property
    def is_closed(self) -> bool:
        """Whether it refuses further items."""
        return self._make_error is not None

    def _wait_for_items_locked(self, timeout: float | None) -> bool:
        """Wait until there is an item, an error or no more time; returns whether there is one."""
        deadline = None if timeout is None else time.monotonic() + timeout
        left = -1.0  # without end, to a lock
        while not self._items and self._make_error is None:
            if deadline is not None:
                left = deadline - time.monotonic()
                if left <= 0:
                    break
            self._wait_locked(self._readers, left)
        return bool(self._items)

    def _wait_locked(self, turns: list[threading.Lock], timeout_s: float = -1.0) -> None:
        """What ``threading.Condition`` does, in a fifth of its calls: wait to be woken.

        However it ends, the calling thread has the lock: it would release another's.
        """
        turn = threading.Lock()
        turn.acquire()
        turns.append(turn)
        self._lock.release()
        try:
            turn.acquire(True, timeout_s)
        finally:
            try:
                self._lock.acquire()
            except BaseException:  # a Ctrl-C
                self._lock.acquire()
                raise
            finally:
                if turn in turns:
                    turns.remove(turn)

    def _makes_room_locked(self, size: int) -> bool:
        """Before ``size`` bytes leave a full mailbox: whether it is full no longer without them."""
        if self._size - size > ROOM_AGAIN_BYTES:
            return False
        if self._writers:
            _wake(self._writers, len(self._writers))
        self._full = False
        return True


def _wake(turns: list[threading.Lock], count: int) -> None:
    """Let ``count`` of the waiting threads look, the longest waiting ones."""
    while turns and count:
        turn = turns[0]
        if turn.locked():  # or a Ctrl-C came before this thread could take it off the list
            turn.release()
            count -= 1
        del turns[0]
