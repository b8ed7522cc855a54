"""Listening TCP sockets: binding one, and accepting from it on a loop.

A listener belongs to its loop's thread; :func:`bind` may be called in any thread and waits for
nothing. Accepting is bounded per pass, so a flood of connections cannot starve the peers, and it
pauses when the process is out of file descriptors, when trying again at once would only burn time.
"""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Callable
from contextlib import suppress

from p2p.net.address import Address, address_of, format_address
from p2p.net.binding import bound_socket
from p2p.net.loop import Loop
from p2p.net.poller import READ
from p2p.net.timer import Timer

_logger = logging.getLogger("p2p.net")

# What is accepted in a third of a second. A connection that finds the queue full tries again after
# a second, or believes to be connected and is never accepted. The kernel may allow less.
_BACKLOG = 1024
# How long to wait when the kernel has nothing to accept a connection with.
_BACK_OFF_S = 0.2
# Such a shortage lasts; one line a second is enough to notice it.
_LOG_INTERVAL_S = 1.0

# What is wrong with the one connection that was to be accepted; the next may be fine. Linux passes
# errors of the network on to accept (accept(2), "Error handling").
_ONE_CONNECTION = frozenset(
    getattr(errno, name)
    for name in (
        *("ECONNABORTED", "ECONNRESET", "EPERM", "EPROTO", "ETIMEDOUT", "EOPNOTSUPP"),
        *("ENETDOWN", "ENETUNREACH", "EHOSTDOWN", "EHOSTUNREACH", "ENONET", "ENOPROTOOPT"),
    )
    if hasattr(errno, name)
)


def bind(host: str | None, port: int, backlog: int = _BACKLOG) -> socket.socket:
    """A listening, non-blocking TCP socket.

    ``host`` is a numeric IPv4 or IPv6 address; ``None``, ``""`` and ``"::"`` mean all addresses of
    both families, or of IPv4 where there is no IPv6. ``port`` 0 takes a free one. Raises
    ``OSError`` with the address in its text; so it refuses names, which it never looks up. Any
    thread.
    """

    def listen(sock: socket.socket, sockaddr: tuple[str, int]) -> None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(sockaddr)
        sock.listen(backlog)

    return bound_socket(socket.SOCK_STREAM, host, port, listen, "listen")


class Listener:
    """Accepts connections from ``sock``, which belongs to the listener from now on.

    ``on_accept(sock, remote_addr)`` gets each connection and owns its socket, unless it raises
    OSError: then the connection is closed, and accepting pauses. At most ``budget`` are accepted in
    a pass. ``address`` is the local one, with the port that was really taken. Loop thread only.
    """

    def __init__(
        self,
        loop: Loop,
        sock: socket.socket,
        on_accept: Callable[[socket.socket, Address], None],
        budget: int = 16,
    ) -> None:
        sock.setblocking(False)
        self.address = address_of(sock.getsockname())
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
        """Accept no more, at once; connections wait in the kernel's backlog."""
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
        with suppress(OSError):  # a system that shuts down connections only
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
            self._on_accept(sock, address_of(sockaddr))
        except OSError as error:  # a selector that watches no more sockets (ENOSPC, ENOMEM)
            sock.close()
            return self._accept_failed(error)
        return True

    def _accept_failed(self, error: OSError) -> bool:
        where = format_address(self.address)
        if error.errno in _ONE_CONNECTION:
            _logger.debug("a connection to %s failed before it was accepted: %s", where, error)
            return True
        # EMFILE, ENFILE, ENOBUFS, ENOMEM, or something that is no better when tried again at once.
        now = self._loop.now()
        if now >= self._quiet_until:
            self._quiet_until = now + _LOG_INTERVAL_S
            _logger.warning("cannot accept connections to %s: %s", where, error)
        self._back_off = self._loop.call_later(_BACK_OFF_S, self._end_back_off)
        self._update_interest()
        return False

    def _end_back_off(self) -> None:
        self._back_off = None
        self._update_interest()
