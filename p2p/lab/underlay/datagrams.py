"""A datagram socket in memory, with the methods and errors of a non-blocking one of the kernel.

What its queue has no room for is dropped and counted. Its loop's thread reads and sends; any thread
delivers to it.
"""

from __future__ import annotations

import errno
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from p2p.lab.underlay.memorysocket import MemorySocket, os_error
from p2p.net import READ
from p2p.netutil import Endpoint

#: Bytes of datagrams that may wait to be read: the receive buffer that a server asks for.
QUEUE_BYTES = 4 * 1024 * 1024
#: Largest datagram of UDP over IPv4.
MAX_DATAGRAM_BYTES = 65_507


class MemoryDatagrams(MemorySocket):
    """The datagrams of ``local``; ``send`` takes each that is sent, with its sockaddr."""

    def __init__(
        self,
        local: Endpoint,
        send: Callable[[Endpoint, bytes, Any], object],
        on_close: Callable[[], object],
    ) -> None:
        super().__init__(local)
        # fixed after __init__
        self._source = local
        self._send = send
        self._on_close = on_close
        # guarded by _lock
        self._lock = threading.Lock()
        self._queue: deque[tuple[bytes, tuple[str, int]]] = deque()
        self._size_bytes = 0
        self._closed = False

    def deliver(self, data: bytes, source: tuple[str, int]) -> bool:
        """Queue a datagram. Returns whether there was room."""
        with self._lock:
            if self._closed or self._size_bytes + len(data) > QUEUE_BYTES:
                return False
            self._queue.append((data, source))
            self._size_bytes += len(data)
        self.changed()
        return True

    def recvfrom(self, size_bytes: int, /) -> tuple[bytes, tuple[str, int]]:
        """Return the next datagram, cut to ``size_bytes``, and its source."""
        with self._lock:
            self._check_open()
            if not self._queue:
                raise os_error(errno.EAGAIN)
            data, source = self._queue.popleft()
            self._size_bytes -= len(data)
        return data[:size_bytes], source

    def sendto(self, data: bytes, address: Any, /) -> int:
        """Send a datagram."""
        self._check_open()
        if len(data) > MAX_DATAGRAM_BYTES:
            raise os_error(errno.EMSGSIZE)
        self._send(self._source, bytes(data), address)
        return len(data)

    def close(self) -> None:
        """Drop what waits, and free the port. Idempotent."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._queue.clear()
        self._on_close()

    def readiness(self) -> int:
        return READ if self._queue else 0

    def _check_open(self) -> None:
        if self._closed:
            raise os_error(errno.EBADF)
