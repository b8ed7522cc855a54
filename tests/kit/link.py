"""Engines on a link, in virtual time, and remotes that the test plays packet by packet.

A :class:`Link` carries datagrams between whatever is attached to it, each after ``latency_s``, and
moves time from one event to the next. An :class:`EngineV4` is attached by :meth:`Link.node`, a
:class:`Remote` by :meth:`Link.remote`. With ``plain=True`` datagrams carry their packets unsigned
and unencoded (:mod:`p2p.sim.wire`), which makes large networks and long times cheap.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable
from heapq import heappop, heappush
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, TypeVar

from p2p.crypto import PrivateKey, keccak256
from p2p.discover.event import Event, OperationDone
from p2p.discover.transport import Target
from p2p.discover.v4.engine import EngineV4
from p2p.discover.v4.wire import FindNode, NeighborNode, Neighbors, Packet, Ping
from p2p.enode.db.memory import NodeMemory
from p2p.enode.node import Node
from p2p.enode.nodeid import NodeID
from p2p.inputs import Now
from p2p.netutil import Endpoint, NodeEndpoint
from p2p.sim.address import HashedIPv4
from p2p.sim.network import SignedWire, Wire
from p2p.sim.wire import UnsignedWire
from p2p.testing.packets import PacketScript
from tests.kit.localrecords import fixed_local

Address = tuple[IPv4Address | IPv6Address, int]
P = TypeVar("P")

START_UNIX = 1_700_000_000.0
PORT = 30303
_FIRST_IP = int(IPv4Address("20.0.0.1"))


def key_of(number: int) -> PrivateKey:
    """A key that is the same in each run."""
    return PrivateKey.from_bytes(keccak256(b"test key %d" % number))


def address_of(number: int) -> Address:
    """A public address, which no socket is given, in a network of its own."""
    return HashedIPv4(_FIRST_IP + number * 256), PORT


class Link:
    """A network of engines and remotes."""

    def __init__(self, seed: int = 1, latency_s: float = 0.01, plain: bool = False) -> None:
        self.random = random.Random(seed)
        self.latency_s = latency_s
        self.wire: Wire = UnsignedWire() if plain else SignedWire()
        self.time = 1000.0
        self.unix_offset = START_UNIX - self.time
        #: Tells whether a datagram is lost.
        self.lost: Callable[[Address, Address, bytes], bool] = lambda source, target, data: False
        self.engines: dict[Address, EngineV4] = {}
        self.remotes: dict[Address, Remote] = {}
        self.events: dict[Address, list[Event]] = {}
        self.keys: dict[Address, PrivateKey] = {}
        self._in_flight: list[tuple[float, int, Address, Address, bytes]] = []
        self._sent = 0
        self._addresses: dict[EngineV4, Address] = {}
        # What engines said their deadlines are. An entry that is out of date is passed over.
        self._deadlines: list[tuple[float, int, EngineV4]] = []
        self._said: dict[EngineV4, float] = {}

    @property
    def now(self) -> Now:
        return Now(self.time, self.time + self.unix_offset)

    # What is on it.

    def node(self, number: int, address: Address | None = None, **options: Any) -> EngineV4:
        """Attach an engine."""
        key = key_of(number)
        address = address or address_of(number)
        local = options.pop("local", None) or fixed_local(key, NodeEndpoint(*address, PORT))
        engine = EngineV4(
            key,
            local,
            options.pop("store", None) or NodeMemory(),
            entropy=self.random.randbytes,
            random=random.Random(self.random.random()),
            now=self.now,
            **{"encode": self.wire.encode, "decode": self.wire.decode, **options},
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

    def detach(self, engine: EngineV4) -> None:
        """Take an engine off, as if its machine were switched off."""
        del self.engines[self._addresses[engine]]
        self._said[engine] = math.inf

    def address(self, engine: EngineV4) -> Address:
        return self._addresses[engine]

    def as_node(self, engine: EngineV4) -> Node:
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

    def _flush(self, engines: Iterable[EngineV4]) -> None:
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

    def result(self, engine: EngineV4, operation: int, within_s: float = 60.0) -> Any:
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

    def ping(self, engine: EngineV4, node: Node) -> int | None:
        return self.result(engine, engine.operations.ping(node, self.now))

    def lookup(self, engine: EngineV4, target: bytes) -> list[Node]:
        return self.result(engine, engine.operations.lookup(Target.of_key(target), self.now))


class Remote(PacketScript):
    """A node that does what the test tells it, and answers pings unless told otherwise."""

    def __init__(self, link: Link, key: PrivateKey, address: Address) -> None:
        super().__init__(key, Endpoint(*address))
        self.link = link
        self.address = address
        self.answers_pings = True
        self.on_packet: Callable[[Packet, bytes], None] = lambda packet, packet_hash: None
        #: What has arrived, with its hash, and how many bytes that were.
        self.received: list[tuple[Packet, bytes]] = []
        self.bytes_in = 0
        self.bytes_out = 0
        self._peer = Endpoint(*address)

    @property
    def node(self) -> Node:
        return Node.from_parts(self.key.public_key, self.address[0], PORT, self.address[1])

    def now_unix(self) -> float:
        return self.link.now.unix

    def encode(self, packet: Packet) -> tuple[bytes, bytes]:
        return self.link.wire.encode(self.key, packet)

    def to(self, engine: EngineV4) -> Remote:
        """Whom to send to from now on."""
        self._peer = Endpoint(*self.link.address(engine))
        return self

    def send(self, packet: Packet, source: Address | None = None) -> bytes:
        """Send a packet; returns its hash."""
        data, packet_hash = self.encode(packet)
        self.send_raw(data, source)
        return packet_hash

    def send_raw(self, data: bytes, source: Address | None = None) -> None:
        self.bytes_out += len(data)
        self.link.send(source or self.address, self._peer, data)

    def ping(self, **changes: Any) -> bytes:
        return self.send(self.make_ping(self._peer, **changes))

    def pong(self, ping_hash: bytes, source: Address | None = None, **changes: Any) -> None:
        self.send(self.make_pong(ping_hash, self._peer, **changes), source)

    def answering(self, *told: Remote) -> Remote:
        """Answer each findnode with itself and ``told``; no answer may be empty, or it fails."""

        def answer(packet: Packet, packet_hash: bytes) -> None:
            if isinstance(packet, FindNode):
                nodes = [
                    NeighborNode(*remote.address, PORT, remote.key.public_key.to_bytes())
                    for remote in (self, *told)
                ]
                self.send(Neighbors(nodes, self.expiration))

        self.on_packet = answer
        return self

    def bond(self) -> None:
        """Have a proof of each other."""
        self.ping()
        self.link.run(1.0)
        self.received.clear()

    def receive(self, data: bytes) -> None:
        self.bytes_in += len(data)
        packet, _, packet_hash = self.link.wire.decode(data)
        self.received.append((packet, packet_hash))
        if isinstance(packet, Ping) and self.answers_pings:
            self.pong(packet_hash)
        self.on_packet(packet, packet_hash)

    def got(self, kind: type[P]) -> list[P]:
        """The packets of a type that have arrived."""
        return [packet for packet, _ in self.received if isinstance(packet, kind)]


def endpoint(text: str, port: int = PORT) -> Address:
    return ip_address(text), port


def true_closest(engines: Iterable[EngineV4], target_id: bytes, count: int = 16) -> list[NodeID]:
    """The IDs of the engines nearest to a target."""
    target = int.from_bytes(target_id, "big")
    ids = [engine.id for engine in engines]
    return sorted(ids, key=lambda node_id: int.from_bytes(node_id, "big") ^ target)[:count]
