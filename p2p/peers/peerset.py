"""The set of connections: those in their handshake, the peers, and the admission of new ones.

Owned by ``p2p-io``; other threads may only call :meth:`PeerSet.peers` and take peers out of its
backlog. It makes the sessions, decides about them by the rules of :mod:`p2p.peers.admission`, and
informs the dials and the program about peers that join and leave. It opens no connection itself.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Literal, Protocol

from p2p.config import Config
from p2p.enode import Node, NodeID
from p2p.errors import DiscReason, LoopCrashed, ServerStopped
from p2p.feed import Feed
from p2p.net import Limiter, Loop, StreamSocket
from p2p.netutil import Endpoint
from p2p.observe import Observer
from p2p.peers.admission import InboundThrottle, check_peer, is_allowed_address
from p2p.peers.backlog import Backlog
from p2p.peers.endings import EndLog
from p2p.peers.event import PeerEvent
from p2p.peers.handlers import Handlers
from p2p.peers.holds import Holds
from p2p.peers.maker import PeerMaker
from p2p.peers.observing import Observing
from p2p.peers.outcomes import (
    DIAL_KINDS,
    DISPLACED,
    REFUSAL_TEXTS,
    RESTRICTED,
    SERVE_KINDS,
    THROTTLED,
    Outcomes,
    kind_of,
)
from p2p.peers.peer import Peer
from p2p.peers.phase import Ending
from p2p.peers.session import Session
from p2p.peers.traffic import Totals
from p2p.rlpx import Connection, Hello
from p2p.rlpx.messages import VERSION
from p2p.threads import Launcher

#: "No port" for the listening port of our hello, a field that nodes ignore (rlpx.md).
_NO_PORT = 0


class PeerWatcher(Protocol):
    """Interface of the dials, as the peer set uses it; on ``p2p-io``."""

    def is_static(self, node_id: NodeID) -> bool:
        """Whether the node is to be kept connected."""

    def is_awaited(self, node_id: NodeID) -> bool:
        """Whether a call of ``connect`` waits for the node."""

    def peer_added(self, node_id: NodeID, dialed: bool) -> None:
        """Note that a node became a peer; ``dialed`` if we dialed it."""

    def peer_removed(self, node_id: NodeID, dialed: bool) -> None:
        """Note that a peer left; ``dialed`` as it was given to :meth:`peer_added`."""

    def schedule(self) -> None:
        """Dial the nodes that may be dialed now: a peer left, or an inbound handshake failed."""


class PeerSet:
    """All sessions of a server. ``watcher`` is set before the first."""

    watcher: PeerWatcher

    def __init__(
        self,
        config: Config,
        loop: Loop,
        launcher: Launcher,
        events: Feed[PeerEvent],
        logger: logging.Logger,
        observers: Sequence[Observer] = (),
    ) -> None:
        # fixed after __init__
        self._config = config
        self._loop = loop
        self._events = events
        self._log = logger.getChild("server")
        self._end_log = EndLog(config.clock)
        self._observing = Observing(observers, config.clock, self._log)
        public_key = config.private_key.public_key
        self._self_id = NodeID.from_public_key(public_key)
        self._max_inbound = config.max_inbound_conns
        self._max_lingering = max(config.max_peers, config.max_pending_peers)
        caps = sorted(protocol.cap for protocol in config.protocols)
        self._hello = Hello(VERSION, config.name, caps, _NO_PORT, public_key.to_bytes())
        self._offers = [(protocol.cap, protocol.length) for protocol in config.protocols]
        self._maker = PeerMaker(config, events, logger)
        self.backlog = Backlog(self._max_lingering)
        self.totals = Totals(caps)
        self.handle_times = self._maker.handle_times
        self.request_totals = self._maker.request_totals
        self.serves = Outcomes(SERVE_KINDS)
        self.dials = Outcomes(DIAL_KINDS)
        # owned by p2p-io
        self._download = _limiter(loop, config.max_download, config.max_download_per_peer)
        self._upload = _limiter(loop, config.max_upload, config.max_upload_per_peer)
        self._throttle = InboundThrottle(own=config._own)
        self._trusted: set[bytes] = {node.id for node in config.trusted_nodes}
        self._sessions: set[Session] = set()
        self._open: set[Session] = set()  # those whose sockets are open
        # inbound sessions in their handshake, the oldest first
        self._pending: dict[Session, None] = {}
        # inbound sessions that failed in it, while their sockets are open, the oldest first
        self._failed: dict[Session, None] = {}
        self._watchers: dict[Session, Callable[[Session], None]] = {}
        self._holds = Holds(self._self_id, loop, self._go_on)
        self._peers: dict[bytes, Session] = {}
        self._handlers = Handlers(loop, launcher, self._end_log)
        self._inbound_peers = 0
        self._stopping = False
        self.on_sockets_closed: Callable[[], None] = _nothing
        # replaced, never changed, by p2p-io; read by any thread
        self._snapshot: tuple[Peer, ...] = ()

    @property
    def peers(self) -> tuple[Peer, ...]:
        """Return the peers at this moment. Any thread."""
        return self._snapshot

    @property
    def pending(self) -> int:
        """Number of inbound connections in their handshake. Any thread."""
        return len(self._pending)

    @property
    def is_full(self) -> bool:
        """Whether there are ``max_peers`` peers."""
        return len(self._peers) >= self._config.max_peers

    # making sessions

    def accept(self, sock: StreamSocket, addr: Endpoint) -> None:
        """Take an inbound connection, or close it at once if its address is refused.

        Raises OSError if the selector can watch no more sockets; the socket is the caller's then.
        """
        if self._stopping:
            sock.close()
            return
        refusal = self._check_address(addr)
        if refusal is not None:
            self.serves.refused[refusal] += 1
            self._log.debug("refused connection from %s: %s", addr, REFUSAL_TEXTS[refusal])
            sock.close()
            return
        if len(self._pending) >= self._config.max_pending_peers:
            self._make_room()
        session = self._add(Session(self._loop, sock, self._machine(sock), self, self.totals))
        self._pending[session] = None
        self.serves.begun += 1

    def dialed(
        self, sock: StreamSocket, node: Node, static: bool, on_settled: Callable[[Session], None]
    ) -> Session:
        """Take an outbound connection; call ``on_settled`` when it is a peer or has failed.

        Raises OSError if the selector can watch no more sockets; the socket is the caller's then.
        """
        machine, totals = self._machine(sock, node), self.totals
        session = Session(self._loop, sock, machine, self, totals, dest=node, static=static)
        self._add(session)
        self._watchers[session] = on_settled
        return session

    def _machine(self, sock: StreamSocket, dest: Node | None = None) -> Connection:
        return Connection(
            self._config.private_key,
            self._hello,
            self._offers,
            os.urandom,
            self._loop.now(),
            remote=None if dest is None else dest.public_key,
            accept_pre_eip8=self._config.accept_pre_eip8,
            observer=self._observing.observer(sock, dest),
        )

    def _add(self, session: Session) -> Session:
        self._sessions.add(session)
        self._open.add(session)
        return session

    def _check_address(self, addr: Endpoint) -> str | None:
        if not is_allowed_address(addr[0], self._config.netlist):
            return RESTRICTED
        if not self._throttle.check(addr[0], self._loop.now()):
            return THROTTLED
        return None

    def _make_room(self) -> None:
        """Abort the oldest inbound connection that is in its handshake.

        go-ethereum stops accepting while all slots are taken, so that 50 silent connections keep
        all other remotes out for 5 s. An honest remote completes its handshake within some round
        trips; a silent one gives way. The progress of a handshake does not count: up to the hello,
        which ends it, any remote can forge everything.
        """
        victim = next(iter(self._pending))
        self._log.debug("gave up %s: too many pending", victim.channel.remote_addr)
        victim.abort()
        self.serves.refused[DISPLACED] += 1

    def _let_linger(self, session: Session) -> None:
        """Let a connection that failed in its handshake linger, for the remote to read the reason.

        An attacker that wants to hold our sockets does not close, so at most ``max_pending_peers``
        of them linger, each for at most ``p2p.peers.session.FAILED_LINGER_S``.
        """
        self._failed[session] = None
        if len(self._failed) > self._config.max_pending_peers:
            oldest = next(iter(self._failed))
            del self._failed[oldest]
            oldest.abort()

    # decisions (SessionOwner)

    def identity_known(self, session: Session) -> None:
        self._go_on(session, may_hold=True)

    def hello_received(self, session: Session) -> None:
        if self._offers and not session.machine.shared:
            session.end_locally(DiscReason.USELESS_PEER)
        else:
            self._go_on(session, may_hold=True)

    def message_waiting(self, session: Session) -> None:
        self._holds.release(session)

    def _go_on(self, session: Session, may_hold: bool = False) -> None:
        """Refuse the session or let it continue; with ``may_hold`` it may be held first."""
        reason = self._check_peer(session)
        if reason is not None:
            session.end_locally(reason)
        elif not (may_hold and self._holds.hold(session)):
            session.go_on()

    def _check_peer(self, session: Session) -> DiscReason | None:
        if self._stopping:
            return DiscReason.QUITTING
        node_id = self._node_of(session).id
        trusted = node_id in self._trusted
        if not trusted and self._handlers.lingering_beside(node_id) >= self._max_lingering:
            return DiscReason.TOO_MANY_PEERS
        return check_peer(
            node_id,
            self_id=self._self_id,
            inbound=session.inbound and not self.watcher.is_static(node_id),
            trusted=trusted,
            connected=self._peers,
            peer_count=len(self._peers),
            inbound_count=self._inbound_peers,
            max_peers=self._config.max_peers,
            max_inbound=self._max_inbound,
        )

    # beginnings and ends (SessionOwner)

    def session_opened(self, session: Session) -> Peer:
        node = self._node_of(session)
        peer = session.peer = self._maker.make(session, node, node.id in self._trusted)
        self._peers[peer.id] = session
        session.channel.limit(self._download, self._upload)
        session.machine.set_observed(not self._observing.is_idle)
        self._inbound_peers += session.inbound
        self._outcomes_of(session).succeeded += 1
        self._publish_peers()
        self.watcher.peer_added(peer.id, dialed=not session.inbound)
        self._log.debug("added peer %s %r, now %d", peer, peer.fullname, len(self._peers))
        self._emit("add", peer)
        self._handlers.start(session)
        self.offer(peer)
        self._settle(session, peer)
        return peer

    def offer(self, peer: Peer) -> None:
        """Let ``accept`` return a peer, unless all its protocols have handlers, or it is taken.

        While a call of ``connect`` waits for the node, ``accept`` does not get it; see ``Dials``.
        """
        is_served = peer._handler_count == len(peer._running)
        if is_served or peer._is_taken or self.watcher.is_awaited(peer.id):
            return
        for dropped in self.backlog.put(peer):
            self._log.debug("peer %s has left before it was accepted", dropped)

    def session_closing(self, session: Session) -> None:
        if session.peer is None:
            self._settle(session, None)
            if session.inbound and session.linger_s:
                self._let_linger(session)

    def socket_closed(self, session: Session) -> None:
        self._open.discard(session)
        self._failed.pop(session, None)
        self._handlers.connection_closed(session)  # before any other code learns of the end
        self._drop_peer(session)
        self._check_stopped()

    def session_ended(self, session: Session) -> None:
        self._sessions.discard(session)
        self._handlers.ended(session)

    def _drop_peer(self, session: Session) -> None:
        peer = session.peer
        if peer is None or self._peers.get(peer.id) is not session:
            return
        del self._peers[peer.id]
        self._inbound_peers -= session.inbound
        self._publish_peers()
        self._outcomes_of(session).peer_left(peer.lifetime)
        self.watcher.peer_removed(peer.id, dialed=not session.inbound)
        self._log.debug("removed peer %s, now %d: %s", peer, len(self._peers), session.ending)
        if (ending := session.ending) is not None:
            self._end_log.peer_left(peer, ending.reason, ending.by_remote, ending.cause)
        self._emit("drop", peer, session.ending)
        peer._socket_closed()
        self.watcher.schedule()

    def _settle(self, session: Session, peer: Peer | None) -> None:
        """Note that the handshake is over; ``peer`` is None if it failed."""
        if session in self._pending:
            del self._pending[session]
        if peer is None:
            addr = session.channel.remote_addr
            self._log.debug("connection with %s failed: %s", addr, session.ending)
            if session.inbound:  # a dial counts its own failures: not all of them have a session
                self.serves.failed[kind_of(session.ending)] += 1
        watcher = self._watchers.pop(session, None)
        if session.node is not None:  # else the remote has not named its key yet
            self._holds.settled(session)
        if watcher is None:
            self.watcher.schedule()
        elif self._is_superseded(session):
            self._holds.defer(self._node_of(session).id, partial(watcher, session))
        else:
            watcher(session)  # the dial's end schedules the next dials

    def _is_superseded(self, session: Session) -> bool:
        """Whether the remote refused our dial, and may become a peer by its own connection."""
        node_id, ending = self._node_of(session).id, session.ending
        refused = ending is not None and ending.reason is DiscReason.ALREADY_CONNECTED
        return refused and node_id not in self._peers and self._holds.has_handshake(node_id)

    def _outcomes_of(self, session: Session) -> Outcomes:
        return self.serves if session.inbound else self.dials

    def _node_of(self, session: Session) -> Node:
        if session.node is None:
            assert session.machine.remote is not None
            ip, port = session.channel.remote_addr
            session.node = Node.from_parts(session.machine.remote, ip, port, port)
        return session.node

    def _publish_peers(self) -> None:
        self._snapshot = tuple(s.peer for s in self._peers.values() if s.peer is not None)

    def _emit(self, kind: Literal["add", "drop"], peer: Peer, ending: Ending | None = None) -> None:
        if not self._events.has_subscriptions and not self._observing.wants_peers:
            return  # making the event would cost more than sending the hello of the connection
        event = PeerEvent(
            type=kind,
            peer=peer.id,
            error="" if ending is None else str(ending),
            local=peer.local_addr,
            remote=peer.remote_addr,
        )
        self._events.publish(event)
        self._observing.peer_event(event)

    # commands

    def set_trusted(self, node_id: NodeID, trusted: bool) -> None:
        """Set whether a node may connect beyond ``max_peers``."""
        (self._trusted.add if trusted else self._trusted.discard)(node_id)
        session = self._peers.get(node_id)
        if session is not None and session.peer is not None:
            session.peer.trusted = trusted

    def disconnect(self, node_id: NodeID, reason: DiscReason) -> list[Peer]:
        """Disconnect a peer. Return the node's peers whose handlers have not returned."""
        connected = self._peers.get(node_id)
        if connected is not None:
            connected.end_locally(reason)
        sessions = (connected, self._handlers.lingering.get(node_id))
        return [s.peer for s in sessions if s is not None and s.peer is not None]

    def observe_again(self) -> None:
        """Call the observers of open connections, or leave them out, as they want it now."""
        is_observed = not self._observing.is_idle
        for session in self._sessions:
            if session.peer is not None:
                session.machine.set_observed(is_observed)

    def peer_of(self, node_id: NodeID) -> Peer | None:
        """Return the node's peer, if it is connected."""
        session = self._peers.get(node_id)
        return None if session is None else session.peer

    def handlers_wait(self, peer: Peer) -> bool:
        """Whether the peer's handlers wait for those of the node's previous connection."""
        return self._handlers.is_waiting(peer)

    def stop(self, linger_s: float, on_sockets_closed: Callable[[], None]) -> None:
        """End all sessions within ``linger_s`` seconds; then call ``on_sockets_closed``."""
        self._stopping = True
        self.backlog.close(_stopped)
        self.on_sockets_closed = on_sockets_closed
        for session in self._sessions:
            session.hurry(linger_s)
        for session in list(self._sessions):
            session.end_locally(DiscReason.QUITTING)
        self._check_stopped()

    def abort(self) -> None:
        """Close the remaining sockets at once, and drop the peers and their handlers."""
        self.backlog.close(_stopped)
        for session in list(self._sessions):
            session.abort()
            self._drop_peer(session)
            if session.peer is not None:
                session.peer._handlers_returned.open()

    def crash(self, cause: BaseException | None) -> None:
        """Wake all threads that wait on a session or for a peer: the loop has died of ``cause``."""

        def error() -> LoopCrashed:
            crashed = LoopCrashed(f"the I/O thread died: {cause!r}")
            crashed.__cause__ = cause
            return crashed

        self.backlog.close(error)
        self._snapshot = ()
        with ExitStack() as all_of_them:  # one that fails does not stop the others
            for session in list(self._sessions):
                if session.peer is not None:
                    all_of_them.callback(session.peer._handlers_returned.open)
                    all_of_them.callback(session.peer._socket_closed)
                all_of_them.callback(session.crash, cause)

    def _check_stopped(self) -> None:
        if self._stopping and not self._open:
            self.on_sockets_closed()


def _limiter(loop: Loop, rate: int | None, rate_each: int | None) -> Limiter | None:
    return None if rate is None and rate_each is None else Limiter(loop, rate, rate_each)


def _stopped() -> ServerStopped:
    return ServerStopped("the server stopped")


def _nothing() -> None:
    """Do nothing; the default callback."""
