"""Wall clocks that jump disturb nobody."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sim.checks import build, removals

HOUR_S = 3600.0
DAY_S = 24 * HOUR_S
JUMPS = [HOUR_S, -HOUR_S, DAY_S, -DAY_S]


@pytest.mark.parametrize("seconds", JUMPS)
def test_when_one_clock_jumps_nobody_loses_anybody(new_network: Any, seconds: float) -> None:
    network = new_network(seed=1, signed=False)
    nodes = build(network, 8)
    network.run_for(60)
    lost = removals(nodes)
    nodes[3].jump_clock(seconds)
    network.run_for(240)
    assert lost == []
    assert all(len(node.known()) == 7 for node in nodes)
    assert len(nodes[3].lookup()) == 7
    assert all(node.ping(nodes[3]) == 1 for node in nodes if node is not nodes[3])


@pytest.mark.parametrize("seconds", JUMPS)
def test_when_all_clocks_jump_nobody_loses_anybody(new_network: Any, seconds: float) -> None:
    network = new_network(seed=2, signed=False)
    nodes = build(network, 8)
    network.run_for(60)
    lost = removals(nodes)
    network.jump_clocks(seconds)
    network.run_for(240)
    assert lost == []
    assert all(len(node.lookup()) == 7 for node in nodes)


def test_clocks_that_jump_to_and_fro_lose_nobody(new_network: Any) -> None:
    network = new_network(seed=3, signed=False)
    nodes = build(network, 6)
    network.run_for(60)
    lost = removals(nodes)
    for turn in range(12):
        nodes[turn % 6].jump_clock(JUMPS[turn % 4])
        network.run_for(10)
    assert lost == []
    assert all(len(node.known()) == 5 for node in nodes)
