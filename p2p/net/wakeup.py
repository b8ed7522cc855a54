"""A pair of connected sockets that interrupts a selector from another thread.

The loop's thread watches :attr:`WakeUp.fd` and drains it; any thread sends. Neither ever waits.
"""

from __future__ import annotations

import socket
import threading


class WakeUp:
    """Open from the start; raises ``OSError`` when there are no file descriptors left."""

    def __init__(self) -> None:
        # fixed after __init__; the loop's thread reads and closes it
        self._reader, writer = socket.socketpair()
        self._reader.setblocking(False)
        writer.setblocking(False)
        # guarded by _lock, which keeps the socket from being closed, and its number from being used
        # again, while another thread writes to it; that the write is under a lock costs no wait
        self._lock = threading.Lock()
        self._writer: socket.socket | None = writer
        self._sent = 0

    @property
    def fd(self) -> int:
        """What becomes readable by :meth:`send`."""
        return self._reader.fileno()

    @property
    def sent(self) -> int:
        """How often :meth:`send` had an effect."""
        return self._sent

    def send(self) -> None:
        """Make the selector return; no effect after :meth:`close`. Any thread."""
        with self._lock:
            if self._writer is None:
                return
            self._sent += 1
            try:
                self._writer.send(b"\0")
            except BlockingIOError:
                pass  # so many that are still unread do the same

    def drain(self, ready: int) -> None:
        """Take what was sent. Loop thread only."""
        try:
            self._reader.recv(4096)
        except BlockingIOError:
            pass

    def close(self) -> None:
        """Close both sockets; idempotent. Loop thread only."""
        with self._lock:
            writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()
        self._reader.close()
