from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import p2p.errors as errors
from p2p.clock import SystemClock
from p2p.crypto import keccak256
from p2p.discover.event import ManyTimeouts, NodeAdded, NodeRemoved
from p2p.discover.v4 import requests as exchange
from p2p.discover.v4.udpv4 import UDPv4
from p2p.enode import LocalNode, Node, NodeDB, closer
from p2p.net import bind_udp, sockaddr_of
from tests.discover.timeserver import TimeServer, answer_at
from tests.kit.services import HOME, Services, key_of, knows
from tests.kit.waiting import PATIENCE_S


@pytest.fixture
def pair(services: Services) -> tuple[UDPv4, UDPv4]:
    """Two services that have found each other."""
    first = services.new()
    second = services.new(first.self)
    services.pass_time_until(lambda: knows(first, second) and knows(second, first))
    return first, second


@pytest.fixture
def dead() -> Iterator[Node]:
    """A node at an address where a socket takes everything and answers nothing."""
    with bind_udp("127.0.0.1", 0) as sock:
        yield Node.from_parts(key_of(999).public_key, HOME, 0, sock.getsockname()[1])


# finding


def test_two_services_find_each_other(pair: tuple[UDPv4, UDPv4]) -> None:
    first, second = pair
    assert [node.id for node in first.nodes()] == [second.self.id]
    assert [node.id for node in second.nodes()] == [first.self.id]


@pytest.mark.slow
def test_five_services_find_each_other_through_one(services: Services) -> None:
    boot = services.new()
    others = [services.new(boot.self) for _ in range(4)]
    for target in [boot, *others]:
        for asking in [boot, *others]:
            services.ask(asking.lookup, target.self.public_key)
    all_services = [boot, *others]
    services.pass_time_until(
        lambda: all(knows(one, *[o for o in all_services if o is not one]) for one in all_services)
    )


def test_lookup_returns_the_closest_first(services: Services) -> None:
    boot = services.new()
    others = [services.new(boot.self) for _ in range(4)]
    services.pass_time_until(lambda: knows(boot, *others))
    target = os.urandom(64)
    found = services.ask(others[0].lookup, target)
    wanted = {service.self.id for service in [boot, *others[1:]]}
    assert {node.id for node in found} == wanted
    goal = keccak256(target)
    assert all(closer(goal, a.id, b.id) for a, b in zip(found, found[1:], strict=False))


def test_lookup_takes_a_public_key_or_64_bytes(
    services: Services, pair: tuple[UDPv4, UDPv4]
) -> None:
    first, second = pair
    key = second.self.public_key
    for target in (key, key.to_bytes()):
        (found,) = services.ask(first.lookup, target)
        assert found.id == second.self.id


@pytest.mark.parametrize("size", [0, 32, 63, 65])
def test_lookup_refuses_a_target_of_another_size(pair: tuple[UDPv4, UDPv4], size: int) -> None:
    with pytest.raises(errors.ArgumentError, match="64 bytes"):
        pair[0].lookup(bytes(size))


def test_lookup_without_any_node_finds_none(services: Services) -> None:
    assert services.ask(services.new().lookup, bytes(64)) == []


# asking one node


def test_ping_tells_the_sequence_of_the_record(
    services: Services, pair: tuple[UDPv4, UDPv4]
) -> None:
    first, second = pair
    assert services.ask(first.ping, second.self) == second.self.seq == 2


def test_ping_of_a_silent_node_times_out_after_half_a_second(
    services: Services, dead: Node
) -> None:
    service = services.new()
    begun = services.clock.monotonic()
    with pytest.raises(errors.NoResponse):
        services.ask(service.ping, dead)
    assert services.clock.monotonic() - begun >= 0.5


def test_ping_of_a_node_without_an_address_is_refused(services: Services) -> None:
    with pytest.raises(errors.NoEndpoint):
        services.ask(services.new().ping, Node.from_parts(key_of(999).public_key))


def test_record_is_fetched_both_ways(services: Services, pair: tuple[UDPv4, UDPv4]) -> None:
    for asking, asked in (pair, pair[::-1]):
        node = asked.self
        known = Node.from_parts(node.public_key, node.ip, 0, node.udp)
        found = services.ask(asking.request_enr, known)
        assert found.record == node.record


def test_record_of_a_silent_node_times_out(services: Services, dead: Node) -> None:
    with pytest.raises(errors.NoResponse):
        services.ask(services.new().request_enr, dead)


def test_resolve_returns_the_record_of_a_node_that_answers(
    services: Services, pair: tuple[UDPv4, UDPv4]
) -> None:
    first, second = pair
    node = second.self
    known = Node.from_parts(node.public_key, node.ip, 0, node.udp)
    assert services.ask(first.resolve, known).record == node.record


def test_resolve_finds_a_node_by_its_key_alone(services: Services) -> None:
    boot = services.new()
    one, other = services.new(boot.self), services.new(boot.self)
    services.pass_time_until(lambda: knows(boot, one, other))
    found = services.ask(one.resolve, Node.from_parts(other.self.public_key))
    assert found.record == other.self.record


def test_resolve_of_a_node_that_nobody_knows_is_not_found(
    services: Services, pair: tuple[UDPv4, UDPv4], dead: Node
) -> None:
    with pytest.raises(errors.NodeNotFound):
        services.ask(pair[0].resolve, dead)


@pytest.mark.parametrize("call", ["ping", "resolve", "request_enr"])
def test_only_nodes_are_asked(pair: tuple[UDPv4, UDPv4], call: str) -> None:
    with pytest.raises(errors.ArgumentError, match="wanted a Node"):
        getattr(pair[0], call)(pair[1].self.url)


def test_wait_ends_with_the_timeout_of_the_caller(services: Services, dead: Node) -> None:
    service = services.new()
    with pytest.raises(errors.Timeout):
        service.ping(dead, 0.01)  # on a clock that stands still
    services.settle()
    assert services.waiting(service) == 0


# random_nodes


def test_random_nodes_come_without_end(services: Services, pair: tuple[UDPv4, UDPv4]) -> None:
    first, second = pair
    with first.random_nodes() as nodes:
        for _ in range(3):
            assert services.ask(next, nodes).id == second.self.id


def test_random_nodes_wait_for_the_first_node(services: Services) -> None:
    lonely = services.new()
    with lonely.random_nodes() as nodes:
        call = services.call(next, nodes)
        services.pass_time(3.0)
        assert call.is_alive()
        other = services.new(lonely.self)
        services.pass_time_until(lambda: not call.is_alive())
        assert call.result().id == other.self.id


def test_random_nodes_closed_while_blocked(services: Services) -> None:
    nodes = services.new().random_nodes()
    call = services.call(next, nodes)
    services.settle()
    nodes.close()
    with pytest.raises(StopIteration):
        call.result()


def test_random_nodes_end_when_discovery_stops(services: Services) -> None:
    service = services.new()
    nodes = service.random_nodes()
    call = services.call(list, nodes)
    services.settle()
    services.stop(service)
    assert call.result() == []
    assert list(nodes) == []


# the node and the database of a server


class Owned:
    """A service with a node of its own and a database file, as a server has them."""

    def __init__(self, services: Services, number: int, path: Path, *bootnodes: Node) -> None:
        self._services = services
        self.db = NodeDB(path)
        self.db.start()
        self.local = LocalNode(key_of(number), self.db, clock=services.clock)
        sock = services.bind()
        self.local.set_fallback_ip(HOME)
        self.local.set_fallback_udp(sock.port)
        self.service = services.add(
            UDPv4(
                key_of(number),
                sock,
                local=self.local,
                store=self.db,
                bootnodes=bootnodes,
                clock=services.clock,
                seed=number,
                ntp_server=None,
            )
        )

    def stop(self) -> None:
        self._services.stop(self.service)
        assert self.db.close()


def test_after_a_restart_nodes_are_found_without_the_bootnode(
    services: Services, tmp_path: Path
) -> None:
    boot, other = services.new(), services.new()
    services.ask(other.ping, boot.self)
    owned = Owned(services, 500, tmp_path / "nodes.db", boot.self)
    services.pass_time_until(lambda: knows(owned.service, boot, other))
    services.pass_time(10.0)
    seq = owned.service.self.seq
    owned.stop()
    services.stop(boot)
    again = Owned(services, 500, tmp_path / "nodes.db")
    services.pass_time_until(lambda: knows(again.service, other))
    assert again.service.self.seq > seq
    again.stop()


def test_changed_record_is_seen_by_others(services: Services, tmp_path: Path) -> None:
    boot = services.new()
    owned = Owned(services, 500, tmp_path / "nodes.db", boot.self)
    services.pass_time_until(lambda: knows(boot, owned.service))
    owned.local.set("extra", "news")

    def is_known() -> bool:
        (node,) = boot.nodes()
        return node.record is not None and node.record.get("extra", str) == "news"

    services.pass_time_until(is_known)
    owned.stop()


# what is told


def test_table_is_readable(pair: tuple[UDPv4, UDPv4]) -> None:
    first, second = pair
    text = str(first.table())
    assert text.startswith(f"table of {first.self.id.short}: 1 node in 1 of 17 buckets")
    assert f"{second.self.id.short}  127.0.0.1:{second.address[1]}" in text


def test_events_tell_of_nodes_that_come_and_go(services: Services) -> None:
    first = services.new()
    with first.subscribe_events() as events:
        second = services.new(first.self)
        services.pass_time_until(lambda: knows(first, second))
        added = events.get(PATIENCE_S)
        assert isinstance(added, NodeAdded) and added.node.id == second.self.id
        services.stop(second)
        services.pass_time_until(lambda: not first.nodes())
        removed = events.get(PATIENCE_S)
        assert isinstance(removed, NodeRemoved) and removed.node.id == second.self.id


def test_counters_tell_what_was_said(pair: tuple[UDPv4, UDPv4]) -> None:
    for service in pair:
        seen = service.counters()
        assert seen.packets_in["ping"] and seen.packets_out["pong"]
        seen.packets_in.clear()
        assert service.counters().packets_in


# what must not harm


@pytest.mark.parametrize("size", [1281, 1500, 9000])
def test_packet_over_1280_bytes_is_dropped(
    services: Services, pair: tuple[UDPv4, UDPv4], size: int
) -> None:
    first, second = pair
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(bytes(size), sockaddr_of(first.address))
    services.await_dropped(first, 1)
    assert sum(first.counters().dropped.values()) == 1
    assert services.ask(second.ping, first.self) == 1


def test_junk_is_counted_and_answers_go_on(services: Services, pair: tuple[UDPv4, UDPv4]) -> None:
    first, second = pair
    sent = sum(first.counters().packets_out.values())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for number in range(2000):
            sock.sendto(number.to_bytes(2, "big") * 100, sockaddr_of(first.address))
            if number % 100 == 99:  # no more at a time than any receive buffer holds
                services.await_dropped(first, number + 1)
    seen = first.counters()
    assert sum(seen.dropped.values()) == 2000 and sum(seen.packets_out.values()) == sent
    assert services.ask(second.ping, first.self) == 1


def test_bootnode_that_cannot_be_reached_harms_nothing(services: Services) -> None:
    nowhere = Node.from_parts(key_of(999).public_key, "::1", 0, 30303)
    service = services.new(nowhere)
    services.pass_time(2.0)
    assert service.lost["EAFNOSUPPORT"] >= 1
    other = services.new(service.self)
    services.pass_time_until(lambda: knows(service, other))


def test_many_timeouts_have_the_clock_checked(
    services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    server = TimeServer()
    try:
        server.answer = answer_at(services.clock.time_unix() - 86_400.0)
        service = services.new(ntp_server=server.address)
        with caplog.at_level(logging.WARNING, "p2p.discover"):
            services.tell(service, ManyTimeouts(32))
            checking = service._service._clock_check.thread
            assert checking is not None
            checking.join(PATIENCE_S)
        assert "1 day, 0:00:00" in caplog.text and "ahead" in caplog.text
    finally:
        server.close()


# life


def test_stop_wakes_whoever_waits(services: Services, dead: Node) -> None:
    service = services.new(dead)
    calls = [
        services.call(service.ping, dead),
        services.call(service.request_enr, dead),
        services.call(service.resolve, dead),
        services.call(service.lookup, bytes(64)),
    ]
    services.wait_for_waiting(service, len(calls))
    services.stop(service)
    for call in calls:
        with pytest.raises(errors.ServerStopped):
            call.result()


def test_stop_ends_a_clock_check_that_waits(services: Services) -> None:
    server = TimeServer()
    try:
        service = services.new(ntp_server=server.address)
        service._service._clock_check._timeout_s = 2 * PATIENCE_S  # longer than a stop waits
        services.tell(service, ManyTimeouts(32))
        assert server.asked.acquire(timeout=PATIENCE_S)
        services.stop(service)
    finally:
        server.close()


def fail() -> None:
    raise ZeroDivisionError("planned")


def test_crash_wakes_whoever_waits_with_the_cause(services: Services, dead: Node) -> None:
    service = services.new(dead)
    nodes = service.random_nodes()
    calls = [services.call(service.ping, dead), services.call(next, nodes)]
    services.wait_for_waiting(service, len(calls))
    services._running.remove(service)
    with service.subscribe_events() as events:
        service._service._loop.post(fail)
        with pytest.raises(errors.ServerStopped) as stopped:
            events.get(PATIENCE_S)
        assert isinstance(stopped.value.__cause__, ZeroDivisionError)
    for call in calls:
        with pytest.raises(errors.LoopCrashed) as crashed:
            call.result()
        assert isinstance(crashed.value.__cause__, ZeroDivisionError)
    for late in (lambda: service.ping(dead), service.nodes, service.counters, lambda: next(nodes)):
        with pytest.raises(errors.LoopCrashed):
            late()


def test_nothing_is_asked_before_the_start(services: Services, dead: Node) -> None:
    service = services.new(start=False)
    for early in (
        lambda: service.ping(dead),
        service.nodes,
        service.counters,
        service.random_nodes,
    ):
        with pytest.raises(errors.ServerStateError):
            early()


def test_everything_is_refused_after_the_stop(services: Services, dead: Node) -> None:
    service = services.new()
    services.stop(service)
    services.stop(service)
    for late in (lambda: service.ping(dead), service.nodes, service.counters, service.random_nodes):
        with pytest.raises(errors.ServerStopped):
            late()
    with pytest.raises(errors.ServerStateError):
        service.start()


def test_service_that_never_started_closes_its_socket(services: Services) -> None:
    service = services.new(start=False)
    services.stop(service)
    with bind_udp("127.0.0.1", service.address[1]):
        pass


def test_port_is_free_again_after_the_stop(services: Services) -> None:
    service = services.new()
    services.stop(service)
    with bind_udp("127.0.0.1", service.address[1]):
        pass


def test_stop_from_many_threads_at_once(services: Services) -> None:
    service = services.new()
    calls = [services.call(service.stop) for _ in range(5)]
    assert [call.result() for call in calls] == [[]] * 5
    services._running.remove(service)


def test_thread_is_called_p2p_disc(services: Services) -> None:
    services.new()
    assert "p2p-disc" in [thread.name for thread in threading.enumerate()]


@pytest.mark.slow
def test_it_runs_on_the_clock_of_the_machine_too(
    services: Services, dead: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = services.new(clock=SystemClock())
    with pytest.raises(errors.NoResponse):
        first.ping(dead, PATIENCE_S)
    # From here on no answer is late because this machine has something else to do.
    monkeypatch.setattr(exchange, "REPLY_TIMEOUT_S", PATIENCE_S)
    second = services.new(first.self, clock=SystemClock())
    assert first.ping(second.self, PATIENCE_S) == 2
    assert second.ping(replace(first.self, record=None), PATIENCE_S) == 1


def test_each_packet_is_a_line_at_debug(
    services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "p2p.discover"):
        first = services.new()
        second = services.new(first.self)
        services.pass_time_until(lambda: knows(first, second))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"x", sockaddr_of(first.address))
        services.await_dropped(first, 1)
    port = second.address[1]
    lines = [record.getMessage() for record in caplog.records]
    assert any(line.startswith("ping, ") and f"from 127.0.0.1:{port}" in line for line in lines)
    assert any(line.startswith("pong, ") and f"to 127.0.0.1:{port}" in line for line in lines)
    assert any(line.startswith("no packet, 1 bytes, from") for line in lines)


def test_with_block_starts_and_stops(services: Services) -> None:
    with services.new(start=False) as service:
        assert service.nodes() == []
    with pytest.raises(errors.ServerStopped):
        service.nodes()
    with pytest.raises(errors.ServerStateError), service:
        pass
