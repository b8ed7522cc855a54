"""Nodes of a lab search for each other, some at a time."""

from __future__ import annotations

import pytest

from p2p.discover.runner import Runner
from p2p.lab import Lab, LabNode
from p2p.lab import searches as module
from p2p.observe import DiscoveryObserver, Observer
from tests.kit.waiting import PATIENCE_S

pytestmark = pytest.mark.slow

NODES = 5


def runners_of(node: LabNode) -> list[Runner]:
    fronts = node.server.discovery_v4, node.server.discovery_v5
    return [front._runner for front in fronts if front is not None]


class Searches:
    """The searches that the lab has begun, and at the beginning of each: how many were not over."""

    def __init__(self) -> None:
        self.begun: list[Runner] = []
        self.others: list[int] = []

    def observer(self, node: LabNode) -> dict[str, object]:
        return {"observer": _Node(self, node)}


class _Node(Observer):
    def __init__(self, searches: Searches, node: LabNode) -> None:
        self.searches, self.node = searches, node

    def discovery(self, protocol: str) -> DiscoveryObserver | None:
        return _Protocol(self.searches, self.node, protocol == "v5")


class _Protocol(DiscoveryObserver):
    def __init__(self, searches: Searches, node: LabNode, is_v5: bool) -> None:
        self.searches, self.node, self.is_v5 = searches, node, is_v5

    def command(self, name: str, *arguments: object) -> None:
        if name == "refresh":
            searches = self.searches
            searches.others.append(sum(not runner.is_ready for runner in searches.begun))
            searches.begun.append(runners_of(self.node)[self.is_v5])


def test_nodes_that_start_together_search_one_after_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 1)
    found = Searches()
    options = {"no_dial": True, "node_options": found.observer}
    with Lab(NODES, topology="none", discovery=True, **options) as lab:
        wanted = [runner for node in lab for runner in runners_of(node)]
        lab.wait_until(lambda: all(runner.is_ready for runner in wanted), PATIENCE_S)
        assert sorted(map(id, found.begun)) == sorted(map(id, wanted))
    assert set(found.others) == {0}


def test_a_node_that_is_stopped_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 1)
    with Lab(NODES, topology="none", discovery=True, no_dial=True) as lab:
        for index in range(1, NODES, 2):
            lab.stop_node(index)
        left = [runner for node in lab.running for runner in runners_of(node)]
        lab.wait_until(lambda: all(runner.is_ready for runner in left), PATIENCE_S)
        lab.start_node(1)
        again = runners_of(lab[1])
        lab.wait_until(lambda: all(runner.is_ready for runner in again), PATIENCE_S)
