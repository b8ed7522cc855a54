"""Discovery services on loopback, on one clock that the test moves.

The sockets and threads are real, the time is not: :meth:`Services.settle` lets everything that was
sent arrive and be answered, and only then :meth:`Services.pass_time` moves the clock, so that a
reply is late only when the test wants it to be. Datagrams between services are counted at both
ends: the kernel, too, may take its time.
"""

from __future__ import annotations

import socket
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from ipaddress import IPv4Address
from typing import Any

from p2p.clock import SimulatedClock
from p2p.crypto import PrivateKey
from p2p.discover.event import Event
from p2p.discover.observer import DiscoveryObserver
from p2p.discover.v4.udpv4 import UDPv4
from p2p.enode import Node
from p2p.net import bind_udp
from p2p.netutil import NodeEndpoint
from tests.kit.localrecords import fixed_node
from tests.kit.threadcalls import Call
from tests.kit.waiting import PATIENCE_S, eventually, pass_until

HOME = IPv4Address("127.0.0.1")
_STEP_S = 0.1


def key_of(number: int) -> PrivateKey:
    return PrivateKey.from_bytes(number.to_bytes(32, "big"))


class CountingSocket(socket.socket):
    """A UDP socket of a service, which counts what it sends to and gets from those of others."""

    def __init__(self, ports: set[int]) -> None:
        super().__init__(fileno=bind_udp("127.0.0.1", 0).detach())
        self.port: int = self.getsockname()[1]
        # the ports of all services; the counts are written by p2p-disc alone
        self._ports = ports
        self.sent_to: Counter[int] = Counter()
        self.received = 0
        ports.add(self.port)

    def sendto(self, data: bytes, to: tuple[str, int]) -> int:  # type: ignore[override]
        size = super().sendto(data, to)
        self.sent_to[to[1]] += 1
        return size

    def recvfrom(self, size: int) -> tuple[bytes, tuple[str, int]]:  # type: ignore[override]
        data, sender = super().recvfrom(size)
        self.received += sender[1] in self._ports
        return data, sender


class Services:
    """A maker of services, which stops them when the test is over."""

    def __init__(self) -> None:
        self.clock = SimulatedClock()
        self._ports: set[int] = set()
        self._sockets: list[CountingSocket] = []
        self.all: list[UDPv4] = []
        self._running: list[UDPv4] = []
        self._calls: list[Call] = []
        self._settled: list[object] = []

    def new(
        self,
        *bootnodes: Node,
        start: bool = True,
        observer: DiscoveryObserver | None = None,
        **options: Any,
    ) -> UDPv4:
        """A service on 127.0.0.1 that knows ``bootnodes``; its key is the number it has here."""
        number = len(self.all) + 1
        sock = self.bind()
        local = fixed_node(key_of(number), NodeEndpoint(HOME, sock.port, 0), number)
        chosen: dict[str, Any] = {"clock": self.clock, "seed": number, "ntp_server": None}
        service = UDPv4(
            key_of(number),
            sock,
            local=local,
            bootnodes=bootnodes,
            observer=observer,
            **{**chosen, **options},
        )
        return self.add(service, start)

    def bind(self) -> CountingSocket:
        """A socket for a service."""
        self._sockets.append(CountingSocket(self._ports))
        return self._sockets[-1]

    def add(self, service: UDPv4, start: bool = True) -> UDPv4:
        """Start a service, and stop it at the end."""
        self.all.append(service)
        if start:
            service.start()
            self._running.append(service)
        return service

    def stop(self, service: UDPv4) -> None:
        if service in self._running:
            self._running.remove(service)
        assert service.stop() == []

    def call(self, fn: Callable[..., Any], *args: Any) -> Call:
        """Begin a blocking call."""
        call = Call(fn, *args)
        self._calls.append(call)
        return call

    def ask(self, fn: Callable[..., Any], *args: Any) -> Any:
        """Make a blocking call, and let time pass until it has ended."""
        call = self.call(fn, *args)
        self.pass_time_until(lambda: not call.is_alive())
        return call.result()

    def waiting(self, service: UDPv4) -> int:
        """Number of its operations with a waiter."""
        return service._runner.waiting

    def wait_for_waiting(self, service: UDPv4, count: int) -> None:
        """Let calls that were begun reach the engine; time stands still."""
        eventually(lambda: self.waiting(service) >= count or self.settle())

    def tell(self, service: UDPv4, event: Event) -> None:
        """Have the service handle an event as if its engine had told it."""
        service._service.call(partial(service._runner._handle_event, event))

    def await_dropped(self, service: UDPv4, count: int) -> None:
        """Let it drop so many datagrams; what a plain socket sends is not waited for otherwise."""
        eventually(lambda: sum(service.counters().dropped.values()) >= count)

    def settle(self) -> None:
        """Let everything that is on its way arrive.

        It has when a look at all services finds nothing new, be it the first look since the last
        time: what a service was due to send by now would be counted.
        """
        deadline = time.monotonic() + PATIENCE_S
        while (traffic := self._traffic()) != self._settled or self._on_the_way():
            assert time.monotonic() < deadline, "a datagram was lost"
            self._settled = traffic

    def pass_time(self, seconds: float) -> None:
        """Move the clock in small steps, and let everything arrive after each."""
        for _ in range(round(seconds / _STEP_S)):
            self.clock.advance(_STEP_S)
            self.settle()

    def pass_time_until(self, happened: Callable[[], object]) -> None:
        pass_until(self.clock, happened, self.settle, _STEP_S)

    def close(self) -> None:
        for service in self.all:
            self.stop(service)
        for call in self._calls:
            call.join(PATIENCE_S)

    def _traffic(self) -> list[object]:
        traffic: list[object] = []
        for service in self._running:
            # The first call has it read what has come by then, the second one sees what it did.
            service._service.call(int)
            traffic += (service, service._service.call(partial(_handled, service)))
        return traffic

    def _on_the_way(self) -> int:
        """Number of datagrams that the kernel holds for running services."""
        running = {service.address[1] for service in self._running}
        return sum(
            sum(sender.sent_to[sock.port] for sender in self._sockets) - sock.received
            for sock in self._sockets
            if sock.port in running
        )


def _handled(service: UDPv4) -> int:
    seen = service._runner.engine.counters
    return sum(sum(kind.values()) for kind in (seen.packets_in, seen.packets_out, seen.dropped))


def knows(service: UDPv4, *others: UDPv4) -> bool:
    """Whether all ``others`` are in the table of ``service``, seen alive."""
    alive = {entry.node.id for b in service.table().buckets for entry in b.nodes if entry.live}
    return all(other.self.id in alive for other in others)
