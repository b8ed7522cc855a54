"""A listening socket in memory, with the methods and errors of a non-blocking one of the kernel.

Its loop's thread accepts; any thread adds connections.
"""

from __future__ import annotations

import errno
import threading
from collections import deque
from collections.abc import Callable

from p2p.lab.underlay.memorysocket import MemorySocket, os_error
from p2p.lab.underlay.stream import MemoryStream
from p2p.net import READ
from p2p.netutil import Endpoint

#: Connections that may wait to be accepted, as for sockets of the kernel.
BACKLOG = 1024


class MemoryListener(MemorySocket):
    """Accepts connections to ``local``; ``on_close`` is called once, by :meth:`close`."""

    def __init__(self, local: Endpoint, on_close: Callable[[], object]) -> None:
        super().__init__(local)
        # fixed after __init__
        self._on_close = on_close
        # guarded by _lock
        self._lock = threading.Lock()
        self._waiting: deque[MemoryStream] = deque()
        self._closed = False

    @property
    def is_full(self) -> bool:
        """Whether it takes no more connections at present."""
        return len(self._waiting) >= BACKLOG

    def add(self, stream: MemoryStream) -> None:
        """Add a connection, to be accepted; one that comes after :meth:`close` is reset."""
        with self._lock:
            is_closed = self._closed
            if not is_closed:
                self._waiting.append(stream)
        if is_closed:
            stream.reject()
        self.changed()

    def accept(self) -> tuple[MemoryStream, tuple[str, int]]:
        """Return the next connection, and its remote address."""
        with self._lock:
            if self._closed:
                raise os_error(errno.EBADF)
            if not self._waiting:
                raise os_error(errno.EAGAIN)
            stream = self._waiting.popleft()
        assert stream.remote is not None
        return stream, (str(stream.remote.ip), stream.remote.port)

    def close(self) -> None:
        """Stop listening, and reset the connections that wait. Idempotent."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            waiting = list(self._waiting)
            self._waiting.clear()
        self._on_close()
        for stream in waiting:
            stream.reject()

    def readiness(self) -> int:
        return READ if self._waiting else 0
