"""Bytes and datagrams under way in a network, by the time at which they arrive.

A delivery is a call at a time of the network's clock. One thread, ``p2p-lab-net``, makes all of
them, in the order of their times and, for one time, of their sending; it is started with the first
that is not due at once. So on simulated time each network has one order of arrivals. The calls must
not wait.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

from p2p.clock import Clock
from p2p.net import WRITE, Loop, Timer

_Entry = tuple[float, int, Callable[..., object], tuple[Any, ...]]


class Deliveries:
    """The deliveries of one network. Any thread may add some."""

    def __init__(self, clock: Clock, logger: logging.Logger | None = None) -> None:
        # fixed after __init__
        self._clock = clock
        self._logger = logger
        # guarded by _lock
        self._lock = threading.Lock()
        self._heap: list[_Entry] = []
        self._added = 0
        self._loop: Loop | None = None
        self._closed = False
        self._adopted: set[socket.socket] = set()
        # owned by p2p-lab-net
        self._timer: Timer | None = None

    def now(self) -> float:
        """Return the time, in seconds."""
        return self._clock.monotonic()

    def at(self, when: float, deliver: Callable[..., object], *args: Any) -> None:
        """Call ``deliver(*args)`` at ``when``: here and now if that has come, or else later.

        Raises OSError or RuntimeError if the thread cannot be started.
        """
        if when <= self.now():
            deliver(*args)
            return
        with self._lock:
            if self._closed:
                return
            self._added += 1
            entry = (when, self._added, deliver, args)
            heappush(self._heap, entry)
            if self._heap[0] is not entry:
                return
            loop = self._loop = self._loop or self._start()
        loop.post(self._arm)

    def when_writable(self, sock: socket.socket, call: Callable[[], object]) -> None:
        """Call ``call`` once, when the kernel takes more bytes for ``sock``."""
        with self._lock:
            if self._closed:
                return
            loop = self._loop = self._loop or self._start()
        loop.post(self._await_writable, loop, sock, call)

    def adopt(self, sock: socket.socket) -> None:
        """Own a socket that its user has closed, and whose last bytes are under way."""
        with self._lock:
            is_closed = self._closed
            if not is_closed:
                self._adopted.add(sock)
        if is_closed:
            sock.close()

    def release(self, sock: socket.socket) -> None:
        """Close a socket that was adopted."""
        with self._lock:
            self._adopted.discard(sock)
        sock.close()

    def close(self) -> None:
        """Drop everything under way, and end the thread. Idempotent."""
        with self._lock:
            self._closed = True
            self._heap.clear()
            loop, adopted = self._loop, list(self._adopted)
            self._adopted.clear()
        for sock in adopted:
            sock.close()
        if loop is not None:
            loop.stop()
            loop.join(None)

    def _start(self) -> Loop:
        loop = Loop("p2p-lab-net", self._clock, logger=self._logger)
        loop.start()
        return loop

    # p2p-lab-net

    def _await_writable(
        self, loop: Loop, sock: socket.socket, call: Callable[[], object]
    ) -> None:
        if sock.fileno() < 0:
            return
        copy = sock.dup()  # the socket may be closed meanwhile
        self.adopt(copy)

        def on_ready(ready: int) -> None:
            loop.unregister(copy)
            self.release(copy)
            call()

        loop.register(copy, WRITE, on_ready)

    def _arm(self) -> None:
        """Set the timer for the next delivery."""
        with self._lock:
            when = self._heap[0][0] if self._heap else None
            loop = self._loop
        assert loop is not None
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if when is None else loop.call_at(when, self._deliver)

    def _deliver(self) -> None:
        self._timer = None
        now, due = self.now(), []
        with self._lock:
            while self._heap and self._heap[0][0] <= now:
                due.append(heappop(self._heap))
        for _, _, deliver, args in due:
            deliver(*args)
        self._arm()
