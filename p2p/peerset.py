"""The set of connections: which are in their handshake, which are peers, and who may join.

Owned by ``p2p-io``; of its methods only :meth:`PeerSet.peers` may be called by other threads. It
makes the sessions, answers their questions by the rules of :mod:`p2p.admission`, keeps the dial
scheduler informed, and publishes who came and who went. It opens no connection itself.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable
from typing import Literal

from p2p.admission import (
    InboundThrottle,
    check_peer,
    is_allowed_address,
    max_inbound_conns,
)
from p2p.config import Config
from p2p.dial import DialScheduler
from p2p.enode import Node, NodeID
from p2p.errors import DiscReason
from p2p.events import Feed, PeerEvent
from p2p.net import Address, Loop, format_address
from p2p.netutil import join_host_port
from p2p.peer import Peer, PeerTraits, ProtocolReadWriter
from p2p.rlpx import Connection, Hello, State
from p2p.rlpx.base import VERSION
from p2p.rlpx.connection import HANDSHAKE_TIMEOUT_S
from p2p.session import Ending, Phase, Session
from p2p.worker import Launcher

#: The kernel's name for "no port": hello's field is of no use to anybody (rlpx.md).
_NO_PORT = 0


class PeerSet:
    """All sessions of a server. ``on_change`` is called whenever the scheduler may want to dial."""

    def __init__(
        self,
        config: Config,
        loop: Loop,
        scheduler: DialScheduler[Node],
        launcher: Launcher,
        events: Feed[PeerEvent],
        logger: logging.Logger,
    ) -> None:
        # fixed after __init__
        self._config = config
        self._loop = loop
        self._scheduler = scheduler
        self._launcher = launcher
        self._events = events
        self._log = logger.getChild("server")
        self._peer_log = logger.getChild("peer")
        public_key = config.private_key.public_key
        self._self_id = NodeID.from_public_key(public_key)
        scheduler.set_full(config.max_peers == 0)  # which is so before the first peer comes
        self._max_inbound = max_inbound_conns(
            config.max_peers, config.dial_ratio, config.no_dial
        )
        caps = sorted(protocol.cap for protocol in config.protocols)
        self._hello = Hello(VERSION, config.name, caps, _NO_PORT, public_key.to_bytes())
        self._offers = [(protocol.cap, protocol.length) for protocol in config.protocols]
        self._protocols = {protocol.cap: protocol for protocol in config.protocols}
        self.on_change: Callable[[], None] = _nothing
        # owned by p2p-io
        self._throttle = InboundThrottle()
        self._trusted: set[bytes] = {node.id for node in config.trusted_nodes}
        self._sessions: set[Session] = set()
        self._open: set[Session] = set()  # those whose sockets are open
        # inbound sessions in their handshake, the oldest first
        self._pending: dict[Session, None] = {}
        # inbound sessions that failed in it, while their sockets are open, the oldest first
        self._failed: dict[Session, None] = {}
        self._watchers: dict[Session, Callable[[Session], None]] = {}
        self._peers: dict[bytes, Session] = {}
        self._inbound_peers = 0
        self._stopping = False
        self.on_sockets_closed: Callable[[], None] = _nothing
        # replaced, never changed, by p2p-io; read by any thread
        self._snapshot: tuple[Peer, ...] = ()

    def peers(self) -> tuple[Peer, ...]:
        """The peers at this moment. Any thread."""
        return self._snapshot

    # making sessions

    def accept(self, sock: socket.socket, addr: Address) -> None:
        """Take an inbound connection, or close it at once if its address is not welcome.

        Raises OSError if the selector watches no more sockets; the socket is the caller's then.
        """
        refusal = self._check_address(addr)
        if refusal is not None:
            self._log.debug("refused connection from %s: %s", format_address(addr), refusal)
            sock.close()
            return
        if len(self._pending) >= self._config.max_pending_peers:
            self._make_room()
        session = self._add(Session(self._loop, sock, self._machine(), self))
        self._pending[session] = None

    def dialed(
        self, sock: socket.socket, node: Node, static: bool, on_settled: Callable[[Session], None]
    ) -> Session:
        """Take an outbound connection. ``on_settled`` is told when it is a peer or has failed.

        Raises OSError if the selector watches no more sockets; the socket is the caller's then.
        """
        machine = self._machine(node)
        session = self._add(Session(self._loop, sock, machine, self, dest=node, static=static))
        self._watchers[session] = on_settled
        return session

    def _machine(self, dest: Node | None = None) -> Connection:
        return Connection(
            self._config.private_key,
            self._hello,
            self._offers,
            os.urandom,
            self._loop.now(),
            remote=None if dest is None else dest.public_key,
            accept_pre_eip8=self._config.accept_pre_eip8,
        )

    def _add(self, session: Session) -> Session:
        self._sessions.add(session)
        self._open.add(session)
        return session

    def _check_address(self, addr: Address) -> str | None:
        if self._stopping:
            return "stopping"
        if not is_allowed_address(addr[0], self._config.netlist):
            return "outside net_restrict"
        if not self._throttle.check(addr[0], self._loop.now()):
            return "too many attempts"
        return None

    def _make_room(self) -> None:
        """Give up the oldest connection that is in its handshake.

        go-ethereum stops accepting while all slots are taken, so that 50 silent connections keep
        everybody else out for 5 s. Whoever means it is done within some round trips; whoever is
        silent gives way. How far a handshake has come counts for nothing: up to the hello, which
        ends it, everybody can forge everything.
        """
        victim = next(iter(self._pending))
        self._log.debug("gave up %s: too many pending", format_address(victim.channel.remote_addr))
        victim.abort()

    def _let_linger(self, session: Session) -> None:
        """A connection has failed in its handshake, and may linger for its last words to be read.

        Whoever wants to hold our sockets does not close, so no more than may be pending linger, and
        each for ``p2p.session.STRANGER_LINGER_S`` at most.
        """
        self._failed[session] = None
        if len(self._failed) > self._config.max_pending_peers:
            oldest = next(iter(self._failed))
            del self._failed[oldest]
            oldest.abort()

    # decisions (SessionOwner)

    def identity_known(self, session: Session) -> DiscReason | None:
        return self._check_peer(session, self._node_of(session).id)

    def hello_received(self, session: Session) -> DiscReason | None:
        if self._offers and not session.machine.shared:
            return DiscReason.USELESS_PEER
        node_id = self._node_of(session).id
        reason = self._check_peer(session, node_id)
        replaced = self._replaced_by(session, node_id)
        if reason is None and replaced is not None:
            replaced.end_locally(DiscReason.ALREADY_CONNECTED)
            self._drop_peer(replaced)
        return reason

    # Two nodes that dial each other at once could each keep the connection that it happened to
    # complete first, and refuse the other's. So both keep the one that the node with the greater ID
    # has dialed. That node refuses the other connection while it awaits the answer to its hello;
    # for the node with the smaller ID, the hello that it gets takes the place of its own dial.
    # Before that hello it does not give way: until then anybody may claim to be the greater node.

    def _gives_way(self, session: Session, node_id: NodeID) -> bool:
        """Whether ours is the greater ID, and our own dial is to be kept instead of ``session``."""
        if not session.inbound or node_id > self._self_id:
            return False
        return any(
            other.phase is Phase.HANDSHAKE
            and other.machine.state is State.AWAIT_HELLO
            and other.machine.remote == session.machine.remote
            for other in self._watchers
        )

    def _replaced_by(self, session: Session, node_id: NodeID) -> Session | None:
        """Our own dial, a peer since a moment, which the greater node's dial is kept instead of."""
        own = self._peers.get(node_id)
        if own is None or own.inbound or not session.inbound or node_id < self._self_id:
            return None
        assert own.peer is not None
        return own if own.peer.lifetime < HANDSHAKE_TIMEOUT_S else None

    def _check_peer(self, session: Session, node_id: NodeID) -> DiscReason | None:
        if self._stopping:
            return DiscReason.QUITTING
        if self._gives_way(session, node_id):
            return DiscReason.ALREADY_CONNECTED
        replaces = self._replaced_by(session, node_id) is not None
        return check_peer(
            node_id,
            self_id=self._self_id,
            inbound=session.inbound,
            trusted=node_id in self._trusted,
            connected=() if replaces else self._peers,  # it would be found there, and nobody else
            peer_count=len(self._peers) - replaces,
            inbound_count=self._inbound_peers,
            max_peers=self._config.max_peers,
            max_inbound=self._max_inbound,
        )

    # coming and going (SessionOwner)

    def session_opened(self, session: Session) -> Peer:
        peer = session.peer = self._make_peer(session)
        self._peers[peer.id] = session
        self._inbound_peers += session.inbound
        self._scheduler.peer_added(peer.id, dialed=not session.inbound)
        self._publish_peers()
        self._log.debug("added peer %s %r, now %d", peer, peer.fullname, len(self._peers))
        self._tell("add", peer)
        self._launcher.launch(peer, session.worker_ended)
        self._settle(session, peer)
        return peer

    def session_closing(self, session: Session) -> None:
        if session.peer is None:
            self._settle(session, None)
            if session.inbound and session.linger_s:
                self._let_linger(session)

    def socket_closed(self, session: Session) -> None:
        self._open.discard(session)
        self._failed.pop(session, None)
        self._check_stopped()

    def session_ended(self, session: Session) -> None:
        self._sessions.discard(session)
        self._drop_peer(session)

    def _drop_peer(self, session: Session) -> None:
        peer = session.peer
        if peer is None or self._peers.get(peer.id) is not session:
            return
        del self._peers[peer.id]
        self._inbound_peers -= session.inbound
        self._publish_peers()
        self._scheduler.peer_removed(peer.id, dialed=not session.inbound)
        self._log.debug("removed peer %s, now %d: %s", peer, len(self._peers), session.ending)
        self._tell("drop", peer, session.ending)
        self.on_change()

    def _settle(self, session: Session, peer: Peer | None) -> None:
        """The handshake is over, one way or the other."""
        if session in self._pending:
            del self._pending[session]
        if peer is None:
            addr = format_address(session.channel.remote_addr)
            self._log.debug("connection with %s failed: %s", addr, session.ending)
        watcher = self._watchers.pop(session, None)
        if watcher is None:
            self.on_change()
        else:
            watcher(session)  # whoever has dialed schedules what comes next

    def _make_peer(self, session: Session) -> Peer:
        machine, channel = session.machine, session.channel
        node = self._node_of(session)
        assert machine.remote_hello is not None
        traits = PeerTraits(
            node=node,
            name=machine.remote_hello.name,
            caps=machine.remote_hello.caps,
            inbound=session.inbound,
            static_dialed=session.static,
            trusted=node.id in self._trusted,
            remote_addr=_plain(channel.remote_addr),
            local_addr=_plain(channel.local_addr),
            compressed=machine.compresses,
        )
        peer = Peer(traits, self._config.clock, self._peer_log, session.disconnect)
        events = self._events if self._config.enable_msg_events else None
        for shared in machine.shared:
            protocol = self._protocols[shared.cap]
            peer.running.append(
                ProtocolReadWriter(peer, protocol, shared, session.outbox, session.resume, events)
            )
        return peer

    def _node_of(self, session: Session) -> Node:
        if session.node is None:
            assert session.machine.remote is not None
            ip, port = session.channel.remote_addr
            session.node = Node.from_parts(session.machine.remote, ip, port, port)
        return session.node

    def _publish_peers(self) -> None:
        self._snapshot = tuple(s.peer for s in self._peers.values() if s.peer is not None)
        self._scheduler.set_full(len(self._peers) >= self._config.max_peers)

    def _tell(self, kind: Literal["add", "drop"], peer: Peer, ending: Ending | None = None) -> None:
        if not self._events.has_subscriptions:
            return  # for each connection it would cost more than sending its hello
        self._events.publish(
            PeerEvent(
                type=kind,
                peer=peer.id,
                error="" if ending is None else str(ending),
                local=join_host_port(*peer.local_addr),
                remote=join_host_port(*peer.remote_addr),
            )
        )

    # commands

    def set_trusted(self, node_id: NodeID, trusted: bool) -> None:
        """Let a node in beyond ``max_peers``, or no longer."""
        (self._trusted.add if trusted else self._trusted.discard)(node_id)
        self._scheduler.set_trusted(node_id, trusted)
        session = self._peers.get(node_id)
        if session is not None and session.peer is not None:
            session.peer.trusted = trusted
        self.on_change()

    def disconnect(self, node_id: NodeID, reason: DiscReason) -> bool:
        """Disconnect a peer; returns whether there was one."""
        session = self._peers.get(node_id)
        if session is not None:
            session.end_locally(reason)
        return session is not None

    def stop(self, linger_s: float, on_sockets_closed: Callable[[], None]) -> None:
        """End all sessions; ``on_sockets_closed`` is called when the last socket is closed."""
        self._stopping = True
        self.on_sockets_closed = on_sockets_closed
        for session in self._sessions:
            session.hurry(linger_s)
        for session in list(self._sessions):
            session.end_locally(DiscReason.QUITTING)
        self._check_stopped()

    def abort(self) -> None:
        """Close what is still open, in good order or not, and forget the peers, done or not."""
        for session in list(self._sessions):
            session.abort()
            self._drop_peer(session)

    def crash(self, cause: BaseException | None) -> None:
        """The loop is dead: wake everybody who waits on a session."""
        for session in list(self._sessions):
            session.crash(cause)
        self._snapshot = ()

    def _check_stopped(self) -> None:
        if self._stopping and not self._open:
            self.on_sockets_closed()


def _plain(addr: Address) -> tuple[str, int]:
    ip, port = addr
    return str(ip), port


def _nothing() -> None:
    """What is called as long as nobody listens."""
