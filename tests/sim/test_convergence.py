"""Nodes find each other: from one bootnode, over bad ways, after partitions and restarts."""

from __future__ import annotations

from statistics import mean
from typing import Any

from tests.sim.checks import are_ready, build, recall


def test_from_one_bootnode_lookups_find_the_sixteen_nearest(new_network: Any, scaled: Any) -> None:
    network = new_network(seed=1, signed=False)
    nodes = build(network, scaled(80, 1000), gap_s=0.2)
    assert network.run_until(lambda: are_ready(nodes), 120)
    found = recall(network, scaled(80, 1000))
    assert sum(part == 1 for part in found) >= 0.99 * len(found)


def test_with_signatures_lookups_find_all_nodes_of_a_small_network(new_network: Any) -> None:
    network = new_network(seed=2)
    nodes = build(network, 17)
    assert network.run_until(lambda: are_ready(nodes), 60)
    network.run_for(20)
    assert recall(network, 17) == [1.0] * 17


def test_a_fifth_of_all_datagrams_lost_leaves_lookups_good(new_network: Any, scaled: Any) -> None:
    network = new_network(seed=3, loss=0.2, duplication=0.05, reordering=0.2, signed=False)
    nodes = build(network, scaled(30, 300), gap_s=0.5)
    assert network.run_until(lambda: are_ready(nodes), 300)
    assert network.traffic.lost > 0.15 * network.traffic.sent
    # A request to a known node fails when it is lost twice, or its answers are: one time in eight.
    # Where nodes do not know each other yet, the pings and pongs that come first are lost as well.
    assert mean(recall(network, scaled(30, 300))) > scaled(0.85, 0.65)


def test_after_a_partition_both_halves_know_each_other_again(new_network: Any) -> None:
    network = new_network(seed=4, signed=False)
    nodes = build(network, 10)
    network.run_for(60)
    here, there = nodes[:5], nodes[5:]
    network.partition(here, there)
    network.run_for(300)
    assert not any(a.knows(b) or b.knows(a) for a in here for b in there)
    network.heal()
    assert network.run_until(
        lambda: all(a.knows(b) and b.knows(a) for a in here for b in there), 1800
    )


def test_all_nodes_restart_without_the_bootnode_and_find_each_other(new_network: Any) -> None:
    network = new_network(seed=5, signed=False)
    boot, *nodes = build(network, 20)
    network.run_for(120)
    boot.stop()
    for node in nodes:
        node.stop()
    network.run_for(3600)
    for node in nodes:
        node.restart(bootnodes=[])
    assert network.run_until(lambda: are_ready(nodes), 60)
    network.run_for(30)
    assert mean(recall(network, 19)) == 1.0


def test_without_its_store_and_bootnode_a_node_is_alone(new_network: Any) -> None:
    network = new_network(seed=6, signed=False)
    _, node, _ = build(network, 3)
    network.run_for(30)
    node.restart(keep_store=False, bootnodes=[])
    assert node.known() == []


def test_a_node_that_is_gone_leaves_all_tables(new_network: Any) -> None:
    network = new_network(seed=7, signed=False)
    *others, gone = build(network, 8)
    network.run_for(60)
    assert all(node.knows(gone) for node in others)
    gone.stop()
    assert network.run_until(lambda: not any(node.knows(gone) for node in others), 300)
