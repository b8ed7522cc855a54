"""One dial: from the host name, or the search for an address, to the peer.

Owned by ``p2p-io``. Code that may block runs in a thread of its own and posts its result: the
look-up of a name (``p2p-names``), the search through discovery (``p2p-resolve-<id>``), the user's
dialer (``p2p-dial-<id>``).

::

    RESOLVE   a host name is looked up, or a node without an address is searched for
    TCP       the connection is made, to one address of the node or of its name after the other;
              for a static node whose addresses fail, one search, one retry
    AUTH ...  the session shakes hands (p2p.peers.session)

The user's dialer gets a host name as it is: nothing is looked up here.
"""

from __future__ import annotations

import logging
import socket
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from functools import partial
from typing import TypeAlias

from p2p.config import Config, Dialer
from p2p.dial.endpoints import at_endpoint, dial_endpoints
from p2p.dial.failures import error_of_all, session_error, step_of, tcp_error
from p2p.dial.limits import DIAL_TIMEOUT_S
from p2p.enode import Node, NodeID
from p2p.errors import (
    ConnectError,
    ConnectionLost,
    DialStep,
    DiscReason,
    NameNotResolved,
    NoEndpoint,
    P2PError,
    Unreachable,
)
from p2p.net import Connector, Loop, NameLookups, StreamSocket, Timer
from p2p.netutil import Endpoint, IPAddress, is_multicast, is_name, is_unspecified, join_host_port
from p2p.peers.peer import Peer
from p2p.peers.session import Session
from p2p.threads import Launcher

#: Search of a node through discovery; blocks. Returns None if the node is not found.
Resolve: TypeAlias = Callable[[Node], Node | None]


class Dial:
    """One dial. ``waiters`` are the callers of ``connect`` that want its outcome.

    ``resolve`` searches for the node through discovery, on a thread of its own; None if discovery
    must not be asked. ``wanted_s`` is the time in seconds that its first caller waits: of several
    endpoints all but the last share that. All other functions are called on ``p2p-io``:

    - ``admit_found`` with the ID of the node, its address and the time: returns the reason why that
      address must not be dialed, or None
    - ``open_session`` with the socket, the node, ``static`` and a callback for the end of the
      handshake: raises OSError, and then the socket is still the dial's
    - ``on_searched`` with the node and the result, after a search
    - ``on_done`` with the peer or the error, once, unless the dial was cancelled
    """

    def __init__(
        self,
        node: Node,
        static: bool,
        resolve: Resolve | None,
        wanted_s: float = DIAL_TIMEOUT_S,
        *,
        config: Config,
        loop: Loop,
        launcher: Launcher,
        lookups: NameLookups,
        log: logging.Logger,
        admit_found: Callable[[NodeID, IPAddress, float], ConnectError | None],
        open_session: Callable[[StreamSocket, Node, bool, Callable[[Session], None]], Session],
        on_searched: Callable[[Node, Node | None], object],
        on_done: Callable[[Dial, Peer | ConnectError], object],
    ) -> None:
        # fixed after __init__
        self.static = static
        self._wanted_until = loop.now() + wanted_s
        self._resolve = resolve
        self._config = config
        self._loop = loop
        self._launcher = launcher
        self._lookups = lookups
        self._log = log
        self._check_found = admit_found
        self._open_session = open_session
        self._on_searched = on_searched
        self._on_done = on_done
        # owned by p2p-io
        self.node = node
        self.waiters: list[Future[Peer]] = []
        self._step = DialStep.TCP
        self._lookup: Future[list[IPAddress]] | None = None
        self._lookup_timer: Timer | None = None
        self._untried: deque[Endpoint] = deque()
        self._tried: set[Endpoint] = set()
        self._failures: list[ConnectError] = []
        self._connect_until = 0.0
        self._connecting: Connector | None = None
        self._session: Session | None = None
        self._searched = False
        self._over = False

    @property
    def step(self) -> DialStep:
        """The step that the dial is at."""
        if self._session is None:
            return self._step
        return step_of(self._session.machine.last_state)

    @property
    def is_over(self) -> bool:
        """Whether the dial has ended."""
        return self._over

    def start(self) -> None:
        """Begin. The outcome is always reported later, never during this call."""
        dialer = self._config.dialer
        if dialer is not None and is_name(self.node.hostname):
            self._run_blocking("dial", partial(self._ask_dialer, dialer))
        elif self.node.hostname:
            self._look_up()
        elif not self.node.tcp_endpoints:
            self._search(NoEndpoint("the node has no known address"))
        else:
            self._open(dial_endpoints(self.node))

    def cancel(self, error: Exception, reason: DiscReason) -> None:
        """Give up without calling ``on_done``; waiters get ``error``, the remote ``reason``."""
        self._over = True
        self._end_lookup()
        if self._connecting is not None:
            self._connecting.cancel()
        if self._session is not None:
            self._session.end_locally(reason)
        for waiter in self.waiters:
            fail(waiter, error)

    def _finish(self, outcome: Peer | ConnectError) -> None:
        if not self._over:
            self._over = True
            self._on_done(self, outcome)

    # the address

    def _look_up(self) -> None:
        """Look up the host name. Each dial does it again."""
        self._step = DialStep.RESOLVE
        self._lookup_timer = self._loop.call_later(DIAL_TIMEOUT_S, self._not_looked_up)
        self._lookup = found = self._lookups.begin(self.node.hostname)
        found.add_done_callback(partial(self._loop.post, self._looked_up))

    def _not_looked_up(self) -> None:
        text = f"cannot look up {self.node.hostname}: no answer within {DIAL_TIMEOUT_S:g} s"
        self._finish(NameNotResolved(text))
        self._end_lookup()

    def _looked_up(self, found: Future[list[IPAddress]]) -> None:
        if self._over:
            return
        self._end_lookup()
        error = found.exception()
        if isinstance(error, RuntimeError):
            self._has_no_thread(error)
        elif error is not None:
            text = (isinstance(error, OSError) and error.strerror) or str(error)
            self._finish(NameNotResolved(text))
        else:
            self._open_any(found.result())

    def _open_any(self, ips: list[IPAddress]) -> None:
        """Try the addresses of the name.

        A filter of names answers with the zero address, which would lead to this machine.
        """
        places = [Endpoint(ip, self.node.tcp) for ip in ips if _is_of_a_node(ip)]
        if places:
            self._open(places)
        else:
            text = f"{self.node.hostname} has the address {ips[0]}, which no node can have"
            self._finish(NameNotResolved(text))

    def _end_lookup(self) -> None:
        if self._lookup_timer is not None:
            self._lookup_timer.cancel()
        if self._lookup is not None:
            self._lookup.cancel()  # no effect on an answer

    def _search(self, error: ConnectError) -> None:
        """Search for the node through discovery; ``error`` is the outcome if that fails."""
        self._searched = True
        if self._resolve is None:
            self._loop.post(self._finish, error)
            return
        self._step = DialStep.RESOLVE
        self._run_blocking("resolve", partial(self._ask_network, self._resolve, error))

    def _ask_network(self, resolve: Resolve, error: ConnectError) -> None:
        """Search, in a thread: it takes seconds. The dial continues whatever the outcome."""
        found = None
        try:
            found = resolve(self.node)
        except Exception as cause:  # the top of a thread
            level = logging.DEBUG if isinstance(cause, (P2PError, TimeoutError)) else logging.ERROR
            trace = level == logging.ERROR
            text = "search for %s failed: %s"
            self._log.log(level, text, self.node.id.short, cause, exc_info=trace)
        finally:
            self._loop.post(self._searched_for, found, error)

    def _searched_for(self, found: Node | None, error: ConnectError) -> None:
        if self._over:
            return
        self._on_searched(self.node, found)
        endpoints = [] if found is None else dial_endpoints(found)
        untried = [at for at in endpoints if at not in self._tried]
        if found is None or not untried:
            if isinstance(error, NoEndpoint):
                text = "discovery did not find it" if found is None else "it takes no connections"
                error = NoEndpoint(f"{error}, and {text}", DialStep.RESOLVE)
            self._finish(error)
            return
        self.node = found
        self._open(untried)

    # the TCP connection

    def _open(self, endpoints: Iterable[Endpoint]) -> None:
        """Try the endpoints one after the other, all of them within ``DIAL_TIMEOUT_S``."""
        self._step = DialStep.TCP
        self._untried = deque(endpoints)
        self._failures = []
        self._connect_until = self._loop.now() + DIAL_TIMEOUT_S
        self._open_next()

    def _open_next(self) -> None:
        while self._untried:
            endpoint = self._untried.popleft()
            refusal = self._check_found(self.node.id, endpoint.ip, self._loop.now())
            if refusal is None:
                self._connect(endpoint)
                return
            self._failures.append(refusal)
        self._loop.post(self._end_attempts)

    def _end_attempts(self) -> None:
        if self._over:
            return
        error = error_of_all(self._failures)
        was_tried = error.step is DialStep.TCP
        if was_tried and self.static and not self._searched and not self.node.hostname:
            self._search(error)
        else:
            self._finish(error)

    def _connect(self, endpoint: Endpoint) -> None:
        self.node = at_endpoint(self.node, endpoint)
        self._tried.add(endpoint)
        dialer = self._config.dialer
        if dialer is not None:
            self._run_blocking("dial", partial(self._ask_dialer, dialer))
            return
        share_s, underlay = self._share_s(), self._config.sockets
        self._connecting = Connector(self._loop, endpoint, share_s, self._connected, underlay)

    def _share_s(self) -> float:
        """Return the time for one endpoint: the last one has all that is left."""
        until = self._connect_until
        if self._untried:
            until = min(until, self._wanted_until)
        return max(0.0, until - self._loop.now()) / (len(self._untried) + 1)

    def _ask_dialer(self, dialer: Dialer) -> None:
        """Call the user's dialer, in a thread: it may block."""
        try:
            sock = _detached(dialer.dial(self.node, DIAL_TIMEOUT_S))
        except BaseException as error:  # the top of a thread, and the user's code
            self._dialer_failed(error)
            return
        if not self._loop.post(self._connected, sock, None):
            sock.close()

    def _dialer_failed(self, error: BaseException) -> None:
        """Report the dialer's error. Still in its thread: ``str(error)`` may run user code, too."""
        try:
            if isinstance(error, OSError):
                self._loop.post(self._not_connected, tcp_error(error))
                return
            self._log.error("the dialer failed on %s", self.node, exc_info=error)
            refusal = Unreachable(f"the dialer failed: {error!r}")
        except Exception:
            refusal = Unreachable(f"the dialer failed with a {type(error).__name__} without a text")
        self._loop.post(self._finish, refusal)

    def _connected(self, sock: StreamSocket | None, error: OSError | None) -> None:
        self._connecting = None
        if sock is None:
            assert error is not None
            self._not_connected(tcp_error(error))
        elif self._over:
            sock.close()
        else:
            self._shake_hands(sock)

    def _not_connected(self, error: ConnectError) -> None:
        if not self._over:
            self._failures.append(error)
            self._open_next()

    # the handshake

    def _shake_hands(self, sock: StreamSocket) -> None:
        try:
            self._session = self._open_session(sock, self.node, self.static, self._settled)
        except OSError as error:  # a selector that watches no more sockets (ENOSPC, ENOMEM)
            sock.close()
            self._finish(tcp_error(error))

    def _settled(self, session: Session) -> None:
        self._finish(session.peer or session_error(session, self._config))

    def _run_blocking(self, kind: str, job: Callable[[], None]) -> None:
        self._launcher.run(f"p2p-{kind}-{self.node.id.short}", job, self._has_no_thread)

    def _has_no_thread(self, error: RuntimeError) -> None:
        """Report that no thread could be started. Any thread may call it."""
        refusal = Unreachable(f"cannot start a thread: {error}")
        self._loop.post(self._finish, refusal)


def _is_of_a_node(ip: IPAddress) -> bool:
    return not (is_unspecified(ip) or is_multicast(ip))


def _detached(sock: object) -> socket.socket:
    """Move the connection of the dialer's socket into a new socket object, and return that.

    The dialer's object is detached: if the dialer uses or closes it later, nothing happens to the
    connection. Raises TypeError if ``sock`` is not an open, plain TCP socket.
    """
    import ssl  # 5 ms, and wanted with a dialer only

    if not isinstance(sock, socket.socket) or sock.fileno() < 0:
        raise TypeError(f"want an open socket, not {sock!r}")
    if isinstance(sock, ssl.SSLSocket):
        raise TypeError("want a plain TCP socket: RLPx has its own encryption, and TLS no place")
    return socket.socket(fileno=sock.detach())


def address_text(node: Node) -> str:
    """Return the "host:port" at which a node is dialed, or "unknown", for logs."""
    host = node.hostname or node.ip
    return "unknown" if host is None else join_host_port(str(host), node.tcp)


def fail(waiter: Future[Peer], error: BaseException) -> None:
    """Give a waiter its error, unless it is already done. Any thread."""
    with suppress(InvalidStateError):
        waiter.set_exception(error)


def answer(waiter: Future[Peer], peer: Peer) -> None:
    """Give a waiter its peer, unless it is already done. Any thread.

    If the peer has left before its handlers could begin, the waiter gets ConnectionLost.
    """
    with suppress(InvalidStateError):
        if peer._is_unserved:
            text = "the connection ended while handlers of the previous one were still running"
            error = ConnectionLost(f"{text}: {peer.disconnect_reason}", DialStep.CONNECTED)
            waiter.set_exception(error)
        else:
            waiter.set_result(peer)
