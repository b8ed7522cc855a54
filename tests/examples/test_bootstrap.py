"""examples/bootstrap.py: nodes that know one find the others."""

from __future__ import annotations

import re
from typing import Any


def test_all_nodes_find_others_through_the_one_they_know(run: Any) -> None:
    program = run("bootstrap.py")
    assert program.line().startswith("20 nodes, bootnode enode://")
    assert program.line() == "every node has found at least 5 others"
    assert re.fullmatch("node 19 has its first peer: node [0-9]+", program.line())
    code, table, errors = program.end()
    assert (code, errors) == (0, "")
    assert re.fullmatch("table of [0-9a-f]{16}: [0-9]+ nodes in [0-9]+ of 17 buckets", table[0])
    nodes = [line for line in table if re.match(r"  [0-9a-f]{16}  127\.0\.0\.1:[0-9]+ ", line)]
    assert len(nodes) >= 5
