"""Our packets: their contents, their expiration, and the limit on answers.

Pure. A :class:`Sender` signs packets and queues them (:class:`p2p.discover.traffic.Traffic`).
An *answer* to a node that has not proven its address is sent only within the anti-amplification
limit; a *request* is our own decision and has no limit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from p2p.crypto import PrivateKey
from p2p.discover.local import LocalView
from p2p.discover.traffic import Traffic
from p2p.discover.v4.amplification import AmplificationBudget
from p2p.discover.v4.bonds import Bonds
from p2p.discover.v4.wire import (
    MAX_NEIGHBORS,
    ENRRequest,
    ENRResponse,
    FindNode,
    NeighborNode,
    Neighbors,
    Packet,
    Ping,
    Pong,
)
from p2p.discover.wallclock import WallClock
from p2p.enode.nodeid import NodeID
from p2p.inputs import Now
from p2p.netutil import Endpoint, NodeEndpoint

#: Lifetime of our packets, in seconds.
EXPIRATION_S = 20

Encoder: TypeAlias = Callable[[PrivateKey, Packet], tuple[bytes, bytes]]


class Sender:
    """Queue of signed packets. The methods for requests return the packet's hash."""

    def __init__(
        self,
        private_key: PrivateKey,
        local: LocalView,
        bonds: Bonds,
        clock: WallClock,
        traffic: Traffic,
        encode: Encoder,
        ping_version: int,
    ) -> None:
        self.budget = AmplificationBudget()
        self._private_key = private_key
        self._local = local
        self._bonds = bonds
        self._clock = clock
        self._traffic = traffic
        self._counters = traffic.counters
        self._encode = encode
        self._ping_version = ping_version

    # Requests.

    def ping(self, to_id: NodeID, to: Endpoint, now: Now) -> bytes:
        """Queue a ping, the request for an endpoint proof."""
        packet_hash = self._request(self._ping(to, now), to_id, to, now)
        self._local.contact(to, now)
        return packet_hash

    def find_node(self, to_id: NodeID, to: Endpoint, target: bytes, now: Now) -> bytes:
        """Queue a findnode for nodes near a target, 64 bytes."""
        return self._request(FindNode(target, self._expiration(now)), to_id, to, now)

    def enr_request(self, to_id: NodeID, to: Endpoint, now: Now) -> bytes:
        """Queue an ENR request for the node's record."""
        return self._request(ENRRequest(self._expiration(now)), to_id, to, now)

    # Answers.

    def ping_back(self, to_id: NodeID, to: Endpoint, now: Now) -> bytes | None:
        """Queue a ping to a node that has sent us a packet; None if it exceeds the limit."""
        proven = self._bonds.is_proven(to_id, to[0], now)
        packet_hash = self._answer(self._ping(to, now), to, proven, now)
        if packet_hash is not None:
            self._local.contact(to, now)
        return packet_hash

    def pong(self, to: Endpoint, tcp: int, ping_hash: bytes, proven: bool, now: Now) -> None:
        """Answer a ping; ``tcp`` is the port it named, ``proven`` whether its sender is proven."""
        endpoint = NodeEndpoint(to[0], to[1], tcp)
        packet = Pong(endpoint, ping_hash, self._expiration(now), self._local.record.seq)
        self._answer(packet, to, proven, now)

    def neighbors(
        self, to_id: NodeID, to: Endpoint, nodes: Sequence[NeighborNode], now: Now
    ) -> None:
        """Answer a findnode, in as many packets as needed, at least one."""
        proven = self._bonds.is_proven(to_id, to[0], now)
        for start in range(0, len(nodes) or 1, MAX_NEIGHBORS):
            part = nodes[start : start + MAX_NEIGHBORS]
            self._answer(Neighbors(part, self._expiration(now)), to, proven, now)

    def enr_response(self, to_id: NodeID, to: Endpoint, request_hash: bytes, now: Now) -> None:
        """Answer an ENR request."""
        proven = self._bonds.is_proven(to_id, to[0], now)
        packet = ENRResponse(request_hash, self._local.record.to_rlp())
        self._answer(packet, to, proven, now)

    # Internals.

    def _ping(self, to: Endpoint, now: Now) -> Ping:
        return Ping(
            version=self._ping_version,
            sender=NodeEndpoint(*self._local.endpoint),
            recipient=NodeEndpoint(to[0], to[1], 0),
            expiration=self._expiration(now),
            enr_seq=self._local.record.seq,
        )

    def _expiration(self, now: Now) -> int:
        return int(self._clock.latest(now)) + EXPIRATION_S

    def _request(self, packet: Packet, to_id: NodeID, to: Endpoint, now: Now) -> bytes:
        datagram, packet_hash = self._encode(self._private_key, packet)
        if not self._bonds.is_proven(to_id, to[0], now):
            self._counters.uninvited_bytes_out += len(datagram)
        self._traffic.send(str(packet.kind), packet, datagram, to, now)
        return packet_hash

    def _answer(self, packet: Packet, to: Endpoint, proven: bool, now: Now) -> bytes | None:
        datagram, packet_hash = self._encode(self._private_key, packet)
        if not proven:
            if not self.budget.spend(to[0], len(datagram)):
                self._traffic.dropped("amplification", datagram, to)
                return None
            self._counters.unproven_bytes_out += len(datagram)
        self._traffic.send(str(packet.kind), packet, datagram, to, now)
        return packet_hash
