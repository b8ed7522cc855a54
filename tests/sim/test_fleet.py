"""A fleet in one network: with ``own_networks`` all find all, without it the limits hold."""

from __future__ import annotations

from typing import Any

import pytest

import p2p
from p2p.sim import Network, SimNode

SIZE = 12


def fleet(network: Network, prefix: str, own: p2p.Netlist | None) -> list[SimNode]:
    boot = network.add(ip=f"{prefix}.1", own_networks=own)
    rest = [
        network.add(ip=f"{prefix}.{number}", bootnodes=[boot], own_networks=own)
        for number in range(2, SIZE + 1)
    ]
    return [boot, *rest]


def known(nodes: list[SimNode]) -> int:
    return sum(node.knows(other) for node in nodes for other in nodes if node is not other)


# 203.0.113.0/24 is for documents, and so is told of only where it is named.
@pytest.mark.parametrize("prefix", ["20.0.0", "203.0.113"])
def test_own_nodes_all_know_each_other(new_network: Any, prefix: str) -> None:
    network = new_network(seed=1, signed=False)
    nodes = fleet(network, prefix, p2p.Netlist.parse(f"{prefix}.0/24"))
    assert network.run_until(lambda: known(nodes) == SIZE * (SIZE - 1), 60)


@pytest.mark.parametrize("prefix", ["10.0.0", "100.64.0"])
def test_nodes_of_a_lan_all_know_each_other(new_network: Any, prefix: str) -> None:
    network = new_network(seed=1, signed=False)
    nodes = fleet(network, prefix, None)
    assert network.run_until(lambda: known(nodes) == SIZE * (SIZE - 1), 60)


def test_network_of_the_internet_has_limits(new_network: Any) -> None:
    network = new_network(seed=1, signed=False)
    nodes = fleet(network, "20.0.0", None)
    network.run_for(300)
    assert all(len(node.known()) < SIZE - 1 for node in nodes)
