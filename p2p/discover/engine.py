"""The engine of discovery v4: datagrams and time in, datagrams and events out.

Pure. It ties together the parts, each of which stands alone:

==============  ====================================================================
`v4wire`        packets as bytes
`limits`        what strangers may cost us
`bond`          who has proved to be where
`sender`        our packets
`exchange`      requests, and the answers that belong to them
`table`         the nodes we know: `bucket`, `revalidation`
`search`        lookups: `lookup`, and what becomes of the answers
`records`       fetching node records
`upkeep`        seeds, refresh, revalidation
`operations`    the commands of the owner
==============  ====================================================================

Here stand the rules of what arrives (discovery v4, "Wire Protocol"). The cheapest check comes
first: a reply nobody waits for costs a look at one byte, noise a hash; only then is a signature
recovered, as often as `limits` allows. What is dropped is counted by its reason.

One thread may use an engine at a time. After every input its owner sends ``datagrams_to_send``,
handles ``poll_events``, and sees that :meth:`Engine.handle_timeout` is called at ``deadline``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from p2p.crypto import Entropy, PrivateKey, keccak256
from p2p.discover import v4wire
from p2p.discover.agenda import Agenda
from p2p.discover.bond import Bonds
from p2p.discover.bucket import BUCKET_SIZE
from p2p.discover.event import Counters, Event, ManyTimeouts
from p2p.discover.exchange import Exchange
from p2p.discover.limits import Limits, SourceLimits
from p2p.discover.local import LocalView
from p2p.discover.now import Now
from p2p.discover.operations import Operations
from p2p.discover.search import Searcher, relay_problem
from p2p.discover.sender import Address, Encoder, Sender
from p2p.discover.store import NodeStore
from p2p.discover.table import Table
from p2p.discover.upkeep import Upkeep
from p2p.discover.v4wire import (
    MAX_PACKET_SIZE,
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
from p2p.discover.wallclock import WallClock
from p2p.enode.ids import NodeID
from p2p.enode.node import Node
from p2p.errors import PacketError
from p2p.netutil import IPAddress, Netlist, unmap
from p2p.randomsource import RandomSource

Decoder: TypeAlias = Callable[[bytes], Received]

#: Where a datagram tells its type, behind hash and signature.
_TYPE_OFFSET = 97
_ANSWERS: dict[int, PacketType] = {
    PacketType.PONG: PacketType.PONG,
    PacketType.NEIGHBORS: PacketType.NEIGHBORS,
    PacketType.ENR_RESPONSE: PacketType.ENR_RESPONSE,
}

#: Requests in a row without an answer after which the owner is told.
MANY_TIMEOUTS = 32


class Engine:
    """One node of the discovery network.

    ``local`` is what to say of ourselves, ``store`` remembers nodes over restarts, ``bootnodes``
    are known from the start, ``net_restrict`` the addresses to talk to (None: all),
    ``ping_version`` the version our pings name (any is answered), ``entropy`` gives random bytes,
    ``random`` chooses, ``limits`` bounds what strangers may cost. ``encode`` and ``decode`` are the
    wire format; a simulation may give one without signatures, which keeps the type at its place.

    The first refresh is due at once: call :meth:`handle_timeout` to begin.
    """

    def __init__(
        self,
        private_key: PrivateKey,
        local: LocalView,
        store: NodeStore,
        *,
        bootnodes: Sequence[Node] = (),
        net_restrict: Netlist | None = None,
        ping_version: int = 4,
        entropy: Entropy,
        random: RandomSource,
        now: Now,
        limits: Limits | None = None,
        encode: Encoder = v4wire.encode,
        decode: Decoder = v4wire.decode,
    ) -> None:
        self.id = NodeID.from_public_key(private_key.public_key)
        self.counters = Counters()
        self.table = Table(self.id, random)
        self._public_key = private_key.public_key
        self._local = local
        self._decode = decode
        self._clock = WallClock(now)
        self._agenda = Agenda()
        self._bonds = Bonds(store, self._clock)
        self._limits = SourceLimits(limits or Limits())
        self._sender = Sender(
            private_key, local, self._bonds, self._clock, self.counters, encode, ping_version
        )
        self._exchange = Exchange(self._sender, self._bonds, self._agenda)
        self._searcher = Searcher(self._exchange, self.table, store, net_restrict)
        own_key = self._public_key.to_bytes()
        self._upkeep = Upkeep(
            self._searcher, self._agenda, self._clock, bootnodes, entropy, random, own_key, now
        )
        self._operations = Operations(self._searcher, self._upkeep, entropy)

    # Output.

    def datagrams_to_send(self) -> list[tuple[bytes, Address]]:
        """The datagrams to send, in order, each with its address. Returned once."""
        return self._sender.datagrams_to_send()

    @property
    def deadline(self) -> float:
        """When :meth:`handle_timeout` is to be called, in monotonic seconds."""
        return min(self._agenda.deadline, self._upkeep.deadline)

    def poll_events(self) -> list[Event]:
        """What has happened since the last call."""
        events: list[Event] = [*self.table.poll_changes(), *self._operations.poll_done()]
        if self._exchange.timeouts_in_a_row >= MANY_TIMEOUTS:
            events.append(ManyTimeouts(self._exchange.timeouts_in_a_row))
            self._exchange.timeouts_in_a_row = 0
        return events

    @property
    def is_initialized(self) -> bool:
        """Whether the first refresh of the table is over."""
        return self._upkeep.is_initialized

    def unproven_bytes(self, ip: IPAddress) -> tuple[int, int]:
        """Bytes that came from an unproven address, and that went there in answer."""
        return self._sender.ledger.of(ip)

    # Commands.

    def start_ping(self, node: Node, now: Now) -> int:
        """Ping a node; see :meth:`Operations.ping`. Each command returns its number."""
        return self._operations.ping(node, now)

    def start_lookup(self, target: bytes, now: Now) -> int:
        """Find the nodes nearest to a public key, or any 64 bytes; nearest first.

        Raises LocalProtocolError for a target of another length.
        """
        return self._operations.lookup(target, now)

    def start_random_lookup(self, now: Now) -> int:
        """Find the nodes nearest to a random target."""
        return self._operations.random_lookup(now)

    def start_request_enr(self, node: Node, now: Now) -> int:
        """Ask a node for its record."""
        return self._operations.request_enr(node, now)

    def start_resolve(self, node: Node, now: Now) -> int:
        """Find out where a node is now."""
        return self._operations.resolve(node, now)

    def cancel(self, operation: int, now: Now) -> None:
        """Forget a command; no event tells of its end."""
        self._operations.cancel(operation)

    def refresh(self, now: Now) -> None:
        """Begin to fill the table anew, unless that is under way."""
        self._upkeep.refresh(now)

    # Input.

    def handle_timeout(self, now: Now) -> None:
        """Do what is due. Harmless before the deadline."""
        self._agenda.run_due(now)
        if self._upkeep.deadline <= now.monotonic:
            self._upkeep.revalidate(now)
        self.counters.timeouts = self._exchange.timeouts

    def receive_datagram(self, data: bytes, addr: Address, now: Now) -> None:
        """Take a datagram that came from ``addr``. Never raises for what is in it."""
        ip, port = unmap(addr[0]), addr[1]
        reason = self._refusal(data, ip, port)
        if reason is None:
            reason = self._read(data, (ip, port), now)
        if reason is not None:
            self.counters.dropped[reason] += 1

    def _refusal(self, data: bytes, ip: IPAddress, port: int) -> str | None:
        """Why a datagram is not even read."""
        if not _TYPE_OFFSET < len(data) <= MAX_PACKET_SIZE:
            return "size"
        if port == 0 or not self._searcher.allows(ip):
            return "address"
        kind = _ANSWERS.get(data[_TYPE_OFFSET])
        if kind is not None and not self._exchange.awaits(kind, ip):
            return "unsolicited"
        return None

    def _read(self, data: bytes, addr: Address, now: Now) -> str | None:
        ip = addr[0]
        known = self._bonds.knows(ip) or self._exchange.awaits_any(ip)
        if not self._limits.allows(ip, known, now.monotonic):
            return "rate"
        try:
            received = self._decode(data)
        except PacketError as error:
            if error.reason == "signature":
                self._limits.spent(ip, known, now.monotonic)
            return error.reason
        self._limits.spent(ip, known, now.monotonic)
        return self._accept(received, len(data), addr, now)

    def _accept(self, received: Received, size: int, addr: Address, now: Now) -> str | None:
        """Handle a valid packet. Returns why it counts for nothing, None if it does not."""
        packet, public_key, packet_hash = received
        if public_key == self._public_key:
            return "self"
        from_id = NodeID.from_public_key(public_key)
        self.counters.packets_in[packet.kind] += 1
        self.counters.bytes_in[packet.kind] += size
        proven = self._bonds.is_proven(from_id, addr[0], now)
        if not proven:
            self.counters.unproven_bytes_in += size
            self._sender.ledger.received(addr[0], size)
        if isinstance(packet, ENRResponse):
            awaited = self._exchange.receive_record(from_id, addr[0], packet, now)
            return None if awaited else "unsolicited"
        if is_expired(packet.expiration, self._clock.earliest(now)):
            return "expired"
        if isinstance(packet, Ping):
            self._on_ping(packet, received, from_id, addr, proven, now)
            return None
        if isinstance(packet, Pong):
            return self._on_pong(packet, from_id, addr, now)
        if isinstance(packet, Neighbors):
            awaited = self._exchange.receive_neighbors(from_id, addr[0], packet, now)
            return None if awaited else "unsolicited"
        if not proven:
            # What it asks for is larger than its question. Perhaps it has proved its address once.
            self._exchange.ping_back(from_id, addr, now)
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
        addr: Address,
        proven: bool,
        now: Now,
    ) -> None:
        ip, port = addr
        tcp = ping.sender.tcp
        self._sender.pong(addr, tcp, received.packet_hash, proven, now)
        if not proven:
            self._bonds.await_proof(Node.from_parts(received.public_key, ip, tcp, port), ip)
            self._exchange.ping_back(from_id, addr, now)
        else:
            self._bonds.note_ping(from_id, ip, now)
            if not self.table.is_current(from_id, ip, tcp, port):
                self._add_proven(Node.from_parts(received.public_key, ip, tcp, port), now)
            self._note_statement(ip, ping.recipient, now)
        self._exchange.receive_ping(from_id, ip, now)

    def _on_pong(self, pong: Pong, from_id: NodeID, addr: Address, now: Now) -> str | None:
        ip = addr[0]
        if not self._exchange.is_awaited(from_id, ip, pong):
            return "unsolicited"
        pinged_us = self._bonds.note_proof(from_id, ip, now)
        self.table.mark_live(from_id, ip)
        if pinged_us is not None:
            self._add_proven(pinged_us, now)
        self._note_statement(ip, pong.recipient, now)
        self._exchange.receive_pong(from_id, ip, pong, now)
        return None

    def _on_findnode(self, packet: FindNode, from_id: NodeID, addr: Address, now: Now) -> None:
        target_id = keccak256(packet.target)
        # One more, since the sender has no use for itself.
        near = self.table.closest(target_id, BUCKET_SIZE + 1, prefer_live=True)
        told = [
            NeighborNode(node.ip, node.udp, node.tcp, node.public_key.to_bytes())
            for node in near
            if node.id != from_id and relay_problem(addr[0], node.ip) is None
        ]
        self._sender.neighbors(from_id, addr, told[:BUCKET_SIZE], now)

    def _add_proven(self, node: Node, now: Now) -> None:
        if self._upkeep.is_initialized:
            self.table.add_proven(node, now.monotonic)

    def _note_statement(self, from_ip: IPAddress, stated: v4wire.Endpoint, now: Now) -> None:
        if stated.ip is not None and stated.udp:
            self._local.endpoint_statement(from_ip, (stated.ip, stated.udp), now)
