"""A network of many nodes begins where it ended."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import p2p
from p2p.discover.maintenance import SMALL_TABLE
from p2p.lab import Lab, LabNode, Snapshot
from tests.kit.waiting import PATIENCE_S
from tests.lab.test_lab import STAY, names
from tests.lab.test_restore import known_to

pytestmark = pytest.mark.slow

MANY, NODES = 200, 24
DOWN = range(10, 14)
STOPPED = {f"n{index}" for index in DOWN}
#: Nodes in a table of the large network: about as many as in that of a lab that has run for long.
KNOWN = 60
PORTS = {"tcp": 30303, "udp": 30303}
OPTIONS: dict[str, Any] = {"protocols": [STAY], "no_dial": True}


def test_nodes_without_discovery_go_on_where_they_were(tmp_path: Path) -> None:
    with Lab(MANY, topology="small-world", **OPTIONS) as lab:
        for index in DOWN:
            lab.stop_node(index)
        left = [edge for edge in names(lab.wanted_edges) if not set(edge.split("-")) & STOPPED]
        lab.wait_until(lambda: names(lab.edges) == left, PATIENCE_S)
        lab.snapshot().save(tmp_path / "lab.json")
        ids = [node.id for node in lab]
    with Lab.from_snapshot(tmp_path / "lab.json", **OPTIONS) as again:
        assert [node.id for node in again] == ids
        assert (len(again.running), names(again.edges)) == (MANY - len(DOWN), left)


def test_nodes_whose_tables_are_full_do_not_search_at_their_start(tmp_path: Path) -> None:
    lab_with_tables(MANY, KNOWN).save(tmp_path / "lab.json")
    with Lab.from_snapshot(tmp_path / "lab.json", **OPTIONS) as lab:
        assert names(lab.edges) == names(lab.wanted_edges) and len(lab.edges) == 2 * MANY
        assert all(len(known_to(lab, index)) > SMALL_TABLE for index in range(MANY))
        assert not any(map(findnodes_of, lab))


def test_nodes_with_discovery_go_on_where_they_were(tmp_path: Path) -> None:
    with Lab(NODES, topology="small-world", discovery=True, discovery_v5=False, **OPTIONS) as lab:
        assert len(lab.edges) == 2 * NODES
        lab.wait_until(lambda: len(known_to(lab, NODES - 1)) > 10, PATIENCE_S)
        for index in DOWN:
            lab.stop_node(index)
        left = [edge for edge in names(lab.wanted_edges) if not set(edge.split("-")) & STOPPED]
        lab.wait_until(lambda: names(lab.edges) == left, PATIENCE_S)
        lab.snapshot().save(tmp_path / "lab.json")
    with Lab.from_snapshot(tmp_path / "lab.json", **OPTIONS) as again:
        assert len(again.running) == NODES - len(DOWN)
        assert names(again.edges) == left
        again.wait_until(lambda: len(known_to(again, NODES - 1)) > 10, PATIENCE_S)
        for index in DOWN:
            again.start_node(index)
        assert names(again.edges) == names(again.wanted_edges)


def lab_with_tables(count: int, known: int) -> Snapshot:
    """A snapshot of a lab whose nodes each know others, chosen at random."""
    snapshot = Lab(count, topology="small-world").snapshot()
    nodes = [
        p2p.Node.from_record(p2p.Record.sign(state.private_key, 1, ip=state.ip, **PORTS))
        for state in snapshot.nodes
    ]
    choice = random.Random(1)
    states = []
    for index, state in enumerate(snapshot.nodes):
        others = nodes[:index] + nodes[index + 1 :]
        states.append(replace(state, running=True, known=tuple(choice.sample(others, known))))
    return replace(snapshot, discovery=True, nodes=tuple(states))


def findnodes_of(node: LabNode) -> int:
    discovery = node.server.discovery_v4
    assert discovery is not None
    return discovery.counters().packets_out["findnode"]
