"""One search for the advertisers of a topic: which registrars to ask, and until when.

Pure: answers and time go in, queries and nodes come out; the owner sends them (discv5-theory,
"Discoverer Behaviour"). The search goes through the buckets of the service table, from the farthest
to the nearest, and asks up to K_lookup nodes of each. It ends when enough advertisers are found or
no node is left to ask. Answers bring nodes for the table meanwhile; those of a bucket that is
behind are asked next.

No registrar counts for more than F_return advertisers, and each advertiser is one result, however
many registrars name it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import islice

from p2p.discover.v5.topics.table import TopicTable
from p2p.discover.v5.topics.usability import Usability
from p2p.enode.node import Node
from p2p.enode.nodeid import NodeID
from p2p.inputs import RandomSource

#: Nodes that are asked in each bucket: K_lookup (discv5-theory, "Parameters").
K_LOOKUP = 5
#: Advertisers that are enough: F_lookup.
F_LOOKUP = 30
#: Advertisers that are taken of one registrar: F_return.
F_RETURN = 10
#: Queries under way at once, as in a lookup of nodes.
CONCURRENCY = 3
#: Queries at most; each one that fails is followed by another in its bucket.
MAX_QUERIES = 200


class Discoverer:
    """A search in the buckets of ``table`` for ``enough`` advertisers other than ``own_id``."""

    def __init__(
        self,
        table: TopicTable,
        usability: Usability,
        random: RandomSource,
        own_id: NodeID,
        enough: int = F_LOOKUP,
    ) -> None:
        self.table = table
        self._usability = usability
        self._random = random
        self._enough = enough
        self._asked: set[NodeID] = set()
        self._under_way: set[NodeID] = set()
        self._counts: Counter[int] = Counter()  # queries by distance, without those that failed
        self._found: set[NodeID] = set()
        self._own_id = own_id

    @property
    def is_finished(self) -> bool:
        """Whether the search has ended. It is asked after :meth:`queries`."""
        return not self._under_way

    @property
    def query_count(self) -> int:
        """Number of queries so far."""
        return len(self._asked)

    @property
    def found_count(self) -> int:
        """Number of advertisers found so far."""
        return len(self._found)

    def queries(self, now: float) -> list[Node]:
        """Return the nodes to ask now."""
        chosen: list[Node] = []
        while len(self._under_way) < CONCURRENCY and len(self._asked) < MAX_QUERIES:
            node = self._choose(now) if len(self._found) < self._enough else None
            if node is None:
                break
            self._asked.add(node.id)
            self._under_way.add(node.id)
            self._counts[self.table.distance(node.id)] += 1
            chosen.append(node)
        return chosen

    def answered(self, node_id: NodeID, advertisers: Iterable[Node]) -> list[Node]:
        """Take the answer of a registrar; return the advertisers that it is the first to name."""
        self._under_way.discard(node_id)
        new: dict[NodeID, Node] = {}
        for node in islice(advertisers, F_RETURN):
            if node.id != self._own_id and node.id not in self._found:
                new.setdefault(node.id, node)
        self._found.update(new)
        return list(new.values())

    def failed(self, node_id: NodeID) -> None:
        """Note that a registrar has not answered, or not as it should."""
        if node_id in self._under_way:
            self._under_way.discard(node_id)
            self._counts[self.table.distance(node_id)] -= 1

    def _choose(self, now: float) -> Node | None:
        """Return a random node of the farthest bucket in which one is left to ask."""
        for distance in self.table.distances:
            if self._counts[distance] < K_LOOKUP:
                left = [node for node in self.table.at(distance) if self._may_ask(node, now)]
                if left:
                    return left[self._random.randrange(len(left))]
        return None

    def _may_ask(self, node: Node, now: float) -> bool:
        return node.id not in self._asked and self._usability.is_usable(node.id, now)
