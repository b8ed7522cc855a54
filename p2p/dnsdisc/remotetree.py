"""One node list at its domain: its root, the walks over its subtrees, and its pauses.

Pure. The root is looked up first, and every half hour; a root of a lower sequence number is
refused, and the tree stays as it was. Then come all links, before the first node, and then the
nodes. When all nodes were found, the walk begins again, as in go-ethereum. After failed look-ups
there is a pause, which doubles each time; after several, the root is looked up, since a new one may
no longer refer to the entries that are missing.
"""

from __future__ import annotations

import math

from p2p.dnsdisc.entry import Branch, Entry, Link, Root
from p2p.dnsdisc.subtree import Subtree
from p2p.errors import InvalidTree
from p2p.inputs import RandomSource

#: Time between look-ups of a root, in seconds; as in go-ethereum.
RECHECK_INTERVAL_S = 30 * 60.0
#: Failed look-ups of entries until the root is looked up; as in go-ethereum.
ROOT_RECHECK_FAILS = 5
#: First and longest pause after failures in a row, in seconds.
MIN_PAUSE_S, MAX_PAUSE_S = 1.0, 300.0
#: Links of a list that are followed, others are ignored; and branches above them. A public list has
#: a few links.
MAX_LINKS = 32
MAX_LINK_BRANCHES = 32


class RemoteTree:
    """The tree that ``link`` leads to, as far as it is known.

    After each :meth:`take`, one call follows with the outcome. The caller verifies signatures and
    hashes.
    """

    def __init__(self, link: Link, now: float) -> None:
        self.link = link
        #: Links to other trees; while those of a new root are looked up, the last ones too.
        self.links: dict[Link, None] = {}
        self._links_found: dict[Link, None] = {}
        self._seq = 0
        self._link_walk: Subtree | None = None
        self._node_walk: Subtree | None = None
        self._taken_from: Subtree | None = None
        self._root_fails = 0
        self._root_time = now
        self._fails_in_row = 0
        self._fails_since_root = 0
        self._entry_time = now

    @property
    def next_time(self) -> float:
        """The time of the next look-up."""
        return min(self._root_time, self._entry_time if self._has_entries else math.inf)

    @property
    def _has_entries(self) -> bool:
        links, nodes = self._link_walk, self._node_walk
        if links is None or nodes is None:
            return False
        # A tree without nodes waits for another root.
        return not links.is_done or not nodes.is_done or nodes.leaves > 0

    def take(self, random: RandomSource, now: float) -> str | None:
        """Return the hash of an entry to look up, None for the root. It must be time for one."""
        links, nodes = self._link_walk, self._node_walk
        if now >= self._root_time or links is None or nodes is None:
            return None
        if not links.is_done:
            self._taken_from = links
        elif not nodes.is_done:
            self._taken_from = nodes
        else:
            self._taken_from = self._node_walk = Subtree(nodes.root)
        return self._taken_from.take(random)

    def receive_root(self, root: Root, now: float) -> None:
        """Take a root with a valid signature. Raises InvalidTree if it is older than the last."""
        if root.seq < self._seq:
            raise InvalidTree(f"root with sequence number {root.seq} after {self._seq}")
        self._seq = root.seq
        self._root_fails = self._fails_since_root = 0
        self._root_time = now + RECHECK_INTERVAL_S
        links, nodes = self._link_walk, self._node_walk
        if links is None or links.root != root.links or (links.is_done and links.has_gaps):
            self._link_walk, self._links_found = Subtree(root.links, MAX_LINK_BRANCHES), {}
        if nodes is None or nodes.root != root.nodes or (nodes.is_done and not nodes.leaves):
            self._node_walk = Subtree(root.nodes)

    def root_failed(self, now: float) -> None:
        """Look the root up again after a pause."""
        self._root_fails += 1
        self._fails_since_root = 0
        self._root_time = now + _pause_after(self._root_fails)

    def receive_entry(self, digest: bytes, entry: Entry) -> None:
        """Take an entry whose hash, ``digest``, is right.

        Raises InvalidTree for an entry that may not be where it is.
        """
        self._fails_in_row = 0
        try:
            self._add(digest, entry)
        finally:
            self._end_link_walk()

    def entry_refused(self) -> None:
        """Go on without an entry that can never be valid: its hash is right, its text is not."""
        self._fails_in_row = 0
        self._end_link_walk()

    def entry_failed(self, now: float) -> None:
        """Look the entry up again later, and the next one after a pause."""
        self._fails_in_row += 1
        self._fails_since_root += 1
        self._entry_time = now + _pause_after(self._fails_in_row)
        if self._fails_since_root > ROOT_RECHECK_FAILS:
            self._root_time = min(self._root_time, self._entry_time)
        self._walk.try_later()
        self._end_link_walk()

    @property
    def _walk(self) -> Subtree:
        """The walk that the last entry was taken from."""
        assert self._taken_from is not None
        return self._taken_from

    def _add(self, digest: bytes, entry: Entry) -> None:
        walk = self._walk
        if isinstance(entry, Branch):
            walk.add_branch(digest, entry)
        elif isinstance(entry, Link) != (walk is self._link_walk):
            raise InvalidTree("link among nodes, or node among links")
        else:
            walk.add_leaf()
            if isinstance(entry, Link):
                self._add_link(entry)

    def _add_link(self, link: Link) -> None:
        for links in (self._links_found, self.links):
            if len(links) < MAX_LINKS:
                links[link] = None

    def _end_link_walk(self) -> None:
        """Drop the links of earlier roots, once all of this one were found."""
        walk = self._walk
        if walk is self._link_walk and walk.is_done and not walk.has_gaps:
            self.links = dict(self._links_found)


def _pause_after(fails: int) -> float:
    """Return the seconds to wait after a number of failures in a row."""
    return min(MAX_PAUSE_S, MIN_PAUSE_S * 2.0 ** min(fails - 1, 30))
