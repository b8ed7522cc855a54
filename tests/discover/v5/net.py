"""Engines of discovery v5 on a simulated link: each datagram takes 10 ms, or what the test wants.

``faults`` are functions of a :class:`Datagram` that return the times at which it arrives, after it
was sent, in seconds: none if it is lost, two if it arrives twice.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappop, heappush
from ipaddress import IPv4Address
from typing import Any

from p2p.crypto import PrivateKey
from p2p.discover.event import Event, OperationDone, TalkReceived
from p2p.discover.transport import Target
from p2p.discover.v5 import packet as packets
from p2p.discover.v5.engine import EngineV5
from p2p.discover.v5.operations import OperationsV5
from p2p.enode import Node
from p2p.enode.db.memory import NodeMemory
from p2p.inputs import Now
from p2p.netutil import Endpoint, NodeEndpoint
from tests.kit.localrecords import fixed_local

DELAY_S = 0.01
PORT = 30303
#: Simulated seconds that a command may take.
LIMIT_S = 60.0

KINDS = ("message", "whoareyou", "handshake")


def address_of(number: int) -> Endpoint:
    """An address for each number, in a network of its own."""
    return Endpoint(IPv4Address((20 << 24) + (number << 8) + 1), PORT)


def key_of(number: int) -> PrivateKey:
    return PrivateKey.from_bytes(number.to_bytes(32, "big"))


@dataclass(frozen=True)
class Datagram:
    """One datagram on its way. ``receiver`` is the engine at ``target``, if there is one."""

    data: bytes
    source: Endpoint
    target: Endpoint
    receiver: EngineV5 | None

    @property
    def kind(self) -> str:
        """One of KINDS, or "?"."""
        if self.receiver is None:
            return "?"
        return packets.kind_of(self.data, self.receiver.id) or "?"


Fault = Callable[[Datagram], list[float]]


def arrives(datagram: Datagram) -> list[float]:
    return [DELAY_S]


class Host:
    """One engine with its address."""

    def __init__(
        self,
        net: Net,
        number: int,
        *bootnodes: Host,
        address: Endpoint | None = None,
        **options: Any,
    ) -> None:
        self.net = net
        self.number = number
        self.address = address or address_of(number)
        self.key = key_of(number)
        self.local = fixed_local(self.key, NodeEndpoint(*self.address, 0))
        self.bootnodes = [host.node for host in bootnodes]
        self.options = options
        self.restart()

    def restart(self) -> None:
        """Begin anew, without sessions, table and memory."""
        chance = random.Random(f"{self.number} {self.net.time}")
        self.engine = EngineV5(
            self.key,
            self.local,
            NodeMemory(),
            bootnodes=self.bootnodes,
            entropy=chance.randbytes,
            random=chance,
            now=self.net.now,
            **self.options,
        )
        self.events: list[Event] = []

    @property
    def node(self) -> Node:
        return Node.from_record(self.local.record)

    @property
    def talks(self) -> list[TalkReceived]:
        return [event for event in self.events if isinstance(event, TalkReceived)]

    # Commands; each lets time pass until it has ended.

    def ping(self, other: Host | Node) -> Any:
        return self.do(lambda operations, now: operations.ping(_node(other), now))

    def find_node(self, other: Host, *distances: int) -> Any:
        return self.do(lambda operations, now: operations.find_node(other.node, distances, now))

    def request_enr(self, other: Host | Node) -> Any:
        return self.do(lambda operations, now: operations.request_enr(_node(other), now))

    def talk(self, other: Host, protocol: bytes, request: bytes) -> Any:
        return self.do(
            lambda operations, now: operations.talk(other.node, protocol, request, now)
        )

    def lookup(self, target: Host) -> Any:
        goal = Target.of_key(target.key.public_key.to_bytes())
        return self.do(lambda operations, now: operations.lookup(goal, now))

    def begin(self, start: Callable[[OperationsV5, Now], int]) -> int:
        number = start(self.engine.operations, self.net.now)
        self.net.settle(self)
        return number

    def do(self, start: Callable[[OperationsV5, Now], int]) -> Any:
        return self.outcome(self.begin(start))

    def outcome(self, number: int) -> Any:
        """Let time pass until a command has ended; return its result or raise its error."""
        self.net.step_until(lambda: self.done(number), "the command has not ended")
        done = self.done(number)
        assert done is not None
        if done.error is not None:
            raise done.error
        return done.result

    def done(self, number: int) -> OperationDone | None:
        ended = [event for event in self.events if isinstance(event, OperationDone)]
        return next((event for event in ended if event.operation == number), None)


class Net:
    """The link, its time and its hosts."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.fault: Fault = arrives
        #: All datagrams that were sent.
        self.sent: list[Datagram] = []
        self.hosts: dict[Endpoint, Host] = {}
        self._queue: list[tuple[float, int, Datagram]] = []
        self._count = 0

    @property
    def now(self) -> Now:
        return Now(self.time, 1_700_000_000.0 + self.time)

    def host(self, number: int, *bootnodes: Host, **options: Any) -> Host:
        host = Host(self, number, *bootnodes, **options)
        self.hosts[host.address] = host
        return host

    def kinds(self) -> list[str]:
        """The kinds of all datagrams that were sent; forgets them."""
        sent, self.sent = self.sent, []
        return [datagram.kind for datagram in sent]

    def start(self, *hosts: Host) -> None:
        """Let the first refresh of each begin."""
        for host in hosts or tuple(self.hosts.values()):
            host.engine.handle_timeout(self.now)
            self.settle(host)

    def inject(self, data: bytes, source: Endpoint, target: Host) -> None:
        """Deliver a datagram at once, as a sender that forges ``source`` would."""
        target.engine.receive_datagram(data, source, self.now)
        self.settle(target)

    def settle(self, host: Host) -> None:
        """Take what an engine wants sent, and its events."""
        for data, to in host.engine.datagrams_to_send():
            self._send(data, host.address, to)
        host.events += host.engine.poll_events()

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end = self.time + seconds
        deadlines = self._deadlines()
        while self._next_time(deadlines) <= end:
            self._step(deadlines)
        self.time = end

    def step(self) -> None:
        """Let the next thing happen."""
        self._step(self._deadlines())

    def step_until(self, happened: Callable[[], object], what: str) -> None:
        """Let time pass until something has happened, for LIMIT_S at most."""
        limit = self.time + LIMIT_S
        deadlines = self._deadlines()
        while not happened():
            assert self.time < limit, what
            self._step(deadlines)

    def _deadlines(self) -> dict[Host, float]:
        """The deadline of each engine. A step updates those of the engines it gives something."""
        return {host: host.engine.deadline for host in self.hosts.values()}

    def _step(self, deadlines: dict[Host, float]) -> None:
        self.time = max(self.time, self._next_time(deadlines))
        if self._queue and self._queue[0][0] <= self.time:
            _, _, datagram = heappop(self._queue)
            host = self.hosts.get(datagram.target)
            if host is not None:
                host.engine.receive_datagram(datagram.data, datagram.source, self.now)
                self.settle(host)
                deadlines[host] = host.engine.deadline
            return
        for host in [host for host, deadline in deadlines.items() if deadline <= self.time]:
            host.engine.handle_timeout(self.now)
            self.settle(host)
            deadlines[host] = host.engine.deadline

    def _next_time(self, deadlines: dict[Host, float]) -> float:
        return min([*deadlines.values(), *(entry[0] for entry in self._queue[:1])])

    def _send(self, data: bytes, source: Endpoint, target: Endpoint) -> None:
        host = self.hosts.get(target)
        datagram = Datagram(data, source, target, host and host.engine)
        self.sent.append(datagram)
        for delay_s in self.fault(datagram):
            self._count += 1
            heappush(self._queue, (self.time + delay_s, self._count, datagram))


def _node(other: Host | Node) -> Node:
    return other.node if isinstance(other, Host) else other
