"""Opening of one TCP connection without blocking.

A :class:`Connector` belongs to its loop's thread. It owns the socket until it hands it over, keeps
the time-out on the loop's clock, and reports every failure as the fitting ``OSError``, with the
address in its text.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from contextlib import suppress

from p2p.net.loop import Loop
from p2p.net.poller import WRITE
from p2p.net.sockaddr import sockaddr_of
from p2p.net.sockets import StreamSocket
from p2p.net.timer import Timer
from p2p.net.underlay import SYSTEM_UNDERLAY, Underlay
from p2p.net.virtual import close_in_child
from p2p.netutil import Endpoint

_OnDone = Callable[[StreamSocket | None, OSError | None], None]

_IN_PROGRESS = frozenset((errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EINTR))


class Connector:
    """One attempt to connect to ``address`` within ``timeout_s`` seconds.

    ``on_done(sock, error)`` is called once, later, on the loop's thread, with a connected
    non-blocking socket, which ``on_done`` then owns, and None, or with None and an error:
    ``ConnectionRefusedError``, ``TimeoutError`` or another ``OSError``. ``underlay`` makes the
    socket. Loop thread only.
    """

    def __init__(
        self,
        loop: Loop,
        address: Endpoint,
        timeout_s: float,
        on_done: _OnDone,
        underlay: Underlay = SYSTEM_UNDERLAY,
    ) -> None:
        self._loop = loop
        self._address = address
        self._on_done: _OnDone | None = on_done
        self._underlay = underlay
        self._sock: StreamSocket | None = None
        self._timer: Timer | None = None
        try:
            self._begin(timeout_s)
        except (OSError, OverflowError) as error:  # OverflowError: no such port
            code = getattr(error, "errno", None) or errno.EADDRNOTAVAIL
            loop.post(self._fail, code)

    def cancel(self) -> None:
        """Give up: ``on_done`` will not be called, and the socket is closed. Idempotent."""
        self._on_done = None
        sock = self._release()
        if sock is not None:
            with suppress(OSError):  # it was never connected
                # A forked child of the program may have the socket, too: it would go on connecting.
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def _begin(self, timeout_s: float) -> None:
        self._sock = sock = self._underlay._new_stream(self._address)
        close_in_child(sock)
        sock.setblocking(False)
        code = sock.connect_ex(sockaddr_of(self._address))
        if code not in _IN_PROGRESS:
            self._loop.post(self._finish, code)
            return
        self._timer = self._loop.call_later(timeout_s, self._fail, errno.ETIMEDOUT)
        self._loop.register(sock, WRITE, self._on_ready)

    def _on_ready(self, ready: int) -> None:
        assert self._sock is not None
        self._finish(self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))

    def _finish(self, code: int) -> None:
        """End the attempt with an ``errno``, or 0 for success."""
        if self._sock is None:
            return  # cancelled
        if not code:
            code = connected_in_error(self._sock)
        if code:
            self._fail(code)
            return
        on_done, self._on_done = self._on_done, None
        sock = self._release()
        if on_done is not None:
            on_done(sock, None)

    def _fail(self, code: int) -> None:
        on_done = self._on_done
        self.cancel()
        if on_done is not None:
            text = f"{os.strerror(code)} ({self._address})"
            on_done(None, OSError(code, text))

    def _release(self) -> StreamSocket | None:
        """Cancel the timer, unregister the socket and return it."""
        if self._timer is not None:
            self._timer.cancel()
        sock, self._sock = self._sock, None
        if sock is not None:
            self._loop.unregister(sock)
        return sock


def connected_in_error(sock: StreamSocket) -> int:
    """Return the ``errno`` of a socket that looks connected but is useless, or 0.

    A connection to a free local port may get that very port as its own end. TCP allows the two to
    meet (RFC 9293, 3.5, simultaneous open), and the socket then talks to itself: there is no
    listener.
    """
    try:
        return errno.ECONNREFUSED if sock.getsockname() == sock.getpeername() else 0
    except OSError as error:  # reset already
        return error.errno or errno.ENOTCONN
