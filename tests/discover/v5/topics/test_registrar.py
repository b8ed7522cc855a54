"""The registrar (discv5-theory, "Admission Control"), rule by rule."""

from __future__ import annotations

import math
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p.crypto import PrivateKey
from p2p.discover.v5.topics.registrar import Admitted, Refused, Wait
from p2p.enode.node import Node
from p2p.enr import Record
from tests.discover.v5.topics.advertisers import Desk, advertiser, crowd, spread, topic_of

TOPIC, OTHER = topic_of(1), topic_of(2)
E_S = 900.0
NODE = advertiser(0, spread(0))


# Admission.


def test_first_request_gets_a_ticket_and_its_retry_is_admitted() -> None:
    desk = Desk()
    wait = desk.wait_of(NODE, TOPIC)
    assert wait.wait_ms == 1  # E * G is 90 µs
    assert desk.found(TOPIC) == []
    desk.time += 0.001
    assert desk.ask(NODE, TOPIC, wait.ticket) == Admitted(900_000)
    assert desk.found(TOPIC) == [NODE]


def test_request_without_the_ticket_waits_from_the_start() -> None:
    desk = Desk()
    desk.put(TOPIC, *crowd(*range(10, 20)))
    first = desk.wait_of(NODE, TOPIC)
    desk.time += 60.0
    assert desk.wait_of(NODE, TOPIC).wait_ms >= first.wait_ms - 60_000


def test_ticket_accumulates_the_time_since_the_first_request() -> None:
    desk = Desk()
    desk.put(OTHER, *crowd(*range(10, 40)))
    node = advertiser(1, spread(10))  # as similar as can be
    total_s = desk.register(node, TOPIC)
    assert total_s == pytest.approx(desk.config.ad_lifetime_s, rel=0.6)
    assert desk.found(TOPIC) == [node]


def test_waiting_time_is_computed_again_at_each_attempt() -> None:
    desk = Desk()
    desk.put(OTHER, *crowd(*range(10, 20)))
    wait = desk.wait_of(NODE, TOPIC)
    desk.put(TOPIC, *crowd(*range(20, 120)))
    desk.time += wait.wait_ms / 1000
    again = desk.wait_of(NODE, TOPIC, wait.ticket)
    assert again.wait_ms > wait.wait_ms
    assert desk.registrar.counters["waiting"] == 2


def test_wait_is_at_most_the_lifetime_of_an_ad() -> None:
    desk = Desk(capacity=20)
    desk.put(TOPIC, *crowd(*range(10, 30)))
    assert desk.wait_of(NODE, TOPIC).wait_ms == 900_000


def test_full_cache_admits_none_until_an_ad_expires() -> None:
    desk = Desk(capacity=5)
    desk.put(TOPIC, *crowd(*range(10, 15)))
    wait = desk.wait_of(NODE, OTHER)
    desk.time += 899.5
    assert isinstance(desk.ask(NODE, OTHER, wait.ticket), Wait)
    desk.time += 0.5
    assert desk.ask(NODE, OTHER, wait.ticket) == Admitted(900_000)


@pytest.mark.parametrize(
    "passed_s, counter", [(-1.0, "early"), (10.1, "late")], ids=["early", "late"]
)
def test_retry_outside_of_its_window_loses_the_time_waited(passed_s: float, counter: str) -> None:
    desk = Desk()
    desk.put(TOPIC, *crowd(*range(10, 12)))
    wait = desk.wait_of(NODE, TOPIC)
    desk.time += wait.wait_ms / 1000 + passed_s
    again = desk.wait_of(NODE, TOPIC, wait.ticket)
    assert desk.registrar.counters[counter] == 1
    desk.time += again.wait_ms / 1000
    assert isinstance(desk.ask(NODE, TOPIC, again.ticket), Admitted)


def test_ticket_of_one_ad_is_none_for_another() -> None:
    desk = Desk()
    wait = desk.wait_of(NODE, TOPIC)
    desk.time += 0.001
    other_node, new_record = advertiser(1, spread(0)), advertiser(0, spread(0), seq=2)
    for node, topic in [(NODE, OTHER), (other_node, TOPIC), (new_record, TOPIC)]:
        assert isinstance(desk.ask(node, topic, wait.ticket), Wait)
    assert desk.registrar.counters["invalid"] == 3
    assert isinstance(desk.ask(NODE, TOPIC, wait.ticket), Admitted)


def test_ticket_of_another_registrar_is_none() -> None:
    desk, other = Desk(1), Desk(2)
    wait = other.wait_of(NODE, TOPIC)
    desk.time += 0.001
    assert isinstance(desk.ask(NODE, TOPIC, wait.ticket), Wait)
    assert desk.registrar.counters["invalid"] == 1


@given(st.binary(max_size=100))
def test_any_bytes_for_a_ticket_count_as_none(ticket: bytes) -> None:
    desk = Desk()
    assert isinstance(desk.ask(NODE, TOPIC, ticket), Wait)
    assert desk.registrar.counters["invalid"] == bool(ticket)


def test_topic_of_another_size_is_an_error_of_the_caller() -> None:
    with pytest.raises(ValueError, match="topic of 31 bytes"):
        Desk().ask(NODE, bytes(31))


# Addresses.


def test_record_must_state_the_source_address() -> None:
    desk = Desk()
    assert desk.ask(NODE, TOPIC, source=ip_address("8.8.8.8")) == Refused("address")
    assert desk.registrar.counters["refused"] == 1


def test_record_may_state_the_source_as_its_second_address() -> None:
    desk, key = Desk(), PrivateKey.from_bytes(bytes([7]) * 32)
    record = Record.sign(key, 1, ip="20.0.0.1", ip6="2a00::1", udp=30303)
    node = Node.from_record(record)
    assert isinstance(desk.ask(node, TOPIC, source=IPv6Address("2a00::1")), Wait)
    assert isinstance(desk.ask(node, TOPIC, source=IPv6Address("::ffff:20.0.0.1")), Wait)


def test_ticket_is_for_one_address_of_the_record() -> None:
    desk, key = Desk(), PrivateKey.from_bytes(bytes([7]) * 32)
    node = Node.from_record(Record.sign(key, 1, ip="20.0.0.1", ip6="2a00::1", udp=30303))
    wait = desk.ask(node, TOPIC, source=IPv6Address("2a00::1"))
    assert isinstance(wait, Wait)
    desk.time += wait.wait_ms / 1000
    assert isinstance(desk.ask(node, TOPIC, wait.ticket, IPv4Address("20.0.0.1")), Wait)
    assert desk.registrar.counters["invalid"] == 1


def test_host_of_an_own_network_may_state_its_public_address() -> None:
    assert isinstance(Desk().ask(NODE, TOPIC, source=ip_address("192.168.1.7")), Wait)
    nowhere = Node.from_record(Record.sign(PrivateKey.from_bytes(bytes([7]) * 32), 1))
    assert Desk().ask(nowhere, TOPIC, source=ip_address("192.168.1.7")) == Refused("address")


def test_node_without_a_record_is_refused() -> None:
    node = Node.from_parts(NODE.public_key, NODE.ip, 1, 1)
    assert Desk().ask(node, TOPIC) == Refused("record")


# Renewal and expiry.


def test_ad_expires() -> None:
    desk = Desk()
    desk.register(NODE, TOPIC)
    assert desk.registrar.deadline == desk.time + E_S
    desk.time += E_S - 0.001
    assert desk.found(TOPIC) == [NODE]
    desk.time += 0.001
    assert desk.found(TOPIC) == []
    assert desk.registrar.deadline == math.inf and len(desk.registrar) == 0
    assert desk.registrar.counters["expired"] == 1


def test_renewal_waits_and_takes_the_place_of_the_ad() -> None:
    desk = Desk()
    desk.register(NODE, TOPIC)
    desk.time += 600.0
    new = advertiser(0, spread(0), seq=2)
    desk.register(new, TOPIC)
    assert desk.registrar.counters["renewed"] == 1 and len(desk.registrar) == 1
    desk.time += 600.0
    (found,) = desk.found(TOPIC)
    assert found.seq == 2


def test_renewal_from_another_address_moves_the_ad() -> None:
    desk = Desk()
    desk.register(NODE, TOPIC)
    moved = advertiser(0, "200.0.0.1", seq=2)
    desk.register(moved, TOPIC)
    tree = desk.registrar._waiting._trees[4]
    assert len(tree) == 1
    assert tree.match(IPv4Address("200.0.0.1")).score == 1.0


def test_repeated_retry_gives_one_ad() -> None:
    # The first confirmation may be lost, so the ticket stays valid within its window.
    desk = Desk()
    wait = desk.wait_of(NODE, TOPIC)
    desk.time += 0.001
    desk.ask(NODE, TOPIC, wait.ticket)
    desk.time += 10.0
    assert isinstance(desk.ask(NODE, TOPIC, wait.ticket), Admitted)
    desk.time += 0.1
    assert isinstance(desk.ask(NODE, TOPIC, wait.ticket), Wait)
    assert len(desk.registrar) == 1 and desk.found(TOPIC) == [NODE]


def test_full_cache_renews() -> None:
    desk = Desk(capacity=1)
    desk.register(NODE, TOPIC)
    desk.time += 100.0
    desk.register(NODE, TOPIC)
    assert desk.registrar.counters["renewed"] == 1


# Queries.


def test_query_returns_at_most_ten_of_the_topic() -> None:
    desk = Desk()
    desk.put(TOPIC, *crowd(*range(10, 40)))
    desk.put(OTHER, *crowd(*range(40, 45)))
    found = desk.found(TOPIC)
    assert len({node.id for node in found}) == 10
    assert {node.id for node in desk.found(TOPIC, limit=100)} == {
        advertiser(number, spread(number)).id for number in range(10, 40)
    }
    assert desk.found(topic_of(3)) == []
    assert all(node.record is not None for node in found)


def test_query_returns_others_each_time() -> None:
    desk = Desk()
    desk.put(TOPIC, *crowd(*range(10, 40)))
    seen = {node.id for _ in range(20) for node in desk.found(TOPIC)}
    assert len(seen) == 30
