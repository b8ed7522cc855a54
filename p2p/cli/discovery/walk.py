"""A lookup that keeps the reason of each of its steps: the nodes asked, and who named them.

Pure: a :class:`Walk` says whom to ask, its owner asks and gives the answers. It goes the way of
Kademlia, three nodes at a time, until the sixteen nearest have answered (discovery v4, "Recursive
Lookup"). The lookup of :mod:`p2p.discover` does not show its steps, and takes limits into account
that only a node on the Internet needs; this one is bounded by a number of queries.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import p2p
from p2p.enode import log_distance, xor_distance
from p2p.netutil import check_relay_addr

#: Nodes asked at a time, and nodes in the result.
ALPHA, RESULT_SIZE = 3, 16
#: Most nodes that are asked.
MAX_QUERIES = 96
#: Most nodes that are taken from one answer.
MAX_NAMED = 16
#: Distances that a node of discovery v5 is asked for; others refuse more than ten.
DISTANCES = 8
#: The largest logarithmic distance.
MAX_DISTANCE = 256


@dataclass
class Hop:
    """One node that was asked.

    ``named_by`` is the node that named it, None for one known before; ``depth`` the number of nodes
    on the way to it. ``named`` is the number of nodes in its answer, ``new`` of those not named
    before, ``nearest`` the distance of the nearest one from the target.
    """

    number: int
    node: p2p.Node
    distance: int
    depth: int
    named_by: p2p.NodeID | None
    is_over: bool = False
    error: str = ""
    seconds: float = 0.0
    named: int = 0
    new: int = 0
    nearest: int | None = None

    def record(self) -> dict[str, Any]:
        """Return the hop for JSON."""
        endpoint = self.node.udp_endpoint
        return {
            "hop": self.number,
            "id": self.node.id,
            "address": "" if endpoint is None else str(endpoint),
            "distance": self.distance,
            "depth": self.depth,
            "named_by": self.named_by and str(self.named_by),
            "ok": not self.error,
            "error": self.error,
            "ms": round(self.seconds * 1000, 3),
            "named": self.named,
            "new": self.new,
            "nearest": self.nearest,
        }


@dataclass
class _Known:
    node: p2p.Node
    depth: int
    named_by: p2p.NodeID | None
    hop: Hop | None = field(default=None)


class Walk:
    """A lookup of ``target`` by the node ``own_id``, from the nodes of ``start``."""

    def __init__(self, target: p2p.NodeID, own_id: p2p.NodeID, start: Iterable[p2p.Node]) -> None:
        self.target = target
        #: The nodes asked, in the order of the queries.
        self.hops: list[Hop] = []
        self._own_id = own_id
        self._known: dict[p2p.NodeID, _Known] = {}
        self._in_flight = 0
        for node in start:
            if node.id != own_id:
                self._known.setdefault(node.id, _Known(node, 1, None))

    def next_hops(self) -> list[Hop]:
        """Return the nodes to ask now; report each by :meth:`answered` or :meth:`failed`."""
        hops = []
        for known in self._nearest():
            if self._in_flight >= ALPHA or len(self.hops) >= MAX_QUERIES:
                break
            if known.hop is None:
                hops.append(self._ask(known))
        return hops

    @property
    def is_over(self) -> bool:
        """Whether no node is left to ask, and all have answered."""
        if self._in_flight:
            return False
        return len(self.hops) >= MAX_QUERIES or all(known.hop for known in self._nearest())

    def answered(self, hop: Hop, nodes: Iterable[p2p.Node], seconds: float) -> None:
        """Take the nodes that a node has named."""
        self._end(hop, seconds)
        named = [node for node in nodes if may_name(hop.node, node)][:MAX_NAMED]
        new = [node for node in named if node.id not in self._known and node.id != self._own_id]
        for node in new:
            self._known[node.id] = _Known(node, hop.depth + 1, hop.node.id)
        hop.named, hop.new = len(named), len(new)
        hop.nearest = min((log_distance(self.target, node.id) for node in named), default=None)

    def failed(self, hop: Hop, error: str, seconds: float) -> None:
        """Note that a node has not answered; it does not count any more."""
        self._end(hop, seconds)
        hop.error = error

    def result(self) -> list[p2p.Node]:
        """Return the nearest nodes that have answered, nearest first."""
        return [known.node for known in self._nearest() if known.hop and known.hop.is_over]

    def _ask(self, known: _Known) -> Hop:
        node = known.node
        distance = log_distance(self.target, node.id)
        known.hop = Hop(len(self.hops) + 1, node, distance, known.depth, known.named_by)
        self.hops.append(known.hop)
        self._in_flight += 1
        return known.hop

    def _end(self, hop: Hop, seconds: float) -> None:
        hop.is_over, hop.seconds = True, seconds
        self._in_flight -= 1

    def _nearest(self) -> list[_Known]:
        """Return the nearest nodes that have not failed."""
        usable = [known for known in self._known.values() if not (known.hop and known.hop.error)]
        usable.sort(key=lambda known: xor_distance(self.target, known.node.id))
        return usable[:RESULT_SIZE]


def may_name(teller: p2p.Node, named: p2p.Node) -> bool:
    """Return whether to believe a node's statement about the address of another.

    A node of the Internet cannot know a node of our LAN, nor one of this machine: asking it would
    send packets where the teller cannot.
    """
    if named.ip is None or not named.udp:
        return False
    return teller.ip is None or check_relay_addr(teller.ip, named.ip) is None


def distances_to(target: p2p.NodeID, node_id: p2p.NodeID) -> Iterator[int]:
    """Yield the distances to ask a node for: that of the target, and those next to it."""
    distance = log_distance(target, node_id)
    near = [distance]
    for step in range(1, DISTANCES):
        near += [distance + step, distance - step]
    yield from [each for each in near if 0 < each <= MAX_DISTANCE][:DISTANCES]
