"""Dialing: carries out what the scheduler decides and what ``connect`` asks for.

Owned by ``p2p-io``. A dial goes through looking up a host name (in a thread of its own), opening
the TCP connection (on the loop, or by the user's dialer in a thread of its own) and the session's
handshake. However it ends, the attempt is logged, the scheduler is told, and whoever waits for the
dial gets the peer or the precise error.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from ipaddress import ip_address

from p2p.config import Config
from p2p.dial import AttemptLog, DialAttempt, DialScheduler
from p2p.enode import Node
from p2p.errors import (
    AlreadyConnected,
    ConnectError,
    ConnectionLost,
    DialRefused,
    DialStep,
    DialTimeout,
    DiscReason,
    HandshakeFailed,
    IsSelf,
    NameNotResolved,
    NoSharedCapability,
    RecentlyDialed,
    RefusedByPeer,
    RemoteTimeout,
    ServerStopped,
    Throttled,
    TooManyPeers,
    UnexpectedIdentity,
    Unreachable,
    WrongIdentity,
)
from p2p.net import Connecting, Loop, Timer
from p2p.netutil import IPAddress, is_lan, join_host_port
from p2p.peer import Peer, printable
from p2p.peerset import PeerSet
from p2p.rlpx import State
from p2p.session import Session

#: From the first packet to the TCP connection.
DIAL_TIMEOUT_S = 15.0
#: How much of a stranger's capabilities an error shows: of each, and how many. Real names have up
#: to 8 letters, real nodes up to 10 capabilities.
CAP_LENGTH, MAX_CAPS = 30, 20


class Dialing:
    """All dials of a server, and their history."""

    def __init__(
        self,
        config: Config,
        loop: Loop,
        peer_set: PeerSet,
        scheduler: DialScheduler[Node],
        logger: logging.Logger,
    ) -> None:
        # fixed after __init__
        self._config = config
        self._loop = loop
        self._peer_set = peer_set
        self._scheduler = scheduler
        self._log = logger.getChild("server")
        # owned by p2p-io
        self.attempts = AttemptLog()
        self._dials: dict[bytes, Dial] = {}
        self._timer: Timer | None = None
        self._stopped = False
        self._threads: list[threading.Thread] = []

    def schedule(self) -> None:
        """Begin what is due, and wake up for what will be."""
        if self._stopped or self._config.no_dial:
            return
        now = self._loop.now()
        for node in self._scheduler.poll(now):
            self._begin(node, static=True)
        if self._timer is not None:
            self._timer.cancel()
        deadline = self._scheduler.next_deadline(now)
        self._timer = None if deadline is None else self._loop.call_at(deadline, self.schedule)

    def connect(self, node: Node, timeout_s: float, waiter: Future[Peer]) -> None:
        """Dial ``node`` now, or join the dial under way; the outcome goes to ``waiter``."""
        dial = self._dials.get(node.id)
        if dial is None:
            error = self._check(node)
            if error is not None:
                self.attempts.add(node.id, self._attempt(node, error.step, error))
                _fail(waiter, error)
                return
            self._scheduler.begin(node, self._loop.now())
            dial = self._begin(node, static=self._scheduler.is_static(node.id))
        dial.waiters.append(waiter)
        timer = self._loop.call_later(timeout_s, self._give_up, dial, waiter, timeout_s)
        waiter.add_done_callback(lambda _: self._loop.post(timer.cancel))

    def stop(self) -> list[threading.Thread]:
        """Give up all dials; returns the threads that may still be at work."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
        for dial in list(self._dials.values()):
            dial.cancel(ServerStopped("the server stopped"))
        self._dials.clear()
        return self._threads

    def run_blocking(self, name: str, job: Callable[[], None]) -> None:
        """Run a blocking job in a thread of its own."""
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        thread = threading.Thread(target=job, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _check(self, node: Node) -> ConnectError | None:
        if self._stopped:
            return ConnectError("the server is stopping")
        error = self._scheduler.check_dial(node, self._loop.now())
        if not isinstance(error, RecentlyDialed):
            return error
        if node.ip is not None and is_lan(node.ip):
            return self._scheduler.check_room(node.id)
        return Throttled(
            f"{error}: nodes close a second connection from one address within 30 s",
            error.retry_in_s,
        )

    def _begin(self, node: Node, static: bool) -> Dial:
        self._log.debug("dialing %s at %s", node.id.short, _address_text(node))
        dial = Dial(self, node, static)
        self._dials[node.id] = dial
        dial.start()
        return dial

    def finished(self, dial: Dial, outcome: Peer | ConnectError) -> None:
        """A dial has ended."""
        node = dial.node
        self._dials.pop(node.id, None)
        error = outcome if isinstance(outcome, ConnectError) else None
        step = DialStep.CONNECTED if error is None else error.step
        attempt = self._attempt(node, step, error)
        self.attempts.add(node.id, attempt)
        self._log.debug("dial of %s: %s", node.id.short, attempt.outcome)
        for waiter in dial.waiters:
            if isinstance(outcome, ConnectError):
                _fail(waiter, outcome)
            elif not waiter.done():
                waiter.set_result(outcome)
        self._scheduler.dial_done(node.id)
        self.schedule()

    def _attempt(self, node: Node, step: DialStep, error: ConnectError | None) -> DialAttempt:
        return DialAttempt(self._config.clock.time_unix(), _address_text(node), step, error)

    def _give_up(self, dial: Dial, waiter: Future[Peer], timeout_s: float) -> None:
        """A caller of ``connect`` has no more time. A dial of a static node goes on without it."""
        error = DialTimeout(f"no {dial.step} within {timeout_s:g} s", dial.step)
        _fail(waiter, error)
        if not dial.static and all(other.done() for other in dial.waiters):
            dial.cancel(error)
            self.finished(dial, error)


class Dial:
    """One dial, from the host name to the peer."""

    def __init__(self, dialing: Dialing, node: Node, static: bool) -> None:
        self.node = node
        self.static = static
        self.waiters: list[Future[Peer]] = []
        self._dialing = dialing
        self._loop = dialing._loop
        self._config = dialing._config
        self._step = DialStep.RESOLVE if node.hostname else DialStep.TCP
        self._connecting: Connecting | None = None
        self._session: Session | None = None
        self._over = False

    @property
    def step(self) -> DialStep:
        """What the dial is waiting for."""
        return self._step if self._session is None else self._session.machine.step

    def start(self) -> None:
        if self.node.hostname:
            self._run_blocking("dns", self._look_up)
        else:
            self._open()

    def cancel(self, error: Exception) -> None:
        """Give up without a report to :class:`Dialing`; waiters get ``error``."""
        self._over = True
        if self._connecting is not None:
            self._connecting.cancel()
        if self._session is not None:
            self._session.end_locally(DiscReason.REQUESTED)
        for waiter in self.waiters:
            _fail(waiter, error)

    def _finish(self, outcome: Peer | ConnectError) -> None:
        if not self._over:
            self._over = True
            self._dialing.finished(self, outcome)

    # the name

    def _look_up(self) -> None:
        """In a helper thread: names may take seconds, and each dial asks anew."""
        name = self.node.hostname
        try:
            found = socket.getaddrinfo(name, self.node.tcp, type=socket.SOCK_STREAM)
            addresses = [ip_address(str(info[4][0]).partition("%")[0]) for info in found]
        except (OSError, UnicodeError) as error:
            text = f"cannot look up {name}: {error}"
            self._loop.post(self._finish, NameNotResolved(text))
            return
        self._loop.post(self._resolved, addresses)

    def _resolved(self, addresses: list[IPAddress]) -> None:
        if self._over:
            return
        if not addresses:
            self._finish(NameNotResolved(f"{self.node.hostname} has no address"))
            return
        # IPv4 first, as go-ethereum does: it is the one that more networks can reach.
        addresses.sort(key=lambda ip: ip.version)
        self.node = self.node.with_ip(addresses[0])
        self._open()

    # the TCP connection

    def _open(self) -> None:
        self._step = DialStep.TCP
        node = self.node
        assert node.ip is not None
        refusal = self._dialing._scheduler.check_address(node.ip)
        if refusal is not None:
            self._loop.post(self._finish, refusal)
        elif self._config.dialer is not None:
            self._run_blocking("dial", self._ask_dialer)
        else:
            address = (node.ip, node.tcp)
            self._connecting = Connecting(self._loop, address, DIAL_TIMEOUT_S, self._connected)

    def _ask_dialer(self) -> None:
        """In a helper thread: the user's dialer may block."""
        assert self._config.dialer is not None
        try:
            sock = self._config.dialer.dial(self.node, DIAL_TIMEOUT_S)
            if not isinstance(sock, socket.socket) or sock.fileno() < 0:
                raise TypeError(f"want an open socket, not {sock!r}")
        except OSError as error:
            self._loop.post(self._connected, None, error)
            return
        except BaseException as error:  # the top of a thread, and the user's code
            self._dialing._log.exception("the dialer failed on %s", self.node)
            self._loop.post(self._finish, Unreachable(f"the dialer failed: {error!r}"))
            return
        if not self._loop.post(self._connected, sock, None):
            sock.close()

    def _connected(self, sock: socket.socket | None, error: OSError | None) -> None:
        self._connecting = None
        if sock is None:
            assert error is not None
            self._finish(_tcp_error(error))
        elif self._over:
            sock.close()
        else:
            self._session = self._dialing._peer_set.dialed(
                sock, self.node, self.static, self._settled
            )

    # the handshake

    def _settled(self, session: Session) -> None:
        if session.peer is not None:
            self._finish(session.peer)
        else:
            self._finish(_session_error(session, self._config))

    def _run_blocking(self, kind: str, job: Callable[[], None]) -> None:
        try:
            self._dialing.run_blocking(f"p2p-{kind}-{self.node.id.short}", job)
        except RuntimeError as error:  # the system has no more threads
            self._loop.post(self._finish, Unreachable(f"cannot start a thread: {error}"))


def _tcp_error(error: OSError) -> ConnectError:
    """The named error for what a connect failed with."""
    made: ConnectError
    if isinstance(error, ConnectionRefusedError):
        made = DialRefused(str(error))
    elif isinstance(error, TimeoutError):
        made = DialTimeout(f"no TCP connection: {error}", DialStep.TCP)
    else:
        made = Unreachable(str(error))
    made.__cause__ = error
    return made


def _session_error(session: Session, config: Config) -> ConnectError:
    """The named error for how a dialed session ended before it was a peer."""
    ending = session.ending
    assert ending is not None
    made: ConnectError
    if isinstance(ending.cause, RemoteTimeout):
        made = DialTimeout(str(ending.cause), ending.step)
    elif isinstance(ending.cause, UnexpectedIdentity):
        made = WrongIdentity(str(ending.cause))
    elif ending.cause is not None and not isinstance(ending.cause, OSError):
        made = HandshakeFailed(f"{type(ending.cause).__name__}: {ending.cause}", ending.step)
    elif ending.by_remote and session.machine.state is State.CLOSED:  # by a Disconnect
        made = RefusedByPeer(ending.reason, ending.step)
    elif ending.by_remote:
        made = ConnectionLost(_lost_text(ending.step, ending.cause), ending.step)
    else:
        made = _own_refusal(ending.reason, session, config)
    made.__cause__ = ending.cause
    return made


def _own_refusal(reason: DiscReason, session: Session, config: Config) -> ConnectError:
    if reason is DiscReason.USELESS_PEER and session.machine.remote_hello is not None:
        ours = sorted(protocol.cap for protocol in config.protocols)
        theirs = session.machine.remote_hello.caps
        text = f"no capability in common: ours {_join(ours)}, theirs {_join(theirs)}"
        return NoSharedCapability(text, ours, theirs)
    if reason is DiscReason.TOO_MANY_PEERS:
        return TooManyPeers("max_peers was reached while the connection was made", DialStep.HELLO)
    if reason is DiscReason.ALREADY_CONNECTED:
        return AlreadyConnected("the node became a peer in the meantime", DialStep.HELLO)
    if reason is DiscReason.SELF:
        return IsSelf("the node is this node", DialStep.HELLO)
    return ConnectionLost(f"connection given up: {reason}", session.machine.step)


def _lost_text(step: DialStep, cause: object) -> str:
    text = f"remote closed the connection where {step} was expected"
    if cause is not None:
        text += f" ({cause})"
    if step is DialStep.ACK:
        text += (
            "; it does so if its public key is another one, if all its handshake slots are taken, "
            "or if our address has connected within the last 30 s"
        )
    return text


def _join(caps: object) -> str:
    assert isinstance(caps, (list, tuple))
    text = ", ".join(printable(str(cap), CAP_LENGTH) for cap in caps[:MAX_CAPS])
    return f"[{text}]" if len(caps) <= MAX_CAPS else f"[{text}, ...]"


def _address_text(node: Node) -> str:
    host = node.hostname or node.ip
    return "unknown" if host is None else join_host_port(str(host), node.tcp)


def _fail(waiter: Future[Peer], error: Exception) -> None:
    if not waiter.done():
        waiter.set_exception(error)
