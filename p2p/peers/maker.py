"""The peer of a session, with a read-writer for each protocol that both ends have.

Owned by ``p2p-io``, which calls it when a connection has passed all checks.
"""

from __future__ import annotations

import logging

from p2p.config import Config
from p2p.enode import Node
from p2p.feed import Feed
from p2p.metrics.requests import RequestTotals
from p2p.peers.event import PeerEvent
from p2p.peers.handletimes import HandleTimes
from p2p.peers.peer import Peer, PeerTraits, ProtocolReadWriter
from p2p.peers.session import Session
from p2p.rlpx import SharedCap


class PeerMaker:
    """A maker of peers by the options of a server. Their handlers are timed in ``handle_times``."""

    def __init__(self, config: Config, events: Feed[PeerEvent], logger: logging.Logger) -> None:
        # fixed after __init__
        self._clock = config.clock
        self._events = events if config.enable_msg_events else None
        self._log = logger.getChild("peer")
        self._protocols = {protocol.cap: protocol for protocol in config.protocols}
        self._offers = sorted(self._protocols)
        self.handle_times = HandleTimes(config.clock, self._protocols)
        self.request_totals = {cap: RequestTotals() for cap in self._protocols}

    def make(self, session: Session, node: Node, trusted: bool) -> Peer:
        """Return the peer ``node`` of a session whose hello has been accepted."""
        traits = self._traits(session, node, trusted)
        outbox, traffic = session.outbox, session.traffic
        peer = Peer(traits, self._clock, self._log, session.disconnect, outbox, traffic)
        for shared in session.machine.shared:
            peer._running.append(self._read_writer(peer, session, shared))
        return peer

    def _traits(self, session: Session, node: Node, trusted: bool) -> PeerTraits:
        machine, channel = session.machine, session.channel
        assert machine.remote_hello is not None
        return PeerTraits(
            node=node,
            name=machine.remote_hello.name,
            caps=machine.remote_hello.caps,
            inbound=session.inbound,
            static_dialed=session.static,
            trusted=trusted,
            remote_addr=channel.remote_addr,
            local_addr=channel.local_addr,
            compressed=machine.compresses,
            offers=self._offers,
            handlers=sum(self._protocols[s.cap].run is not None for s in machine.shared),
        )

    def _read_writer(self, peer: Peer, session: Session, shared: SharedCap) -> ProtocolReadWriter:
        protocol = self._protocols[shared.cap]
        rw = ProtocolReadWriter(
            peer, protocol, shared, session.outbox, session.resume, self._events
        )
        rw._request_totals = self.request_totals[shared.cap]
        if protocol.run is not None:
            rw._stopwatch = self.handle_times.stopwatch(shared.cap)
        return rw
