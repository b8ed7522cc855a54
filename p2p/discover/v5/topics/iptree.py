"""The IP similarity tree: the similarity of an advertiser's address to those of the ads.

Pure. Specification: discv5-theory, "IP Similarity Tree". A binary tree of one level for each bit of
an address, 32 for IPv4 and 128 for IPv6; each family has a tree of its own. A vertex is a prefix,
and counts the ads from addresses with that prefix; vertices without any do not exist. So the size
is at most the number of ads times the number of levels.

The score of an address is the part of its prefixes, over all levels, that more ads have than in a
balanced tree: at level i, more than the number of all ads divided by 2^i.

A vertex also holds a lower bound (:mod:`.lowerbound`): that of the addresses whose longest prefix
in the tree it is. A new vertex starts with the bound of its parent, since its addresses had that.
"""

from __future__ import annotations

from typing import NamedTuple

from p2p.discover.v5.topics.lowerbound import NO_BOUND, LowerBound
from p2p.netutil import IPAddress


class Vertex:
    """A prefix that ``count`` ads have, and the lower bound of its addresses."""

    __slots__ = ("bound", "count", "one", "zero")

    def __init__(self, bound: LowerBound) -> None:
        self.bound = bound
        self.count = 0
        self.zero: Vertex | None = None
        self.one: Vertex | None = None


class Match(NamedTuple):
    """The similarity of an address, from 0 to 1, and the vertex of its longest prefix."""

    score: float
    vertex: Vertex


class IPTree:
    """The tree of one family; ``levels`` is the number of bits of its addresses."""

    def __init__(self, levels: int) -> None:
        self._levels = levels
        self._root = Vertex(NO_BOUND)

    def __len__(self) -> int:
        """Return the number of addresses, each as often as it was added."""
        return self._root.count

    def match(self, ip: IPAddress, own: int = 0) -> Match:
        """Return the similarity of ``ip`` to the addresses in the tree.

        ``own`` of these, which must be equal to ``ip``, do not count.
        """
        total = self._root.count - own
        vertex, score, bits = self._root, 0, int(ip)
        for level in range(1, self._levels + 1):
            child = vertex.one if bits >> (self._levels - level) & 1 else vertex.zero
            if child is None or child.count <= own:
                break
            vertex = child
            if (child.count - own) << level > total:
                score += 1
        return Match(score / self._levels, vertex)

    def add(self, ip: IPAddress) -> None:
        """Count ``ip`` once more."""
        vertex, bits = self._root, int(ip)
        vertex.count += 1
        for shift in range(self._levels - 1, -1, -1):
            vertex = _child(vertex, bits >> shift & 1)
            vertex.count += 1

    def remove(self, ip: IPAddress) -> None:
        """Count ``ip``, which has been added, once less."""
        vertex, bits = self._root, int(ip)
        vertex.count -= 1
        for shift in range(self._levels - 1, -1, -1):
            parent, bit = vertex, bits >> shift & 1
            vertex = _child(parent, bit)
            vertex.count -= 1
            if not vertex.count:
                if bit:
                    parent.one = None
                else:
                    parent.zero = None
                return


def _child(parent: Vertex, bit: int) -> Vertex:
    """Return a child of a vertex, which is made if there is none."""
    child = parent.one if bit else parent.zero
    if child is None:
        child = Vertex(parent.bound)
        if bit:
            parent.one = child
        else:
            parent.zero = child
    return child
