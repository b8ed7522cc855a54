"""One direction of a stream in memory: segments and marks under way, in order.

A pipe takes no more than ``CAPACITY_BYTES`` that the other end has not read, wherever they are, as
the buffers of TCP do; so a reader that pauses stops the writer. It knows the quality of its link
by :class:`p2p.lab.underlay.links.Links`. Its state is guarded by the lock of the connection, which
methods that end in ``_locked`` expect to be held. Any thread.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import TypeAlias

from p2p.lab.underlay.deliveries import Deliveries
from p2p.lab.underlay.links import Links
from p2p.netutil import IPAddress

#: Bytes that are under way or unread in one direction: about the first buffers of Linux.
CAPACITY_BYTES = 262_144
#: Bytes of a segment. Smaller ones cost more, larger ones arrive in lumps on slow links.
SEGMENT_BYTES = 16_384


class Mark(Enum):
    """Signs between the bytes."""

    ACCEPTED = "accepted"  # the answer to the request for a connection
    END = "end"  # the remote will send no more
    RESET = "reset"


Item: TypeAlias = bytes | Mark


class Pipe:
    """Segments between ``ends``, from the first to the second.

    ``receive`` is called with each that arrives, under ``lock``; then, without it, ``on_received``,
    and ``on_room`` when a writer that has waited has room.
    """

    def __init__(
        self,
        links: Links,
        deliveries: Deliveries,
        ends: tuple[IPAddress, IPAddress],
        lock: threading.Lock,
        receive: Callable[[Item], object],
        on_received: Callable[[], object],
        on_room: Callable[[], object],
    ) -> None:
        # fixed after __init__
        self._links = links
        self._deliveries = deliveries
        self._source, self._target = ends
        self._lock = lock
        self._receive = receive
        self._on_received = on_received
        self.on_room = on_room
        # guarded by the lock of the connection
        self._under_way: deque[Item] = deque()
        self._last_arrival = 0.0
        self._missed = 0  # arrivals that a partition has stopped
        #: Bytes under way and unread.
        self.size_bytes = 0
        #: Whether the writer waits for room.
        self.is_full = False

    @property
    def room_bytes(self) -> int:
        """Number of bytes that it takes now."""
        return CAPACITY_BYTES - self.size_bytes

    def put_locked(self, items: list[Item]) -> list[float]:
        """Take items; return the times of their arrival, to be passed to :meth:`arrive_at`."""
        now, times = self._deliveries.now(), []
        for item in items:
            size = 0 if isinstance(item, Mark) else len(item)
            self.size_bytes += size
            delay = self._links.segment(self._source, self._target, size, now)
            self._last_arrival = max(self._last_arrival, now + delay)
            self._under_way.append(item)
            times.append(self._last_arrival)
        return times

    def arrive_at(self, times: list[float]) -> None:
        """Have items arrive at these times. Without the lock."""
        for when in times:
            self._deliveries.at(when, self._arrive)

    def read_locked(self, size_bytes: int) -> bool:
        """Note that the other end has read bytes. Returns whether a waiting writer has room now."""
        self.size_bytes -= size_bytes
        if not self.is_full or self.size_bytes > CAPACITY_BYTES // 2:
            return False
        self.is_full = False
        return True

    def drop_locked(self) -> None:
        """Drop what is under way: the connection was reset."""
        self._under_way.clear()

    def _arrive(self) -> None:
        with self._lock:
            if not self._under_way:
                return
            if self._links.wait_if_cut(self._source, self._target, self._resume):
                self._missed += 1
                return
            self._receive(self._under_way.popleft())
        self._on_received()

    def _resume(self) -> None:
        """Send again what a partition has stopped."""
        with self._lock:
            missed, self._missed = self._missed, 0
            now = self._deliveries.now()
            delay = self._links.segment(self._source, self._target, 0, now)
            self._last_arrival = when = max(self._last_arrival, now + delay)
        self.arrive_at([when] * missed)


def segments_of(data: bytes) -> list[Item]:
    """Return the data in segments."""
    if len(data) <= SEGMENT_BYTES:
        return [data]
    return [data[at : at + SEGMENT_BYTES] for at in range(0, len(data), SEGMENT_BYTES)]
