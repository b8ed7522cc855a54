"""The walk over one subtree of a node list: all its entries once, in random order.

Pure. The entries that are missing are known by their hashes. The next one is picked at random among
them, so that a few look-ups find a node, and the order of the nodes is different each time.

The publisher of a list may be hostile. Of the chain of branches to an entry, the length is limited;
a branch that several others refer to is followed once; and among many missing entries the deepest
one is picked, which keeps their number small, since there is no long way down from it.
"""

from __future__ import annotations

from dataclasses import dataclass

from p2p.dnsdisc.entry import Branch
from p2p.errors import InvalidTree
from p2p.inputs import RandomSource

#: Branches at most from the root of a subtree to an entry. A list of a million nodes has six.
MAX_DEPTH = 16
#: Missing entries from which the walk goes down instead of everywhere.
MANY_MISSING = 4096
#: Branches of a subtree that are followed: enough for 200,000 nodes, and 1 MB to keep.
MAX_BRANCHES = 16_384
#: Failed look-ups of an entry until the next walk.
MAX_TRIES = 3


@dataclass(slots=True)
class _Missing:
    """An entry to look up: its hash, the branches above it, and its failed look-ups."""

    hash: str
    depth: int = 0
    tries: int = 0


class Subtree:
    """The walk over the entries below the hash ``root``.

    One entry at a time is taken. One call follows with the outcome: :meth:`add_branch`,
    :meth:`add_leaf` or :meth:`try_later`; none for an entry to go on without.
    """

    def __init__(self, root: str, max_branches: int = MAX_BRANCHES) -> None:
        self.root = root
        #: Number of leaves found so far.
        self.leaves = 0
        #: Whether the look-ups of an entry have failed, so that what was found may not be all.
        self.has_gaps = False
        self._max_branches = max_branches
        self._branches: set[bytes] = set()
        self._missing = [_Missing(root)]
        self._taken = self._missing[0]

    @property
    def missing(self) -> int:
        """Number of entries that are known and not found yet."""
        return len(self._missing)

    @property
    def is_done(self) -> bool:
        """Whether no entry is missing. One that was taken does not count as missing."""
        return not self._missing

    def take(self, random: RandomSource) -> str:
        """Return the hash of the entry to look up next."""
        missing = self._missing
        if len(missing) > MANY_MISSING:
            index = max(range(len(missing)), key=lambda at: missing[at].depth)
        else:
            index = random.randrange(len(missing))
        missing[index], missing[-1] = missing[-1], missing[index]
        self._taken = missing.pop()
        return self._taken.hash

    def add_branch(self, digest: bytes, branch: Branch) -> None:
        """Add the entries below the branch that was taken, unless it was found before.

        ``digest`` is its whole hash. Raises InvalidTree for a branch that is too deep, and one of
        too many.
        """
        if digest in self._branches:
            return
        depth = self._taken.depth + 1
        if depth > MAX_DEPTH or len(self._branches) >= self._max_branches:
            raise InvalidTree("branch of a tree that is too deep or too large")
        self._branches.add(digest)
        self._missing += [_Missing(child, depth) for child in dict.fromkeys(branch.children)]

    def add_leaf(self) -> None:
        """Count the leaf that was taken."""
        self.leaves += 1

    def try_later(self) -> None:
        """Put the entry back, whose look-up has failed; give it up if that was often so."""
        self._taken.tries += 1
        if self._taken.tries < MAX_TRIES:
            self._missing.append(self._taken)
        else:
            self.has_gaps = True
