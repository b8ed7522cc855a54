"""The engine of discovery v4: datagrams and time in, datagrams and events out.

Pure. It connects these parts, which are independent of each other:

===============  ===================================================================
`wire`           packets as bytes
`ratelimit`      rate limits on the recovery of signatures
`bonds`          endpoint proofs
`sender`         our packets, within the anti-amplification limit
`requests`       pending requests and their answers
`transport`      the queries of the shared parts, as requests
`skew`           signs of a wrong clock in answers
---------------  -------------------------------------------------------------------
of `discover`:
---------------  -------------------------------------------------------------------
`table`          known nodes: `bucket`, `revalidation`
`lookup`         lookups: `shortlist`, and the handling of answers
`maintenance`    seeds, refresh, revalidation
`operations`     the commands of the owner
`bootnodes`      addresses and silence of the bootnodes: `bootwatch`
===============  ===================================================================

This module has the rules for received packets (discovery v4, "Wire Protocol"). The cheapest check
comes first: an unsolicited reply costs the check of one byte, noise costs a hash; only then is a
signature recovered, as often as `ratelimit` allows. Dropped datagrams are counted by reason.

The order of calls is that of every engine (:mod:`p2p.discover.engine`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from p2p.crypto import Entropy, PrivateKey, keccak256
from p2p.discover.engine import Engine
from p2p.discover.event import Event
from p2p.discover.local import LocalView
from p2p.discover.lookup import relay_problem
from p2p.discover.observer import DiscoveryObserver, DiscoverySetup, observed
from p2p.discover.operations import Operations
from p2p.discover.ratelimit import Limits, SourceLimits
from p2p.discover.store import NodeStore
from p2p.discover.table.bucket import BUCKET_SIZE
from p2p.discover.v4 import wire as v4wire
from p2p.discover.v4.bonds import Bonds
from p2p.discover.v4.requests import Requests
from p2p.discover.v4.sender import EXPIRATION_S, Encoder, Sender
from p2p.discover.v4.skew import SkewWatch
from p2p.discover.v4.transport import TransportV4
from p2p.discover.v4.wire import (
    MAX_PACKET_SIZE,
    TYPE_OFFSET,
    ENRRequest,
    ENRResponse,
    FindNode,
    NeighborNode,
    Neighbors,
    PacketType,
    Ping,
    Pong,
    Received,
    is_expired,
)
from p2p.enode.node import Node
from p2p.enode.nodeid import NodeID
from p2p.errors import PacketError
from p2p.inputs import Now, RandomSource
from p2p.netutil import LAN, Endpoint, IPAddress, Netlist, NodeEndpoint, OwnNetworks, unmap

Decoder: TypeAlias = Callable[[bytes], Received]

_ANSWERS: dict[int, PacketType] = {
    PacketType.PONG: PacketType.PONG,
    PacketType.NEIGHBORS: PacketType.NEIGHBORS,
    PacketType.ENR_RESPONSE: PacketType.ENR_RESPONSE,
}

class EngineV4(Engine):
    """One node of the discovery network.

    ``local`` is our own node, ``store`` keeps nodes over restarts, ``bootnodes`` are known from the
    start. ``net_restrict`` are the networks to talk to (None: all), ``own_networks`` those without
    limits. ``ip_version`` is that of the socket (None: both). ``ping_version`` is the version in
    our pings (any version is answered). ``entropy`` returns random bytes, ``random`` makes random
    choices. ``limits`` bounds the cost of unverified senders. ``encode`` and ``decode`` are the
    wire format; a simulation may pass one without signatures that keeps the type byte in place.
    ``observer`` gets all input and output.

    The first refresh is due at once: call :meth:`handle_timeout` to start it.
    """

    def __init__(
        self,
        private_key: PrivateKey,
        local: LocalView,
        store: NodeStore,
        *,
        bootnodes: Sequence[Node] = (),
        net_restrict: Netlist | None = None,
        own_networks: OwnNetworks = LAN,
        ip_version: int | None = None,
        ping_version: int = 4,
        entropy: Entropy,
        random: RandomSource,
        now: Now,
        limits: Limits | None = None,
        encode: Encoder = v4wire.encode,
        decode: Decoder = v4wire.decode,
        observer: DiscoveryObserver | None = None,
    ) -> None:
        if observer is not None:
            arguments = {
                "private_key": private_key,
                "bootnodes": bootnodes,
                "net_restrict": net_restrict,
                "own_networks": own_networks,
                "ip_version": ip_version,
                "ping_version": ping_version,
                "limits": limits,
                "encode": encode,
                "decode": decode,
            }
            setup = DiscoverySetup("v4", now, arguments)
            local, store, entropy, random = observed(
                observer, setup, local, store, entropy, random
            )
        self._public_key = private_key.public_key
        super().__init__(
            NodeID.from_public_key(self._public_key),
            random,
            now,
            own_networks=own_networks,
            net_restrict=net_restrict,
            ip_version=ip_version,
            bootnodes=bootnodes,
            watched=bootnodes,
            observer=observer,
        )
        self._local = local
        self._decode = decode
        self._bonds = Bonds(store, self._clock)
        self._limits = SourceLimits(limits or Limits(), own_networks)
        self._sender = Sender(
            private_key, local, self._bonds, self._clock, self._traffic, encode, ping_version
        )
        self._requests = Requests(
            self._sender, self._bonds, self._timers, self._traffic, self._bootnodes
        )
        self._skew_watch = SkewWatch(self._bootnodes.is_at)
        transport = TransportV4(self._requests, own_networks)
        self._use(transport, self._public_key, store, entropy, now)
        self.operations = Operations(self._overlay, self._maintenance, entropy, observer)

    def _poll_own_events(self) -> Sequence[Event]:
        return self._skew_watch.poll_reports()

    def kind_of(self, datagram: bytes, /) -> str | None:
        """Return the name of the packet type, by its byte alone; None for no known type."""
        return v4wire.kind_of(datagram)

    def unproven_bytes(self, ip: IPAddress) -> tuple[int, int]:
        """Return the bytes received from an unproven address, and those sent to it in answer."""
        return self._sender.budget.of(ip)

    # Received packets.

    def receive_datagram(self, data: bytes, addr: Endpoint, now: Now, /) -> bool:
        """Handle a datagram from ``addr``. Never raises for its content.

        Returns whether it is a packet of v4, by its hash. A datagram that is dropped before the
        check of the hash may be another protocol's.
        """
        if self._observer is not None:
            self._observer.data_in(data, addr, now)
        ip, port = unmap(addr[0]), addr[1]
        is_ours, reason = False, self._refusal(data, ip, port)
        if reason is None:
            is_ours, reason = self._read(data, Endpoint(ip, port), now)
        if reason is not None:
            # as in Traffic.dropped(), inlined for speed in a flood
            self.counters.dropped[reason] += 1
            if self._observer is not None:
                self._observer.dropped(reason, data, addr)
        return is_ours

    def _refusal(self, data: bytes, ip: IPAddress, port: int) -> str | None:
        """Return the reason to drop a datagram unread, or None."""
        if not TYPE_OFFSET < len(data) <= MAX_PACKET_SIZE:
            return "size"
        if port == 0 or not self._overlay.allows(ip):
            return "address"
        kind = _ANSWERS.get(data[TYPE_OFFSET])
        if kind is not None and not self._requests.awaits(kind, ip):
            return "unsolicited"
        return None

    def _read(self, data: bytes, addr: Endpoint, now: Now) -> tuple[bool, str | None]:
        """Return whether a datagram is a packet of v4, and the reason to drop it, or None."""
        ip = addr[0]
        known = self._bonds.knows(ip) or self._requests.awaits_any(ip)
        if not self._limits.allows(ip, known, now.monotonic):
            return False, "rate"
        try:
            received = self._decode(data)
        except PacketError as error:
            if error.reason == "signature":
                self._limits.spent(ip, known, now.monotonic)
            return error.reason not in ("size", "hash"), error.reason
        self._limits.spent(ip, known, now.monotonic)
        return True, self._accept(received, len(data), addr, now)

    def _accept(self, received: Received, size: int, addr: Endpoint, now: Now) -> str | None:
        """Handle a valid packet. Return the reason to drop it, or None."""
        packet, public_key, packet_hash = received
        if public_key == self._public_key:
            return "self"
        from_id = NodeID.from_public_key(public_key)
        self._traffic.received(str(packet.kind), packet, size, from_id, addr)
        proven = self._bonds.is_proven(from_id, addr[0], now)
        if not proven:
            self.counters.unproven_bytes_in += size
            self._sender.budget.received(addr[0], size)
        if isinstance(packet, ENRResponse):
            awaited = self._requests.receive_record(from_id, addr[0], packet, now)
            return None if awaited else "unsolicited"
        if is_expired(packet.expiration, self._clock.earliest(now)):
            if isinstance(packet, Pong):
                self._on_expired_pong(packet, from_id, addr[0], now)
            return "expired"
        if isinstance(packet, Ping):
            self._on_ping(packet, received, from_id, addr, proven, now)
            return None
        if isinstance(packet, Pong):
            return self._on_pong(packet, from_id, addr, now)
        if isinstance(packet, Neighbors):
            awaited = self._requests.receive_neighbors(from_id, addr[0], packet, now)
            return None if awaited else "unsolicited"
        if not proven:
            # No answer: it would be larger than the request, whose source may be forged.
            return "unproven"
        if isinstance(packet, FindNode):
            self._on_findnode(packet, from_id, addr, now)
        elif isinstance(packet, ENRRequest):
            self._sender.enr_response(from_id, addr, packet_hash, now)
        return None

    def _on_ping(
        self,
        ping: Ping,
        received: Received,
        from_id: NodeID,
        addr: Endpoint,
        proven: bool,
        now: Now,
    ) -> None:
        ip, port = addr
        tcp = ping.sender.tcp
        self._sender.pong(addr, tcp, received.packet_hash, proven, now)
        if not proven:
            self._bonds.await_proof(Node.from_parts(received.public_key, ip, tcp, port), ip)
            self._requests.ping_back(from_id, addr, now)
        else:
            self._bonds.note_ping(from_id, ip, now)
            if not self.table.is_current(from_id, ip, tcp, port):
                self._add_proven(Node.from_parts(received.public_key, ip, tcp, port), now)
            self._note_statement(ip, ping.recipient, now)
        self._requests.receive_ping(from_id, ip, now)

    def _on_pong(self, pong: Pong, from_id: NodeID, addr: Endpoint, now: Now) -> str | None:
        ip = addr[0]
        if not self._requests.is_awaited(from_id, ip, pong):
            return "unsolicited"
        self._bootnodes.receive_pong(from_id, ip)
        self._skew_watch.receive_pong(from_id, ip, None, now)
        pinged_us = self._bonds.note_proof(from_id, ip, now)
        if self.table.mark_live(from_id, ip):
            self._maintenance.note_first_answer(from_id)
        if pinged_us is not None:
            self._add_proven(pinged_us, now)
        self._note_statement(ip, pong.recipient, now)
        self._requests.receive_pong(from_id, ip, pong, now)
        return None

    def _on_expired_pong(self, pong: Pong, from_id: NodeID, ip: IPAddress, now: Now) -> None:
        """Note a clock difference: the pong answers a recent ping, but has expired."""
        ahead_s = now.unix - (pong.expiration - EXPIRATION_S)
        if ahead_s > 0 and self._requests.is_awaited(from_id, ip, pong):
            self._bootnodes.receive_pong(from_id, ip)
            self._skew_watch.receive_pong(from_id, ip, ahead_s, now)

    def _on_findnode(self, packet: FindNode, from_id: NodeID, addr: Endpoint, now: Now) -> None:
        target_id = keccak256(packet.target)
        # One more, since the sender itself is left out.
        near = self.table.closest(target_id, BUCKET_SIZE + 1, prefer_live=True)
        nodes = [
            NeighborNode(node.ip, node.udp, node.tcp, node.public_key.to_bytes())
            for node in near
            if node.id != from_id and relay_problem(addr[0], node.ip, self._overlay.own) is None
        ]
        self._sender.neighbors(from_id, addr, nodes[:BUCKET_SIZE], now)

    def _add_proven(self, node: Node, now: Now) -> None:
        if self._maintenance.is_initialized and self.table.add_proven(node, now.monotonic):
            self._maintenance.note_first_answer(node.id)

    def _note_statement(self, from_ip: IPAddress, stated: NodeEndpoint, now: Now) -> None:
        if stated.ip is not None and stated.udp:
            self._local.endpoint_statement(from_ip, (stated.ip, stated.udp), now)
