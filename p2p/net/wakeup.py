"""Wake-up of a selector from another thread: an eventfd where there is one, or a pipe.

The loop's thread watches :attr:`WakeUp.fd`; any thread sends. Neither ever waits. An eventfd
watched with ``EDGE`` reports each :meth:`WakeUp.send` and need not be drained, which saves a system
call, and with it a chance for other threads to take the interpreter lock.
"""

from __future__ import annotations

import os
import sys
import threading

from p2p import forks

# An eventfd takes numbers of eight bytes, and adds them up; a pipe takes anything.
_ONE = (1).to_bytes(8, sys.byteorder)


class WakeUp:
    """A wake-up, open from the start.

    Raises ``OSError`` when there are no file descriptors left.
    """

    def __init__(self) -> None:
        # fixed after __init__; the loop's thread reads and closes it
        self.fd, writer = _open()
        #: Whether :meth:`drain` is necessary, or else the next :meth:`send` may have no effect.
        self.needs_drain = self.fd != writer
        # guarded by _lock, which keeps the descriptor from being closed, and its number from being
        # used again, while another thread writes to it; the write under the lock never waits
        self._lock = threading.Lock()
        self._writer: int | None = writer
        self._sent = 0
        forks.in_child(self, WakeUp._close_copy)

    @property
    def sent(self) -> int:
        """Number of calls of :meth:`send` that had an effect."""
        return self._sent

    def send(self) -> None:
        """Make the selector return; no effect after :meth:`close`. Any thread."""
        with self._lock:
            if self._writer is None:
                return
            self._sent += 1
            try:
                os.write(self._writer, _ONE)
            except BlockingIOError:
                pass  # the many unread ones have the same effect

    def drain(self, ready: int) -> None:
        """Read the wake-ups that were sent. Loop thread only."""
        try:
            os.read(self.fd, 4096)
        except BlockingIOError:
            pass

    def close(self) -> None:
        """Close the descriptors; idempotent. Loop thread only, or any if the loop never ran."""
        with self._lock:
            writer, self._writer = self._writer, None
        if writer is not None:
            os.close(writer)
            if writer != self.fd:
                os.close(self.fd)

    def _close_copy(self) -> None:
        """Close the descriptors in a forked child, where another thread may have had the lock."""
        self._lock = threading.Lock()
        self.close()


def _open() -> tuple[int, int]:
    """Return the descriptors to read from and to write to; they may be the same."""
    if sys.platform == "linux" and hasattr(os, "eventfd"):
        reader = writer = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
    else:
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        os.set_blocking(writer, False)
    return reader, writer
