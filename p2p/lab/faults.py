"""The links of a lab and its partition, as the program has set them.

It owns what was set, for snapshots and reports; the network between the nodes applies it. Any
thread.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from p2p.arguments import wrong
from p2p.lab.network import NO_DELAY, LabNetwork
from p2p.lab.node import LabNode
from p2p.lab.reports import Reports
from p2p.lab.topology import Edge
from p2p.sim.link import Link

#: The links to change: from one node to another, or those of all nodes.
Pair = Edge | None


class Faults:
    """The links and the partition of ``network``."""

    def __init__(self, network: LabNetwork, reports: Reports) -> None:
        # fixed after __init__
        self._network = network
        self._reports = reports
        # guarded by _lock
        self._lock = threading.Lock()
        self._own: dict[Edge, Link] = {}
        self._sides: tuple[tuple[int, ...], ...] = ()

    @property
    def sides(self) -> tuple[tuple[int, ...], ...]:
        """The sides of the partition, by index, without the one of all others."""
        return self._sides

    @property
    def links(self) -> tuple[tuple[Pair, Mapping[str, Any]], ...]:
        """The link of all nodes, if it has an effect, and those of their own, by their fields."""
        with self._lock:
            own = list(self._own.items())
        of_all = self._network.link
        first: list[tuple[Pair, Link]] = [] if of_all == NO_DELAY else [(None, of_all)]
        return tuple((pair, asdict(link)) for pair, link in [*first, *own])

    def are_parted(self, one: int, other: int) -> bool:
        """Whether a partition lies between two nodes."""
        side_of = {index: number for number, side in enumerate(self._sides) for index in side}
        return side_of.get(one) != side_of.get(other)

    def set_links(self, changes: Mapping[str, Any]) -> None:
        """Change the link of all nodes that have none of their own."""
        self._network.link = replace(self._network.link, **changes)
        self._reports.report("link", data=dict(changes))

    def set_link(
        self, one: LabNode, other: LabNode, changes: Mapping[str, Any], one_way: bool
    ) -> None:
        """Change the link between two nodes, or only that from the first to the second."""
        self._network.set_link(one._host, other._host, one_way=one_way, **changes)
        self._keep(one, other)
        if not one_way:
            self._keep(other, one)
        self._reports.report("link", node=one.name, peer=other.name, data=dict(changes))

    def partition(self, sides: Sequence[Sequence[LabNode]]) -> None:
        """Let nothing pass between the sides; all other nodes are one more."""
        indexes = [node.index for side in sides for node in side]
        if len(set(indexes)) < len(indexes):
            raise wrong("sides", [[node.name for node in side] for side in sides], _ONCE)
        self._network.partition(*([node._host for node in side] for side in sides))
        self._sides = tuple(tuple(node.index for node in side) for side in sides)
        names = [[node.name for node in side] for side in sides]
        self._reports.report("partition", data={"sides": names})

    def heal(self) -> None:
        """End the partition."""
        self._network.heal()
        self._sides = ()
        self._reports.report("healed")

    def _keep(self, one: LabNode, other: LabNode) -> None:
        with self._lock:
            link = self._network.link_of(one._host, other._host)
            self._own[one.index, other.index] = link


_ONCE = "each node on one side"
