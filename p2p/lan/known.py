"""The nodes known by their announcements, and the order in which they are offered for dials.

Pure; time is an argument, in seconds. A node is known under each name that announces it, one for
each of its interfaces, and leaves with the last of them. The first name counts for its address
until it goes: an announcement that repeats another node's record cannot replace it.

Every number has a limit, for all of a network, for one host and for the names of one node, and what
comes later is refused: a flood displaces no known node.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from p2p.enode.node import Node
from p2p.enode.nodeid import NodeID
from p2p.errors import InvalidNode
from p2p.inputs import RandomSource
from p2p.netutil import IPAddress

#: Limit on the names, of all nodes.
MAX_NAMES = 512
#: Limit on the nodes at one address: many on one machine is an experiment, more is a flood.
MAX_PER_ADDRESS = 32
#: Limit on the names of one node, which has one at each interface that we share with it.
MAX_PER_NODE = 8
#: A known node is offered again after this time, in seconds, if a slot is free. A dial that failed
#: is not repeated before ``redial_pause_s``.
OFFER_AGAIN_S = 10.0

#: The place of an announcement: the index of the interface, and the name.
Place = tuple[int, str]

_K = TypeVar("_K")


@dataclass
class _Entry:
    node: Node
    offer_at: float


class KnownNodes:
    """The known nodes, by place. ``random`` chooses among those that can be offered."""

    def __init__(self, random: RandomSource) -> None:
        self._random = random
        self._entries: dict[Place, _Entry] = {}
        self._per_address: Counter[IPAddress | None] = Counter()
        self._per_node: Counter[NodeID] = Counter()

    def put(self, place: Place, node: Node, now: float) -> bool:
        """Set the node of ``place``; return whether it is new, or known by another record now.

        Raises InvalidNode if a limit is reached.
        """
        before = self._entries.get(place)
        if before is not None and before.node == node and before.node.record == node.record:
            return False
        self.remove(place)
        self._check_limits(node)
        self._entries[place] = _Entry(node, now)
        self._per_address[node.ip] += 1
        self._per_node[node.id] += 1
        return True

    def remove(self, place: Place) -> None:
        """Remove the node of ``place``, if there is one."""
        entry = self._entries.pop(place, None)
        if entry is not None:
            _decrease(self._per_address, entry.node.ip)
            _decrease(self._per_node, entry.node.id)

    def remove_interface(self, index: int) -> None:
        """Remove all nodes of an interface."""
        for place in [place for place in self._entries if place[0] == index]:
            self.remove(place)

    @property
    def nodes(self) -> list[Node]:
        """The known nodes, each once."""
        found: dict[NodeID, Node] = {}
        for entry in self._entries.values():
            found.setdefault(entry.node.id, entry.node)
        return list(found.values())

    @property
    def places(self) -> set[Place]:
        """The places of all announcements."""
        return set(self._entries)

    def __len__(self) -> int:
        return len(self._per_node)

    def poll_offer(self, now: float) -> Node | None:
        """Return a node to dial now; None if there is none before :attr:`next_offer`."""
        due = [entry for entry in self._first_entries() if entry.offer_at <= now]
        if not due:
            return None
        entry = due[self._random.randrange(len(due))]
        entry.offer_at = now + OFFER_AGAIN_S
        return entry.node

    @property
    def next_offer(self) -> float | None:
        """The time at which a node can be offered; None if none is known."""
        return min((entry.offer_at for entry in self._first_entries()), default=None)

    def _first_entries(self) -> Iterator[_Entry]:
        """Return the entry of each node that has been there for longest."""
        seen: set[NodeID] = set()
        for entry in self._entries.values():
            if entry.node.id not in seen:
                seen.add(entry.node.id)
                yield entry

    def _check_limits(self, node: Node) -> None:
        if len(self._entries) >= MAX_NAMES:
            raise InvalidNode(f"{MAX_NAMES} announcements are known")
        if self._per_address[node.ip] >= MAX_PER_ADDRESS:
            raise InvalidNode(f"{MAX_PER_ADDRESS} announcements of {node.ip} are known")
        if self._per_node[node.id] >= MAX_PER_NODE:
            raise InvalidNode(f"{MAX_PER_NODE} announcements of the node are known")


def _decrease(counts: Counter[_K], key: _K) -> None:
    counts[key] -= 1
    if not counts[key]:
        del counts[key]
