"""Engines on a link, in virtual time, and remotes that the test plays packet by packet.

A :class:`Link` carries datagrams between whatever is attached to it, each after ``latency_s``, and
moves time from one event to the next. An :class:`Engine` is attached by :meth:`Link.node`, a
:class:`Remote` by :meth:`Link.remote`. With ``plain=True`` packets go unsigned, which makes large
networks cheap; everything else is as on the wire.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable
from heapq import heappop, heappush
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, TypeVar

from p2p.codec import encode_list
from p2p.crypto import PrivateKey, PublicKey, keccak256
from p2p.discover import v4packet, v4wire
from p2p.discover.engine import Engine
from p2p.discover.event import Event, OperationDone
from p2p.discover.local import FixedLocal
from p2p.discover.now import Now
from p2p.discover.store import MemoryStore
from p2p.discover.v4wire import (
    Endpoint,
    FindNode,
    NeighborNode,
    Neighbors,
    Packet,
    Ping,
    Pong,
    Received,
)
from p2p.enode.ids import NodeID
from p2p.enode.node import Node
from p2p.errors import DecodeError, InvalidKey, PacketError

Address = tuple[IPv4Address | IPv6Address, int]
P = TypeVar("P")

START_UNIX = 1_700_000_000.0
PORT = 30303


def key_of(number: int) -> PrivateKey:
    """A key that is the same in each run."""
    return PrivateKey.from_bytes(keccak256(b"test key %d" % number))


def address_of(number: int) -> Address:
    """An address of its own in a network of its own."""
    return IPv4Address((20 << 24) + (number << 8) + 1), PORT


class Link:
    """A network of engines and remotes."""

    def __init__(self, seed: int = 1, latency_s: float = 0.01, plain: bool = False) -> None:
        self.random = random.Random(seed)
        self.latency_s = latency_s
        self.plain = plain
        self.time = 1000.0
        self.unix_offset = START_UNIX - self.time
        #: Tells whether a datagram is lost.
        self.lost: Callable[[Address, Address, bytes], bool] = lambda source, target, data: False
        self.engines: dict[Address, Engine] = {}
        self.remotes: dict[Address, Remote] = {}
        self.events: dict[Address, list[Event]] = {}
        self.keys: dict[Address, PrivateKey] = {}
        self._in_flight: list[tuple[float, int, Address, Address, bytes]] = []
        self._sent = 0
        self._addresses: dict[Engine, Address] = {}
        # What engines said their deadlines are. An entry that is out of date is passed over.
        self._deadlines: list[tuple[float, int, Engine]] = []
        self._said: dict[Engine, float] = {}

    @property
    def now(self) -> Now:
        return Now(self.time, self.time + self.unix_offset)

    # What is on it.

    def node(self, number: int, address: Address | None = None, **options: Any) -> Engine:
        """Attach an engine."""
        key = key_of(number)
        address = address or address_of(number)
        local = options.pop("local", None) or FixedLocal(key, Endpoint(*address, PORT))
        wire = {"encode": plain_encode, "decode": plain_decode} if self.plain else {}
        engine = Engine(
            key,
            local,
            options.pop("store", None) or MemoryStore(),
            entropy=self.random.randbytes,
            random=random.Random(self.random.random()),
            now=self.now,
            **{**wire, **options},
        )
        self.engines[address] = engine
        self._addresses[engine] = address
        self.keys[address] = key
        self.events[address] = []
        return engine

    def remote(self, number: int, address: Address | None = None) -> Remote:
        """Attach a remote."""
        remote = Remote(self, key_of(number), address or address_of(number))
        self.remotes[remote.address] = remote
        return remote

    def detach(self, engine: Engine) -> None:
        """Take an engine off, as if its machine were switched off."""
        del self.engines[self._addresses[engine]]
        self._said[engine] = math.inf

    def address(self, engine: Engine) -> Address:
        return self._addresses[engine]

    def as_node(self, engine: Engine) -> Node:
        """An engine as others know it."""
        address = self.address(engine)
        return Node.from_parts(self.keys[address].public_key, address[0], PORT, address[1])

    # Time.

    def run(self, seconds: float) -> None:
        """Let time pass, and everything happen that is due."""
        self._run_until(self.time + seconds)

    def jump_wall_clock(self, seconds: float) -> None:
        """Set every engine's wall clock."""
        self.unix_offset += seconds

    def send(self, source: Address, target: Address, data: bytes) -> None:
        """Put a datagram on the link."""
        if not self.lost(source, target, data):
            self._sent += 1
            entry = (self.time + self.latency_s, self._sent, source, target, data)
            heappush(self._in_flight, entry)

    def _run_until(self, end: float) -> None:
        self._flush(list(self.engines.values()))
        while True:
            arrival = self._in_flight[0][0] if self._in_flight else math.inf
            deadline = self._next_deadline()
            if min(arrival, deadline) > end:
                break
            self.time = max(self.time, min(arrival, deadline))
            if arrival <= deadline:
                self._deliver()
            else:
                engine = heappop(self._deadlines)[2]
                engine.handle_timeout(self.now)
                self._said[engine] = math.inf
                self._flush([engine])
        self.time = end

    def _next_deadline(self) -> float:
        while self._deadlines:
            deadline, _, engine = self._deadlines[0]
            if deadline == self._said[engine]:
                return deadline
            heappop(self._deadlines)
        return math.inf

    def _deliver(self) -> None:
        _, _, source, target, data = heappop(self._in_flight)
        if target in self.remotes:
            self.remotes[target].receive(data)
        engine = self.engines.get(target)
        if engine is not None:
            engine.receive_datagram(data, source, self.now)
            self._flush([engine])

    def _flush(self, engines: Iterable[Engine]) -> None:
        for engine in engines:
            address = self.address(engine)
            for data, target in engine.datagrams_to_send():
                self.send(address, target, data)
            self.events[address] += engine.poll_events()
            if engine.deadline != self._said.get(engine):
                self._sent += 1
                self._said[engine] = engine.deadline
                heappush(self._deadlines, (engine.deadline, self._sent, engine))

    # Commands.

    def result(self, engine: Engine, operation: int, within_s: float = 60.0) -> Any:
        """What a command comes to; its error is raised."""
        address = self.address(engine)
        end = self.time + within_s
        while True:
            for event in self.events[address]:
                if isinstance(event, OperationDone) and event.operation == operation:
                    if event.error is not None:
                        raise event.error
                    return event.result
            assert self.time < end, "the command does not end"
            self.run(0.05)

    def ping(self, engine: Engine, node: Node) -> int | None:
        return self.result(engine, engine.start_ping(node, self.now))

    def lookup(self, engine: Engine, target: bytes) -> list[Node]:
        return self.result(engine, engine.start_lookup(target, self.now))


class Remote:
    """A node that does what the test tells it, and answers pings unless told otherwise."""

    def __init__(self, link: Link, key: PrivateKey, address: Address) -> None:
        self.link = link
        self.key = key
        self.address = address
        self.id = NodeID.from_public_key(key.public_key)
        self.answers_pings = True
        self.enr_seq: int | None = None
        self.on_packet: Callable[[Packet, bytes], None] = lambda packet, packet_hash: None
        #: What has arrived, with its hash, and how many bytes that were.
        self.received: list[tuple[Packet, bytes]] = []
        self.bytes_in = 0
        self.bytes_out = 0
        self._peer: Address | None = None

    @property
    def node(self) -> Node:
        return Node.from_parts(self.key.public_key, self.address[0], PORT, self.address[1])

    @property
    def expiration(self) -> int:
        return int(self.link.now.unix) + 20

    def to(self, engine: Engine) -> Remote:
        """Whom to send to from now on."""
        self._peer = self.link.address(engine)
        return self

    def send(self, packet: Packet, source: Address | None = None) -> bytes:
        """Send a packet; returns its hash."""
        encode = plain_encode if self.link.plain else v4wire.encode
        data, packet_hash = encode(self.key, packet)
        self.send_raw(data, source)
        return packet_hash

    def send_raw(self, data: bytes, source: Address | None = None) -> None:
        assert self._peer is not None
        self.bytes_out += len(data)
        self.link.send(source or self.address, self._peer, data)

    def ping(self, **changes: Any) -> bytes:
        here = Endpoint(*self.address, PORT)
        fields = {"version": 4, "sender": here, "expiration": self.expiration, **changes}
        assert self._peer is not None
        return self.send(Ping(recipient=Endpoint(*self._peer, 0), **fields))

    def pong(self, ping_hash: bytes, source: Address | None = None, **changes: Any) -> None:
        assert self._peer is not None
        fields = {"expiration": self.expiration, "enr_seq": self.enr_seq, **changes}
        self.send(Pong(Endpoint(*self._peer, 0), ping_hash, **fields), source)

    def answering(self) -> Remote:
        """Answer each findnode with one node, itself: an empty answer would count as a failure."""

        def answer(packet: Packet, packet_hash: bytes) -> None:
            if isinstance(packet, FindNode):
                told = NeighborNode(*self.address, PORT, self.key.public_key.to_bytes())
                self.send(Neighbors([told], self.expiration))

        self.on_packet = answer
        return self

    def bond(self) -> None:
        """Have a proof of each other."""
        self.ping()
        self.link.run(1.0)
        self.received.clear()

    def receive(self, data: bytes) -> None:
        self.bytes_in += len(data)
        decode = plain_decode if self.link.plain else v4wire.decode
        packet, _, packet_hash = decode(data)
        self.received.append((packet, packet_hash))
        if isinstance(packet, Ping) and self.answers_pings:
            self.pong(packet_hash)
        self.on_packet(packet, packet_hash)

    def got(self, kind: type[P]) -> list[P]:
        """The packets of a type that have arrived."""
        return [packet for packet, _ in self.received if isinstance(packet, kind)]


# The wire without signatures: the public key stands in the place of the signature.

_PACKETS = {
    int(kind.kind): kind
    for kind in (
        v4packet.Ping,
        v4packet.Pong,
        v4packet.FindNode,
        v4packet.Neighbors,
        v4packet.ENRRequest,
        v4packet.ENRResponse,
    )
}


def plain_encode(private_key: PrivateKey, packet: Packet) -> tuple[bytes, bytes]:
    body = private_key.public_key.to_bytes() + bytes([0, packet.kind])
    body += encode_list(packet.to_items())
    packet_hash = keccak256(body)
    return packet_hash + body, packet_hash


def plain_decode(datagram: bytes) -> Received:
    if keccak256(datagram[32:]) != datagram[:32]:
        raise PacketError("hash", "the hash does not match")
    try:
        packet = _PACKETS[datagram[97]].from_data(datagram[98:])
        public_key = PublicKey.from_bytes(datagram[32:96])
    except (DecodeError, InvalidKey, KeyError) as error:
        raise PacketError("data", str(error)) from error
    return Received(packet, public_key, datagram[:32])


def endpoint(text: str, port: int = PORT) -> Address:
    return ip_address(text), port


def true_closest(engines: Iterable[Engine], target_id: bytes, count: int = 16) -> list[NodeID]:
    """The IDs of the engines nearest to a target."""
    target = int.from_bytes(target_id, "big")
    ids = [engine.id for engine in engines]
    return sorted(ids, key=lambda node_id: int.from_bytes(node_id, "big") ^ target)[:count]
