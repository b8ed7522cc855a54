"""A network of many nodes with discovery begins where it ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from p2p.lab import Lab
from tests.kit.waiting import PATIENCE_S
from tests.lab.test_lab import STAY, names
from tests.lab.test_restore import known_to

NODES = 24
DOWN = range(10, 14)


@pytest.mark.slow
def test_many_nodes_go_on_where_they_were(tmp_path: Path) -> None:
    options: dict[str, Any] = {"protocols": [STAY], "no_dial": True}
    with Lab(NODES, topology="small-world", discovery=True, discovery_v5=False, **options) as lab:
        assert len(lab.edges) == 2 * NODES
        lab.wait_until(lambda: len(known_to(lab, NODES - 1)) > 10, PATIENCE_S)
        for index in DOWN:
            lab.stop_node(index)
        left = [edge for edge in names(lab.wanted_edges) if not set(edge.split("-")) & STOPPED]
        lab.wait_until(lambda: names(lab.edges) == left, PATIENCE_S)
        ids = [node.id for node in lab]
        lab.snapshot().save(tmp_path / "lab.json")
    with Lab.from_snapshot(tmp_path / "lab.json", **options) as again:
        assert [node.id for node in again] == ids
        assert len(again.running) == NODES - len(DOWN)
        assert names(again.edges) == left
        again.wait_until(lambda: len(known_to(again, NODES - 1)) > 10, PATIENCE_S)
        for index in DOWN:
            again.start_node(index)
        assert names(again.edges) == names(again.wanted_edges)


STOPPED = {f"n{index}" for index in DOWN}
