"""The edges of a lab: those to keep, and those that are connected at this moment.

An edge is a pair of indexes of nodes, the smaller one first. It is connected when the servers of
both ends have the other one as a peer. Any thread; the servers report from their I/O threads.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable

from p2p.lab.reports import Reports
from p2p.lab.topology import Edge


def edge_of(one: int, other: int) -> Edge:
    """Return the edge of two nodes."""
    return (one, other) if one < other else (other, one)


class Edges:
    """The edges between nodes, by index; ``name_of`` returns the name of one."""

    def __init__(self, reports: Reports, name_of: Callable[[int], str]) -> None:
        # fixed after __init__
        self._reports = reports
        self._name_of = name_of
        # set before the start: edges of a snapshot that are connected and not kept
        self.extra: tuple[Edge, ...] = ()
        # guarded by _lock
        self._lock = threading.Lock()
        self._wanted: set[Edge] = set()
        self._ends: dict[Edge, set[int]] = {}  # the ends that have the connection
        self._connected: set[Edge] = set()
        self._dialers: dict[Edge, int] = {}
        self._made: Counter[Edge] = Counter()

    # the edges to keep

    @property
    def wanted(self) -> list[Edge]:
        """The edges to keep, in order."""
        with self._lock:
            return sorted(self._wanted)

    @property
    def first(self) -> list[Edge]:
        """The edges to connect at the start, in order."""
        return sorted({*self.wanted, *self.extra})

    def want(self, edges: Iterable[Edge]) -> None:
        """Add edges to keep."""
        with self._lock:
            self._wanted.update(edges)

    def unwant(self, edge: Edge) -> None:
        """Remove an edge from those to keep."""
        with self._lock:
            self._wanted.discard(edge)

    def unwant_all_of(self, node: int) -> None:
        """Remove all edges of a node from those to keep."""
        with self._lock:
            self._wanted = {edge for edge in self._wanted if node not in edge}

    # the connected edges

    @property
    def connected(self) -> list[Edge]:
        """The edges that are connected, in order."""
        with self._lock:
            return sorted(self._connected)

    def is_connected(self, edge: Edge) -> bool:
        """Whether both ends have the connection."""
        return edge in self._connected

    def has_ends(self, edge: Edge) -> bool:
        """Whether at least one end has the connection."""
        return bool(self._ends.get(edge))

    def made(self, edge: Edge) -> int:
        """Number of times that the edge was connected so far."""
        return self._made[edge]

    def missing(self) -> list[Edge]:
        """Return the edges to keep that are not connected, in order."""
        with self._lock:
            return sorted(self._wanted - self._connected)

    def neighbors(self, node: int) -> list[int]:
        """Return the nodes that a node is connected with, in order."""
        with self._lock:
            found = [edge for edge in self._connected if node in edge]
        return sorted(one if other == node else other for one, other in found)

    # reports of the servers

    def added(self, node: int, other: int, dialed: bool) -> None:
        """Note that ``node`` has ``other`` as a peer; ``dialed`` if it has dialed it."""
        edge = edge_of(node, other)
        with self._lock:
            ends = self._ends.setdefault(edge, set())
            ends.add(node)
            self._dialers[edge] = node if dialed else other
            if len(ends) == 2 and edge not in self._connected:
                self._connected.add(edge)
                self._made[edge] += 1
                self._report_connected(edge)

    def dropped(self, node: int, other: int, reason: str) -> None:
        """Note that ``node`` has lost ``other`` as a peer."""
        edge = edge_of(node, other)
        with self._lock:
            self._ends.get(edge, set()).discard(node)
            if edge in self._connected:
                self._connected.discard(edge)
                names = {"node": self._name_of(node), "peer": self._name_of(other)}
                self._reports.report("dropped", text=reason, **names)
            else:
                self._reports.change()

    def _report_connected(self, edge: Edge) -> None:
        dialer = self._dialers[edge]
        listener = edge[0] if edge[1] == dialer else edge[1]
        names = {"node": self._name_of(dialer), "peer": self._name_of(listener)}
        self._reports.report("connected", **names)
