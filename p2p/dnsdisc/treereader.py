"""The machine that reads a published tree as a whole, to copy it or to check it (EIP-1459).

Pure. It is for the publisher of a list, and for tools: clients walk a list at random
(:mod:`p2p.dnsdisc.client`), and do not download it. The program resolves one name at a time::

    reader = TreeReader(link, random)
    while (name := reader.poll_lookup()) is not None:
        reader.receive_texts(name, texts)       # or reader.receive_failure(name, error)
    tree = reader.result()

The limits are those of the walk (:mod:`p2p.dnsdisc.subtree`). What an entry may not be is kept as a
:class:`Problem`, and the rest is read nevertheless.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from p2p.arguments import wrong
from p2p.dnsdisc.client import find_text, read_root
from p2p.dnsdisc.entry import Branch, Link, Root, parse_entry, parse_hash
from p2p.dnsdisc.subtree import MAX_TRIES, Subtree
from p2p.enr import Record
from p2p.errors import InvalidTree
from p2p.inputs import RandomSource


class Problem(NamedTuple):
    """An entry of a published tree that is missing or wrong: its name, and the reason."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class PublishedTree:
    """A tree as it is published: its valid entries, and the problems with all others.

    ``link`` is the link that it was read by, ``seq`` its sequence number, and ``signature`` that of
    the root, in base64. ``nodes`` and ``links`` are in no order; ``records`` has the text of each
    name, as in a :class:`SignedTree`.
    """

    link: Link
    seq: int
    signature: str
    nodes: tuple[Record, ...]
    links: tuple[Link, ...]
    records: dict[str, str]
    problems: tuple[Problem, ...]


class TreeReader:
    """The reader of the tree that ``link`` leads to. One thread at a time may use it."""

    def __init__(self, link: Link, random: RandomSource) -> None:
        self._link = link
        self._random = random
        self._root: Root | None = None
        self._failed_roots = 0
        #: The walks that are not done, that of the links first.
        self._walks: list[Subtree] = []
        self._links_root = ""
        self._asked = ""
        self._records: dict[str, str] = {}
        self._nodes: dict[Record, None] = {}
        self._links: dict[Link, None] = {}
        self._problems: dict[str, str] = {}

    @property
    def read(self) -> int:
        """Number of names with a valid entry."""
        return len(self._records)

    @property
    def known(self) -> int:
        """Number of names that are known so far; it grows with each branch."""
        return self.read + sum(walk.missing for walk in self._walks)

    def poll_lookup(self) -> str | None:
        """Return the name whose TXT records are to be resolved next, None at the end."""
        if self._root is None:
            self._asked = self._link.domain
            return self._asked if self._failed_roots < MAX_TRIES else None
        self._walks = [walk for walk in self._walks if not walk.is_done]
        if not self._walks:
            return None
        self._asked = f"{self._walks[0].take(self._random)}.{self._link.domain}"
        return self._asked

    def receive_texts(self, name: str, texts: Sequence[str]) -> None:
        """Take the TXT records of a name, each with its strings joined.

        Raises ArgumentError for a name that was not asked for, InvalidTree for a wrong root.
        """
        self._check_asked(name)
        if self._root is None:
            self._start(texts)
            return
        try:
            digest, text = find_text(texts, parse_hash(name.partition(".")[0]))
            self._add(digest, text)
        except InvalidTree as error:
            self._problems[name] = str(error)
        else:
            self._problems.pop(name, None)
            self._records[name] = text

    def receive_failure(self, name: str, reason: str) -> None:
        """Take the failure of a look-up. It is tried again, MAX_TRIES times in all.

        Raises ArgumentError as :meth:`receive_texts` does.
        """
        self._check_asked(name)
        self._problems[name] = reason
        if self._root is None:
            self._failed_roots += 1
        else:
            self._walks[0].try_later()

    def result(self) -> PublishedTree:
        """Return the tree. Raises InvalidTree without a root: the reason of its failure."""
        if self._root is None:
            reason = self._problems.get(self._link.domain, "it was not looked up")
            raise InvalidTree(f"no root of {self._link}: {reason}")
        return PublishedTree(
            self._link, self._root.seq, self._root.signature_text,
            tuple(self._nodes), tuple(self._links), dict(self._records),
            tuple(Problem(*each) for each in self._problems.items()),
        )  # fmt: skip

    def _check_asked(self, name: str) -> None:
        if name != self._asked:
            raise wrong("name", name, "the name that poll_lookup returned")

    def _start(self, texts: Sequence[str]) -> None:
        root = read_root(texts, self._link.public_key)
        self._root = root
        self._links_root = root.links
        self._walks = [Subtree(root.links), Subtree(root.nodes)]
        self._records[self._link.domain] = str(root)
        self._problems.clear()

    def _add(self, digest: bytes, text: str) -> None:
        """Take an entry whose hash is right. Raises InvalidTree if it may not be there."""
        walk, entry = self._walks[0], parse_entry(text)
        if isinstance(entry, Branch):
            walk.add_branch(digest, entry)
        elif isinstance(entry, Link) != (walk.root == self._links_root):
            raise InvalidTree("link among nodes, or node among links")
        elif isinstance(entry, Link):
            self._links[entry] = None
        else:
            self._nodes[entry] = None
