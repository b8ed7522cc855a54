"""Two protocols on one socket: v4, and the tiny one of these tests (tests/discover/tiny.py).

The sockets and the thread are real, the time is not; table, lookups, maintenance and commands are
the same modules for both.
"""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Iterator
from functools import partial

import pytest

import p2p.errors as errors
from p2p.discover.front import Discovery
from p2p.discover.observer import DiscoveryObserver
from p2p.discover.runner import MakeEngine
from p2p.discover.service import Service
from p2p.discover.v4.engine import EngineV4
from p2p.enode import Node
from p2p.enode.db.memory import NodeMemory
from p2p.inputs import Now
from p2p.net import bind_udp, sockaddr_of
from tests.discover.recording import Recording, replay
from tests.discover.tiny import TinyEngine
from tests.kit.localrecords import fixed_node
from tests.kit.services import HOME, Services, key_of, knows

pytestmark = pytest.mark.slow

V4_KINDS = {"ping", "pong", "findnode", "neighbors", "enrrequest", "enrresponse"}
TINY_KINDS = {"ping", "pong", "find", "nodes"}


@pytest.fixture
def dead() -> Iterator[Node]:
    """A node at an address where a socket takes everything and answers nothing."""
    with bind_udp("127.0.0.1", 0) as sock:
        yield Node.from_parts(key_of(999).public_key, HOME, 0, sock.getsockname()[1])


class Host:
    """A socket that both protocols share; both know ``bootnodes``."""

    def __init__(
        self,
        services: Services,
        *bootnodes: Node,
        tiny_first: bool = False,
        observers: tuple[DiscoveryObserver | None, DiscoveryObserver | None] = (None, None),
    ) -> None:
        number = len(services.all) + 1
        sock = services.bind()
        self.node_key = key_of(number)
        self.local = fixed_node(self.node_key, (HOME, sock.port, 0), number)
        self.bootnodes = bootnodes
        self.service = Service(sock, clock=services.clock, ntp_server=None)
        makers: list[MakeEngine] = [self._v4, self._tiny]
        fronts = [
            Discovery(self.service, make, self.local)
            for make in (makers[::-1] if tiny_first else makers)
        ]
        self.v4, self.tiny = fronts[::-1] if tiny_first else fronts
        self.v4._runner.observer, self.tiny._runner.observer = observers
        services.add(self.v4)

    def _v4(self, now: Now, observer: DiscoveryObserver | None) -> EngineV4:
        return EngineV4(
            self.node_key,
            self.local,
            NodeMemory(),
            bootnodes=self.bootnodes,
            entropy=os.urandom,
            random=random.Random(1),
            now=now,
            observer=observer,
        )

    def _tiny(self, now: Now, observer: DiscoveryObserver | None) -> TinyEngine:
        public_key = self.node_key.public_key
        return TinyEngine(
            public_key, self.local, self.bootnodes, os.urandom, random.Random(2), now, observer
        )

    @property
    def node(self) -> Node:
        return self.v4.self

    @property
    def unclaimed(self) -> int:
        driver = self.service._parts.driver
        assert driver is not None
        return driver.unclaimed


@pytest.fixture(params=[False, True], ids=["v4 first", "tiny first"])
def hosts(services: Services, request: pytest.FixtureRequest) -> list[Host]:
    """Five hosts, each of which knows all others in both protocols."""
    first = Host(services, tiny_first=request.param)
    hosts = [first] + [Host(services, first.node, tiny_first=request.param) for _ in range(4)]
    for fronts in ([host.v4 for host in hosts], [host.tiny for host in hosts]):
        for front in fronts:
            for target in hosts:
                services.ask(front.lookup, target.node.public_key)
        for front in fronts:
            others = [other for other in fronts if other is not front]
            services.pass_time_until(partial(knows, front, *others))
    return hosts


def totals(fronts: list[Discovery]) -> tuple[set[str], int, int]:
    """The kinds of the packets that came, how many came, and how many were sent."""
    counters = [front.counters() for front in fronts]
    kinds = {kind for seen in counters for kind in seen.packets_in}
    came = sum(seen.packets_in.total() for seen in counters)
    return kinds, came, sum(seen.packets_out.total() for seen in counters)


def test_each_protocol_gets_its_own_datagrams_and_fills_its_own_table(
    services: Services, hosts: list[Host]
) -> None:
    services.settle()
    kinds, came, went = totals([host.tiny for host in hosts])
    assert kinds == TINY_KINDS and came == went
    kinds, came, went = totals([host.v4 for host in hosts])
    assert kinds == V4_KINDS and came > 0
    # A reply that comes too late is dropped unread, so it might have been anybody's.
    assert sum(host.unclaimed for host in hosts) == went - came


def test_commands_of_both_protocols_are_the_same_ones(
    services: Services, hosts: list[Host]
) -> None:
    asking, asked = hosts[1], hosts[4]
    known = Node.from_parts(asked.node.public_key, HOME, 0, asked.node.udp)
    for front in (asking.v4, asking.tiny):
        assert services.ask(front.ping, known) == 5
        assert services.ask(front.request_enr, known).record == asked.node.record
        assert services.ask(front.resolve, known).record == asked.node.record
        found = services.ask(front.lookup, asked.node.public_key)
        assert {node.id for node in found} == {host.node.id for host in hosts} - {asking.node.id}
        with front.random_nodes() as nodes:
            assert services.ask(next, nodes).id in {node.id for node in found}


def test_lookup_of_the_tiny_protocol_finds_who_is_not_in_the_table(services: Services) -> None:
    boot = Host(services)
    services.pass_time(1.0)
    target = Host(services, boot.node)
    services.pass_time_until(lambda: knows(boot.tiny, target.tiny))
    asking = Host(services, boot.node)
    found = services.ask(asking.tiny.resolve, Node.from_parts(target.node.public_key))
    assert found.record == target.node.record


def test_silent_node_leaves_the_tables_of_both(services: Services, hosts: list[Host]) -> None:
    gone = hosts.pop()
    services.stop(gone.v4)
    for front in (front for host in hosts for front in (host.v4, host.tiny)):
        services.pass_time_until(lambda front=front: gone.node not in front.nodes())
    with pytest.raises(errors.NoResponse):
        services.ask(hosts[0].tiny.ping, gone.node)


def test_datagram_that_no_protocol_takes_is_counted(services: Services, hosts: list[Host]) -> None:
    (host, *_) = hosts
    before, dropped = host.unclaimed, host.v4.counters().dropped.total()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for size in (1, 200, 1400):
            sock.sendto(bytes(size), sockaddr_of(host.v4.address))
        services.await_dropped(host.v4, dropped + 3)
    services.settle()
    assert host.unclaimed == before + 3


def test_stop_tells_those_who_wait_for_either_protocol(
    services: Services, hosts: list[Host], dead: Node
) -> None:
    host = hosts[0]
    calls = [services.call(front.ping, dead) for front in (host.v4, host.tiny)]
    for front in (host.v4, host.tiny):
        services.wait_for_waiting(front, 1)
    with host.tiny.subscribe_events() as events:
        services.stop(host.v4)
        with pytest.raises(errors.ServerStopped):
            events.get(1.0)
    for call in calls:
        with pytest.raises(errors.ServerStopped):
            call.result()


def test_debug_line_names_the_packet_by_the_protocol_that_knows_it(
    services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("DEBUG", "p2p.discover"):
        boot = Host(services)
        other = Host(services, boot.node)
        services.pass_time_until(lambda: knows(boot.tiny, other.tiny) and knows(boot.v4, other.v4))
    lines = [record.getMessage() for record in caplog.records]
    port = other.v4.address[1]
    for kind in ("ping", "tiny packet"):
        start, end = f"{kind}, ", f"from 127.0.0.1:{port}"
        assert any(line.startswith(start) and line.endswith(end) for line in lines)


def test_engines_that_share_a_socket_are_observed_apart(services: Services) -> None:
    v4, tiny = Recording(), Recording()
    boot = Host(services)
    host = Host(services, boot.node, observers=(v4, tiny))
    services.pass_time_until(lambda: knows(host.tiny, boot.tiny) and knows(host.v4, boot.v4))
    services.ask(host.tiny.lookup, boot.node.public_key)
    services.stop(host.v4)
    assert [told.told("setup")[0].protocol for told in (v4, tiny)] == ["v4", "tiny"]
    for told, kinds in ((v4, V4_KINDS), (tiny, TINY_KINDS)):
        assert {kind for kind, *_ in told.told("packet_in")} <= kinds
        assert replay(told).calls == told.calls
    # What v4, asked first, takes for its own never comes to the other.
    assert len(tiny.told("data_in")) == len(tiny.told("packet_in")) < len(v4.told("data_in"))
