"""One dial: from the host name, or the search for an address, to the peer.

Owned by ``p2p-io``; what may block runs in a thread of its own and posts its result: the look-up of
a name (``p2p-dns-<id>``), the search through discovery (``p2p-resolve-<id>``), the user's dialer
(``p2p-dial-<id>``).

::

    RESOLVE   a host name is looked up, or a node without an address is searched for
    TCP       the connection is made; for a static node whose address fails, one search, one retry
    AUTH ...  the session shakes hands (p2p.session)
"""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Callable
from concurrent.futures import Future
from ipaddress import ip_address
from typing import Protocol

from p2p.config import Dialer
from p2p.dialerror import tcp_error
from p2p.enode import Node
from p2p.errors import (
    ConnectError,
    DialStep,
    DiscReason,
    NameNotResolved,
    NoEndpoint,
    P2PError,
    Unreachable,
)
from p2p.net import Connecting, Loop
from p2p.netutil import IPAddress, join_host_port
from p2p.peer import Peer
from p2p.session import Session

#: From the first packet to the TCP connection.
DIAL_TIMEOUT_S = 15.0


class DialOwner(Protocol):
    """What a dial asks of whoever began it; all on ``p2p-io``, but for ``resolve``."""

    @property
    def loop(self) -> Loop:
        """The loop that all runs on."""

    @property
    def dialer(self) -> Dialer | None:
        """The user's dialer, if there is one."""

    @property
    def log(self) -> logging.Logger:
        """Where to log."""

    def check_address(self, ip: IPAddress) -> ConnectError | None:
        """Why an address must not be dialed, or None."""

    def may_resolve(self, node: Node) -> bool:
        """Whether the network may be asked for the node now."""

    def resolve(self, node: Node) -> Node | None:
        """Ask the network for the node; blocks, in a helper thread."""

    def resolved(self, node: Node, found: Node | None) -> None:
        """The network has been asked."""

    def run_blocking(
        self, name: str, job: Callable[[], None], on_failed: Callable[[RuntimeError], None]
    ) -> None:
        """Run a job in a thread of its own, or ``on_failed`` in another: no threads are left."""

    def open_session(
        self, sock: socket.socket, dial: Dial, on_settled: Callable[[Session], None]
    ) -> Session:
        """Begin the handshake on a connection. Raises OSError; the socket is the caller's then."""

    def session_error(self, session: Session) -> ConnectError:
        """Why a session did not become a peer."""

    def finished(self, dial: Dial, outcome: Peer | ConnectError) -> None:
        """The dial has ended."""


class Dial:
    """One dial. ``waiters`` are the callers of ``connect`` that want its outcome."""

    def __init__(self, owner: DialOwner, node: Node, static: bool) -> None:
        self.node = node
        self.static = static
        self.waiters: list[Future[Peer]] = []
        self._owner = owner
        self._step = DialStep.TCP
        self._connecting: Connecting | None = None
        self._session: Session | None = None
        self._searched = False
        self._over = False

    @property
    def step(self) -> DialStep:
        """What the dial is waiting for."""
        return self._step if self._session is None else self._session.machine.step

    def start(self) -> None:
        """Begin; how it ends is told later, never from in here."""
        if self.node.hostname:
            self._step = DialStep.RESOLVE
            self._run_blocking("dns", self._look_up)
        elif self.node.ip is None:
            self._search(NoEndpoint("the node has no known address"))
        else:
            self._open(self.node.ip)

    def cancel(self, error: Exception, reason: DiscReason) -> None:
        """Give up without a report to the owner; waiters get ``error``, the remote ``reason``."""
        self._over = True
        if self._connecting is not None:
            self._connecting.cancel()
        if self._session is not None:
            self._session.end_locally(reason)
        for waiter in self.waiters:
            fail(waiter, error)

    def _finish(self, outcome: Peer | ConnectError) -> None:
        if not self._over:
            self._over = True
            self._owner.finished(self, outcome)

    # the address

    def _look_up(self) -> None:
        """In a helper thread: names may take seconds, and each dial asks anew."""
        name = self.node.hostname
        try:
            found = socket.getaddrinfo(name, self.node.tcp, type=socket.SOCK_STREAM)
            addresses = [ip_address(str(info[4][0]).partition("%")[0]) for info in found]
        except Exception as error:  # the top of a thread: OSError, or ValueError for an odd name
            text = f"cannot look up {name}: {error}"
            self._owner.loop.post(self._finish, NameNotResolved(text))
            return
        self._owner.loop.post(self._looked_up, addresses)

    def _looked_up(self, addresses: list[IPAddress]) -> None:
        if self._over:
            return
        if not addresses:
            self._finish(NameNotResolved(f"{self.node.hostname} has no address"))
            return
        # IPv4 first, as go-ethereum does: it is the one that more networks can reach.
        addresses.sort(key=lambda ip: ip.version)
        self.node = self.node.with_ip(addresses[0])
        self._open(addresses[0])

    def _search(self, error: ConnectError) -> None:
        """Ask the network where the node is now; ``error`` is the outcome if that does not help."""
        self._searched = True
        if not self._owner.may_resolve(self.node):
            self._owner.loop.post(self._finish, error)
            return
        self._step = DialStep.RESOLVE
        self._run_blocking("resolve", lambda: self._ask_network(error))

    def _ask_network(self, error: ConnectError) -> None:
        """In a helper thread: a search takes seconds. However it ends, the dial goes on."""
        found = None
        try:
            found = self._owner.resolve(self.node)
        except Exception as cause:  # the top of a thread
            level = logging.DEBUG if isinstance(cause, (P2PError, TimeoutError)) else logging.ERROR
            trace = level == logging.ERROR
            text = "search for %s failed: %s"
            self._owner.log.log(level, text, self.node.id.short, cause, exc_info=trace)
        finally:
            self._owner.loop.post(self._searched_for, found, error)

    def _searched_for(self, found: Node | None, error: ConnectError) -> None:
        if self._over:
            return
        self._owner.resolved(self.node, found)
        endpoint = None if found is None else found.tcp_endpoint
        if found is None or endpoint is None or endpoint == self.node.tcp_endpoint:
            if isinstance(error, NoEndpoint):
                text = "discovery did not find it" if found is None else "it takes no connections"
                error = NoEndpoint(f"{error}, and {text}", DialStep.RESOLVE)
            self._finish(error)
            return
        self.node = found
        self._open(endpoint.ip)

    # the TCP connection

    def _open(self, ip: IPAddress) -> None:
        self._step = DialStep.TCP
        loop = self._owner.loop
        refusal = self._owner.check_address(ip)
        if refusal is not None:
            loop.post(self._finish, refusal)
        elif self._owner.dialer is not None:
            self._run_blocking("dial", self._ask_dialer)
        else:
            self._connecting = Connecting(
                loop, (ip, self.node.tcp), DIAL_TIMEOUT_S, self._connected
            )

    def _ask_dialer(self) -> None:
        """In a helper thread: the user's dialer may block."""
        loop = self._owner.loop
        assert self._owner.dialer is not None
        try:
            sock = _taken_over(self._owner.dialer.dial(self.node, DIAL_TIMEOUT_S))
        except BaseException as error:  # the top of a thread, and the user's code
            self._dialer_failed(error)
            return
        if not loop.post(self._connected, sock, None):
            sock.close()

    def _dialer_failed(self, error: BaseException) -> None:
        """Still in the helper thread: the texts of the user's errors are the user's code, too."""
        loop = self._owner.loop
        try:
            if isinstance(error, OSError):
                loop.post(self._not_connected, tcp_error(error))
                return
            self._owner.log.error("the dialer failed on %s", self.node, exc_info=error)
            refusal = Unreachable(f"the dialer failed: {error!r}")
        except Exception:
            refusal = Unreachable(f"the dialer failed with a {type(error).__name__} without a text")
        loop.post(self._finish, refusal)

    def _connected(self, sock: socket.socket | None, error: OSError | None) -> None:
        self._connecting = None
        if sock is None:
            assert error is not None
            self._not_connected(tcp_error(error))
        elif self._over:
            sock.close()
        else:
            self._open_session(sock)

    def _not_connected(self, error: ConnectError) -> None:
        if self.static and not self._searched and not self._over and not self.node.hostname:
            self._search(error)
        else:
            self._finish(error)

    # the handshake

    def _open_session(self, sock: socket.socket) -> None:
        try:
            self._session = self._owner.open_session(sock, self, self._settled)
        except OSError as error:  # a selector that watches no more sockets (ENOSPC, ENOMEM)
            sock.close()
            self._finish(tcp_error(error))

    def _settled(self, session: Session) -> None:
        if session.peer is not None:
            self._finish(session.peer)
        else:
            self._finish(self._owner.session_error(session))

    def _run_blocking(self, kind: str, job: Callable[[], None]) -> None:
        self._owner.run_blocking(f"p2p-{kind}-{self.node.id.short}", job, self._has_no_thread)

    def _has_no_thread(self, error: RuntimeError) -> None:
        """In some thread: the system has no more of them."""
        refusal = Unreachable(f"cannot start a thread: {error}")
        self._owner.loop.post(self._finish, refusal)


def _taken_over(sock: object) -> socket.socket:
    """The connection of a socket that a dialer has returned, in a socket that is ours alone.

    The dialer may go on with the one that it has, even close it: it is none any more.
    """
    if not isinstance(sock, socket.socket) or sock.fileno() < 0:
        raise TypeError(f"want an open socket, not {sock!r}")
    if isinstance(sock, ssl.SSLSocket):
        raise TypeError("want a plain TCP socket: RLPx has its own encryption, and TLS no place")
    return socket.socket(fileno=sock.detach())


def address_text(node: Node) -> str:
    """Where a node is dialed, for logs."""
    host = node.hostname or node.ip
    return "unknown" if host is None else join_host_port(str(host), node.tcp)


def fail(waiter: Future[Peer], error: BaseException) -> None:
    """Give a waiter its error, unless it has its answer."""
    if not waiter.done():
        waiter.set_exception(error)
