"""The simulated network itself: time, links, partitions, start and stop of nodes."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any

import pytest

from p2p.errors import ArgumentError, Closed, NoResponse, ServerStateError, Timeout
from p2p.sim import Link, Network
from p2p.sim.address import HashedIPv4
from p2p.sim.link import JITTER, LinkModel
from tests.sim.checks import build

HERE, THERE = IPv4Address("20.0.0.1"), IPv4Address("20.0.1.1")
A, B = (HERE, 1), (THERE, 2)


# Time.


def test_events_happen_in_the_order_of_their_time_and_of_their_entry() -> None:
    network, seen = Network(), list[str]()
    network.at(2.0, seen.append, "third")
    network.at(1.0, seen.append, "first")
    network.at(1.0, seen.append, "second")
    network.run_for(3)
    assert (seen, network.time) == (["first", "second", "third"], 3.0)


def test_an_event_of_the_past_happens_now() -> None:
    network, seen = Network(), list[float]()
    network.run_for(5)
    network.at(1.0, lambda: seen.append(network.time))
    network.run_for(0)
    assert seen == [5.0]


def test_running_ends_when_the_condition_holds_or_at_the_limit() -> None:
    network = Network()
    assert network.run_until(lambda: network.time >= 1, limit=10)
    assert network.time < 1.1
    assert not network.run_until(lambda: False, limit=2)
    with pytest.raises(ValueError):
        network.run_for(-1)


# Ways.


def arrivals(network: Network, count: int = 1) -> list[tuple[float, bytes]]:
    """Send ``count`` datagrams from A to B; return the time and data of each arrival."""
    seen: list[tuple[float, bytes]] = []
    network.attach("b", B, lambda data, source: seen.append((network.time, data)))
    for number in range(count):
        network.send(A, B, b"%d" % number)
    network.run_for(10)
    return seen


def test_a_datagram_takes_the_latency_of_its_link() -> None:
    ((when, data),) = arrivals(Network(latency=0.5))
    assert 0.5 <= when <= 0.5 * (1 + JITTER)
    assert data == b"0"


def test_a_pair_of_addresses_has_one_latency_in_both_directions_and_each_run() -> None:
    link = Link((0.0, 1.0))
    there, back = (
        [LinkModel(1).delays(link, *ends)[0] for _ in range(2)]
        for ends in [(HERE, THERE), (THERE, HERE)]
    )
    assert there == back
    assert LinkModel(2).delays(link, HERE, THERE)[0] != there[0]


@pytest.mark.parametrize(
    "changes, expected",
    [({"loss": 0.25}, 1500), ({"duplication": 0.25}, 2500), ({"loss": 1.0}, 0), ({}, 2000)],
)
def test_datagrams_are_lost_and_doubled_as_often_as_told(
    changes: dict[str, float], expected: int
) -> None:
    network = Network(**changes)
    assert abs(len(arrivals(network, 2000)) - expected) < 100
    assert network.traffic.sent == 2000


def test_datagrams_overtake_each_other_when_told() -> None:
    in_order = [b"%d" % number for number in range(100)]
    kept = [data for _, data in sorted(arrivals(Network(latency=0.0), 100))]
    assert kept == sorted(in_order)
    mixed = [data for _, data in arrivals(Network(latency=0.1, reordering=0.5), 100)]
    assert mixed != in_order
    assert sorted(mixed) == sorted(in_order)


def test_one_way_may_be_worse_than_the_others() -> None:
    network = Network()
    network.set_address_link(HERE, THERE, loss=1.0)
    assert arrivals(network, 10) == []
    assert network.traffic.lost == 10


@pytest.mark.parametrize("wrong", [{"loss": 1.5}, {"latency": (2.0, 1.0)}, {"latency": -1.0}])
def test_a_way_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        Network(**wrong)


def test_a_partition_stops_datagrams_until_it_is_healed() -> None:
    network = Network()
    network.split([[HERE]])
    assert arrivals(network) == []
    network.detach(B)
    network.heal()
    assert len(arrivals(network)) == 1


def test_what_comes_to_an_address_without_host_is_counted() -> None:
    network = Network()
    network.send(A, B, b"")
    network.run_for(1)
    assert network.traffic.refused == 1


# Nodes.


def test_nodes_have_names_keys_and_addresses_of_their_own() -> None:
    network = Network()
    first, second = network.add(), network.add(ip="30.1.1.1", port=31000)
    assert (first.name, second.name) == ("n1", "n2")
    assert second.address == (IPv4Address("30.1.1.1"), 31000)
    assert first.id != second.id
    assert Network().add().id == first.id
    assert Network(seed=2).add().id != first.id
    assert network.node("n2") is second


def test_a_name_or_an_address_is_given_once() -> None:
    network = Network()
    network.add("a", ip="30.1.1.1")
    with pytest.raises(ArgumentError):
        network.add("a")
    with pytest.raises(ArgumentError):
        network.add("b", ip="30.1.1.1")


def test_a_lookup_a_ping_and_a_record_come_back() -> None:
    network = Network()
    boot, node, _ = build(network, 3)
    network.run_for(10)
    assert {found.id for found in node.lookup()} == {boot.id, network.node("n3").id}
    assert node.ping(boot) == 1
    assert node.request_enr(boot).record == boot._local.record
    assert node.resolve(network.node("n3")).ip == network.node("n3").address[0]


def test_a_command_to_a_dead_node_ends_with_its_error() -> None:
    network = Network()
    boot, node = build(network, 2)
    boot.stop()
    with pytest.raises(NoResponse):
        node.ping(boot)
    with pytest.raises(ServerStateError):
        boot.ping(node)
    lookup = node.begin_lookup()
    with pytest.raises(ServerStateError):
        _ = lookup.result
    node.stop()
    with pytest.raises(Closed, match="the node was stopped"):
        lookup.wait()


def test_a_command_that_does_not_end_in_time_says_so() -> None:
    network = Network()
    boot, node = build(network, 2)
    with pytest.raises(Timeout, match="simulated seconds"):
        node.ping(boot, limit=0.001)


def test_a_node_that_restarts_keeps_what_it_stored_and_counts_anew() -> None:
    network = Network()
    _, node = build(network, 2)
    network.run_for(30)
    store = node.store
    node.restart()
    assert node.store is store
    assert len(node.run_counters) == 2
    assert sum(node.counters.packets_in.values()) == 0
    node.restart(keep_store=False)
    assert node.store is not store


def test_the_table_can_be_read_as_text() -> None:
    network = Network()
    boot, node = build(network, 2)
    network.run_for(10)
    assert str(boot.table()).startswith(f"table of {boot.id.short}: 1 node in 1 of 17 buckets\n")
    assert node.id.short in str(boot.table())
    assert repr(boot).startswith("SimNode(boot, ")


def test_the_nearest_nodes_are_running_and_sorted() -> None:
    network = Network(signed=False)
    nodes = build(network, 20)
    nodes[5].stop()
    target = nodes[7].private_key.public_key.to_bytes()
    near = network.closest(target, 19, but=nodes[9])
    assert near[0] is nodes[7]
    assert set(near) == {*nodes} - {nodes[5], nodes[9]}


def test_an_address_that_knows_its_hash_is_an_address_like_any_other() -> None:
    plain = HashedIPv4.of("20.0.0.1")
    assert plain == HERE and hash(plain) == hash(HERE)
    assert {HERE: 1}[plain] == 1
    assert HashedIPv4.of("2001:db8::1").version == 6
