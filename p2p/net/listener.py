"""Listening TCP sockets on a loop.

A listener belongs to its loop's thread. Accepting is bounded per pass, so a flood of connections
cannot starve the peers. It pauses when the process is out of file descriptors, since an immediate
retry would only cost time. :mod:`p2p.net.binding` makes its socket.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from contextlib import suppress

from p2p.net.loop import Loop
from p2p.net.poller import READ
from p2p.net.sockaddr import endpoint_of
from p2p.net.sockets import ListeningSocket, StreamSocket
from p2p.net.timer import Timer
from p2p.netutil import Endpoint

# Pause when the kernel has no resources to accept a connection with, in seconds.
_BACK_OFF_S = 0.2
# Such a shortage lasts; one line a second is enough to notice it.
_LOG_INTERVAL_S = 1.0

# Errors of the one connection that was to be accepted; the next may be fine. Linux passes errors of
# the network on to accept (accept(2), "Error handling").
_ONE_CONNECTION = frozenset(
    getattr(errno, name)
    for name in (
        *("ECONNABORTED", "ECONNRESET", "EPERM", "EPROTO", "ETIMEDOUT", "EOPNOTSUPP"),
        *("ENETDOWN", "ENETUNREACH", "EHOSTDOWN", "EHOSTUNREACH", "ENONET", "ENOPROTOOPT"),
    )
    if hasattr(errno, name)
)


class Listener:
    """Accepts connections from ``sock``, which belongs to the listener from now on.

    ``on_accept(sock, remote_addr)`` gets each connection and owns its socket, unless it raises
    OSError: then the connection is closed, and accepting pauses. At most ``budget`` are accepted in
    a pass. ``address`` is the local one, with the actual port. Loop thread only.
    """

    def __init__(
        self,
        loop: Loop,
        sock: ListeningSocket,
        on_accept: Callable[[StreamSocket, Endpoint], None],
        budget: int = 16,
    ) -> None:
        sock.setblocking(False)
        self.address = endpoint_of(sock.getsockname())
        self._loop = loop
        self._sock = sock
        self._on_accept = on_accept
        self._budget = budget
        self._paused = False
        self._closed = False
        self._back_off: Timer | None = None
        self._quiet_until = loop.now()
        loop.register(sock, READ, self._on_ready)

    def pause(self) -> None:
        """Stop accepting, at once; connections wait in the kernel's backlog."""
        self._paused = True
        self._update_interest()

    def resume(self) -> None:
        """Accept again."""
        self._paused = False
        self._update_interest()

    def close(self) -> None:
        """Close the socket; idempotent."""
        if self._closed:
            return
        self._closed = True
        if self._back_off is not None:
            self._back_off.cancel()
        self._loop.unregister(self._sock)
        with suppress(OSError):  # on a system where only connections can be shut down
            # A forked child of the program may have the socket, too: it would go on listening.
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()

    def _update_interest(self) -> None:
        if not self._closed:
            waiting = self._paused or self._back_off is not None
            self._loop.set_interest(self._sock, 0 if waiting else READ)

    def _on_ready(self, ready: int) -> None:
        for _ in range(self._budget):
            if self._paused or self._closed or not self._accept():
                return

    def _accept(self) -> bool:
        """Accept one connection. Returns whether to try for another."""
        try:
            sock, sockaddr = self._sock.accept()
        except BlockingIOError:
            return False
        except OSError as error:
            return self._accept_failed(error)
        try:
            self._on_accept(sock, endpoint_of(sockaddr))
        except OSError as error:  # a selector that watches no more sockets (ENOSPC, ENOMEM)
            sock.close()
            return self._accept_failed(error)
        return True

    def _accept_failed(self, error: OSError) -> bool:
        where = self.address
        if error.errno in _ONE_CONNECTION:
            text = "a connection to %s failed before it was accepted: %s"
            self._loop.log.debug(text, where, error)
            return True
        # EMFILE, ENFILE, ENOBUFS, ENOMEM, or an error that an immediate retry would meet again.
        now = self._loop.now()
        if now >= self._quiet_until:
            self._quiet_until = now + _LOG_INTERVAL_S
            self._loop.log.warning("cannot accept connections to %s: %s", where, error)
        self._back_off = self._loop.call_later(_BACK_OFF_S, self._end_back_off)
        self._update_interest()
        return False

    def _end_back_off(self) -> None:
        self._back_off = None
        self._update_interest()
