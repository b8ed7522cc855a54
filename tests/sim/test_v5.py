"""A simulated network whose nodes speak discovery v5."""

from __future__ import annotations

from typing import Any

import pytest

from p2p.errors import ArgumentError, NoResponse, ServerStateError
from p2p.sim import Network, SimNode
from tests.sim.checks import are_ready, build, recall

TOPIC = bytes(32)


def test_nodes_find_each_other(new_network: Any) -> None:
    network = new_network(seed=1, protocol="v5", loss=0.01)
    nodes = build(network, 25)
    assert network.run_until(lambda: are_ready(nodes), 300)
    network.run_for(60)
    found = recall(network, 10)
    assert sum(found) / len(found) >= 0.9


def story(seed: int) -> list[str]:
    """A little of everything, with its trace."""
    lines: list[str] = []
    network = Network(seed, protocol="v5", loss=0.05, duplication=0.02, reordering=0.1)
    network.start_trace(lines.append)
    boot = network.add("boot", topics=True)
    ann, bob = (network.add(name, bootnodes=[boot], topics=True) for name in ("ann", "bob"))
    network.run_for(30)
    ann.advertise(TOPIC)
    network.partition([ann])
    network.run_for(5)
    network.heal()
    bob.restart(keep_store=False)
    network.run_for(30)
    bob.begin_find(TOPIC, bob.new_search()).wait()
    return lines


def test_the_same_seed_gives_the_same_trace() -> None:
    assert story(1) == story(1) != story(2)


def test_packets_are_encrypted_so_the_trace_has_their_size() -> None:
    assert any("boot -> ann" in line and "packet, " in line for line in story(1))


def test_commands_of_both_protocols() -> None:
    network = Network(protocol="v5")
    boot = network.add("boot")
    ann = network.add("ann", bootnodes=[boot])
    network.run_for(10)
    assert ann.ping(boot) == boot.node.seq
    assert ann.resolve(boot).id == boot.id
    assert ann.request_enr(boot) == boot.node
    assert [node.id for node in ann.lookup()] == [boot.id]
    boot.stop()
    with pytest.raises(NoResponse):
        ann.ping(boot)


def topic_pair() -> tuple[SimNode, SimNode]:
    network = Network(protocol="v5")
    boot = network.add("boot", topics=True)
    nodes = [network.add(bootnodes=[boot], topics=True) for _ in range(5)]
    network.run_for(60)
    return nodes[0], nodes[1]


def test_topics() -> None:
    one, other = topic_pair()
    one.advertise(TOPIC)
    one._network.run_for(10)
    assert one.registrars(TOPIC)
    search = other.new_search()
    assert [node.id for node in other.begin_find(TOPIC, search).wait()] == [one.id]
    assert other.begin_find(TOPIC, search).wait() == []
    one.withdraw(TOPIC)
    one._network.run_for(910)
    assert other.begin_find(TOPIC, other.new_search()).wait() == []
    assert len(other.registrar) == 0


def test_topics_are_off_in_v4_and_by_default() -> None:
    for network, words in ((Network(), "speaks discovery v4"), (Network(protocol="v5"), "off")):
        node = network.add()
        with pytest.raises(ServerStateError, match=words):
            node.advertise(TOPIC)


def test_other_protocols_are_refused() -> None:
    with pytest.raises(ArgumentError, match='protocol: wanted "v4" or "v5"'):
        Network(protocol="v6")
