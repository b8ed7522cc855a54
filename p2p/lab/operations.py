"""Operations on many nodes of a lab at a time: start, stop, connect.

Each waits in the calling thread, which moves simulated time meanwhile; threads of a pool do the
work. They end together, and a LabError has what has failed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from p2p.lab.edges import Edges
from p2p.lab.faults import Faults
from p2p.lab.joining import Join, Work, run_all
from p2p.lab.node import LabNode
from p2p.lab.nodes import Nodes
from p2p.lab.pace import RealPace, SimulatedPace
from p2p.lab.reports import Reports
from p2p.lab.topology import Edge

#: Two nodes, to be connected.
Pair = tuple[LabNode, LabNode]


class Operations:
    """Operations on the nodes of one lab. Any thread."""

    def __init__(
        self, nodes: Nodes, faults: Faults, reports: Reports, pace: RealPace | SimulatedPace
    ) -> None:
        self._nodes = nodes
        self._edges: Edges = nodes.edges
        self._faults = faults
        self._reports = reports
        self._pace = pace

    def start(self, nodes: Sequence[LabNode]) -> None:
        """Start nodes; if there is a bootnode, the first is started before the others."""
        first = nodes[:1] if self._nodes.has_bootnode else []
        for some in (first, nodes[len(first) :]):
            work = [(node.name, partial(self._nodes.start, node)) for node in some]
            run_all("started", work, self._pace.finish)

    def stop(self, nodes: Sequence[LabNode]) -> list[str]:
        """Stop nodes. Returns the names of threads that have not ended."""
        left: list[str] = []
        work = [(node.name, partial(self._stop_one, node, left)) for node in nodes]
        run_all("stopped", work, self._pace.finish)
        return left

    def connect(self, edges: Iterable[Edge], timeout_s: float) -> None:
        """Connect those of the edges whose ends run, and have no partition between them."""
        able = [edge for edge in edges if not self._faults.are_parted(*edge)]
        pairs = [pair for pair in self.pairs(able) if pair[0].is_running and pair[1].is_running]
        self.join(pairs, timeout_s)

    def join(self, pairs: Sequence[Pair], timeout_s: float) -> None:
        """Have the first of each pair dial the other, and wait until both have the connection."""
        patience_s = max(timeout_s, self._pace.patience_s)
        work: list[Work] = []
        for one, other in pairs:
            call = Join(one, other, self._edges, self._reports, timeout_s, patience_s)
            work.append((f"{one.name} - {other.name}", call))
        run_all("connected", work, self._pace.finish)

    def pairs(self, edges: Iterable[Edge]) -> list[Pair]:
        """Return the nodes of edges."""
        return [(self._nodes.find(one), self._nodes.find(other)) for one, other in edges]

    def _stop_one(self, node: LabNode, left: list[str]) -> None:
        left += self._nodes.stop(node)
