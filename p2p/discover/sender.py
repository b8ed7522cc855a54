"""Making our packets: what they say, until when they are valid, and who may get them.

Pure. A :class:`Sender` signs packets and keeps the datagrams until the engine's owner takes them.
An *answer* to a node that has not proved its address goes out only as far as the ledger allows; a
*request* is our own decision.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from p2p.crypto import PrivateKey
from p2p.discover.bond import Bonds
from p2p.discover.event import Counters
from p2p.discover.limits import Ledger
from p2p.discover.local import LocalView
from p2p.discover.now import Now
from p2p.discover.v4wire import (
    MAX_NEIGHBORS,
    Endpoint,
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
from p2p.enode.ids import NodeID
from p2p.netutil import IPAddress

#: How long our packets are valid, in seconds.
EXPIRATION_S = 20

#: Address and UDP port.
Address: TypeAlias = tuple[IPAddress, int]
Encoder: TypeAlias = Callable[[PrivateKey, Packet], tuple[bytes, bytes]]


class Sender:
    """Signs and queues packets. Each method that sends returns the packet's hash."""

    def __init__(
        self,
        private_key: PrivateKey,
        local: LocalView,
        bonds: Bonds,
        clock: WallClock,
        counters: Counters,
        encode: Encoder,
        ping_version: int,
    ) -> None:
        self.ledger = Ledger()
        self._private_key = private_key
        self._local = local
        self._bonds = bonds
        self._clock = clock
        self._counters = counters
        self._encode = encode
        self._ping_version = ping_version
        self._datagrams: list[tuple[bytes, Address]] = []

    def datagrams_to_send(self) -> list[tuple[bytes, Address]]:
        """What was queued since the last call."""
        datagrams, self._datagrams = self._datagrams, []
        return datagrams

    # Requests.

    def ping(self, to_id: NodeID, to: Address, now: Now) -> bytes:
        """Ask for a proof of the endpoint."""
        packet_hash = self._request(self._ping(to, now), to_id, to, now)
        self._local.contact(to, now)
        return packet_hash

    def find_node(self, to_id: NodeID, to: Address, target: bytes, now: Now) -> bytes:
        """Ask for nodes near to a target, 64 bytes."""
        return self._request(FindNode(target, self._expiration(now)), to_id, to, now)

    def enr_request(self, to_id: NodeID, to: Address, now: Now) -> bytes:
        """Ask for the node's record."""
        return self._request(ENRRequest(self._expiration(now)), to_id, to, now)

    # Answers.

    def ping_back(self, to_id: NodeID, to: Address, now: Now) -> bytes | None:
        """Ask a node that has asked us for a proof; None if that would be too much."""
        proven = self._bonds.is_proven(to_id, to[0], now)
        packet_hash = self._answer(self._ping(to, now), to, proven)
        if packet_hash is not None:
            self._local.contact(to, now)
        return packet_hash

    def pong(self, to: Address, tcp: int, ping_hash: bytes, proven: bool, now: Now) -> None:
        """Answer a ping; ``tcp`` is what it said of the port, ``proven`` whether its sender is."""
        endpoint = Endpoint(to[0], to[1], tcp)
        packet = Pong(endpoint, ping_hash, self._expiration(now), self._local.record.seq)
        self._answer(packet, to, proven)

    def neighbors(
        self, to_id: NodeID, to: Address, nodes: Sequence[NeighborNode], now: Now
    ) -> None:
        """Answer a findnode, in as many packets as it takes, at least one."""
        proven = self._bonds.is_proven(to_id, to[0], now)
        for start in range(0, len(nodes) or 1, MAX_NEIGHBORS):
            part = nodes[start : start + MAX_NEIGHBORS]
            self._answer(Neighbors(part, self._expiration(now)), to, proven)

    def enr_response(self, to_id: NodeID, to: Address, request_hash: bytes, now: Now) -> None:
        """Answer an ENR request."""
        proven = self._bonds.is_proven(to_id, to[0], now)
        self._answer(ENRResponse(request_hash, self._local.record.to_rlp()), to, proven)

    # The rest.

    def _ping(self, to: Address, now: Now) -> Ping:
        return Ping(
            version=self._ping_version,
            sender=Endpoint(*self._local.endpoint),
            recipient=Endpoint(to[0], to[1], 0),
            expiration=self._expiration(now),
            enr_seq=self._local.record.seq,
        )

    def _expiration(self, now: Now) -> int:
        return int(self._clock.latest(now)) + EXPIRATION_S

    def _request(self, packet: Packet, to_id: NodeID, to: Address, now: Now) -> bytes:
        datagram, packet_hash = self._encode(self._private_key, packet)
        if not self._bonds.is_proven(to_id, to[0], now):
            self._counters.uninvited_bytes_out += len(datagram)
        self._queue(packet, datagram, to)
        return packet_hash

    def _answer(self, packet: Packet, to: Address, proven: bool) -> bytes | None:
        datagram, packet_hash = self._encode(self._private_key, packet)
        if not proven:
            if not self.ledger.spend(to[0], len(datagram)):
                self._counters.dropped["amplification"] += 1
                return None
            self._counters.unproven_bytes_out += len(datagram)
        self._queue(packet, datagram, to)
        return packet_hash

    def _queue(self, packet: Packet, datagram: bytes, to: Address) -> None:
        self._counters.packets_out[packet.kind] += 1
        self._counters.bytes_out[packet.kind] += len(datagram)
        self._datagrams.append((datagram, to))
