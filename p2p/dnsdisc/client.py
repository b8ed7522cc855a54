"""The machine that finds the nodes of lists in DNS, and of the lists that they link to.

Pure. The program asks for one name at a time, resolves its TXT records, and passes on the texts::

    client = Client(["enrtree://..."], random, now)
    name = client.poll_lookup(now)          # None: not before client.deadline
    client.receive_texts(name, texts, now)  # or client.receive_failure(name, now)
    events = client.poll_events()           # NodeFound, AnswerRefused

A program that wants no node does not call :meth:`Client.poll_lookup`: lists are not to be
downloaded as a whole (EIP-1459, "Client Protocol"). Each step is the look-up of a root or an entry
of a random tree. Verified entries are kept, as many as go-ethereum keeps, and are found again
without a look-up. Their steps count for the rate limit nevertheless, so that a program that only
dismisses nodes does not spin.

Trees are followed if links lead to them from the lists of the program, over a limited number of
trees; loops of links end there. Nothing in a TXT record is believed unless its hash, or the
signature of the root, is right.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple, TypeAlias

from p2p.arguments import wrong
from p2p.crypto import PublicKey, keccak256
from p2p.dnsdisc.entry import (
    MAX_TEXT_SIZE,
    ROOT_PREFIX,
    Entry,
    Link,
    Root,
    link_of,
    parse_entry,
    parse_hash,
    parse_root,
)
from p2p.dnsdisc.remotetree import RemoteTree
from p2p.enode.node import Node
from p2p.enr import Record
from p2p.errors import InvalidTree
from p2p.inputs import RandomSource

#: Steps per second, and at once after a pause; as in go-ethereum.
STEPS_PER_S = 3.0
BURST = 10
#: Entries that are kept; as in go-ethereum.
CACHE_SIZE = 1000
#: Trees that are followed, and links from a list of the program to the last of them.
MAX_TREES = 64
MAX_LINK_DEPTH = 8
#: TXT records of a name that are looked at. A name of a list has one; its domain may have more.
MAX_TEXTS = 32
#: Bytes of a hash that entries are kept by, the shortest that may refer to one.
_KEY_SIZE = 12


@dataclass(frozen=True, slots=True)
class NodeFound:
    """A node of the list ``link``. The same node is found again in the next walk."""

    node: Node
    link: Link


@dataclass(frozen=True, slots=True)
class AnswerRefused:
    """The TXT records of ``name`` are not what the list ``link`` has there."""

    name: str
    link: Link
    error: InvalidTree


Event: TypeAlias = NodeFound | AnswerRefused


class _Lookup(NamedTuple):
    """A look-up under way. ``hash`` is None for the root."""

    name: str
    tree: RemoteTree
    hash: str | None


class Verified(NamedTuple):
    """An entry, and the whole keccak256 of its text."""

    digest: bytes
    entry: Entry


class EntryCache:
    """Verified entries by their hashes; the one used least recently goes."""

    def __init__(self, size: int = CACHE_SIZE) -> None:
        self._size = size
        self._entries: OrderedDict[bytes, Verified] = OrderedDict()

    def get(self, digest: bytes) -> Verified | None:
        """Return the entry whose hash begins with ``digest``, at least 12 bytes, if it is kept."""
        key = digest[:_KEY_SIZE]
        known = self._entries.get(key)
        if known is None or not known.digest.startswith(digest):
            return None
        self._entries.move_to_end(key)
        return known

    def add(self, found: Verified) -> None:
        """Keep an entry."""
        self._entries[found.digest[:_KEY_SIZE]] = found
        if len(self._entries) > self._size:
            self._entries.popitem(last=False)

    def __len__(self) -> int:
        return len(self._entries)


class Client:
    """The nodes of the lists ``urls``, from ``now`` on, in the order that ``random`` gives.

    One thread at a time may use it. Raises InvalidTree for an invalid URL, ArgumentError for more
    than MAX_TREES.
    """

    def __init__(self, urls: Iterable[str | Link], random: RandomSource, now: float) -> None:
        self._own = [link_of(url) for url in urls]
        if len(self._own) > MAX_TREES:
            raise wrong("urls", len(self._own), f"at most {MAX_TREES}")
        self._random = random
        self._limit = _RateLimit(now)
        self._trees = {link: RemoteTree(link, now) for link in self._own}
        self._cache = EntryCache()
        self._lookup: _Lookup | None = None
        self._events: deque[Event] = deque()

    @property
    def trees(self) -> list[Link]:
        """The lists that are followed: those of the program, then those linked to."""
        return list(self._trees)

    @property
    def deadline(self) -> float:
        """The time of the next step. Infinity while a look-up is under way, and without lists."""
        if self._lookup is not None:
            return math.inf
        times = [tree.next_time for tree in self._trees.values()]
        return max(self._limit.next_time, min(times, default=math.inf))

    def poll_lookup(self, now: float) -> str | None:
        """Return the name whose TXT records are to be resolved next.

        None before the :attr:`deadline`, while a look-up is under way, and while there are events
        to poll: a step may find a node that is known already, and look nothing up.
        """
        if self._lookup is not None:
            return None
        while not self._events and now >= self.deadline:
            self._limit.spend(now)
            self._step(now)
        return None if self._lookup is None else self._lookup.name

    def receive_texts(self, name: str, texts: Sequence[str], now: float) -> None:
        """Take the TXT records of a name, each with its strings joined.

        Raises ArgumentError for a name that was not asked for, or was answered.
        """
        lookup = self._answered(name)
        try:
            if lookup.hash is None:
                lookup.tree.receive_root(read_root(texts, lookup.tree.link.public_key), now)
                return
            digest, text = find_text(texts, parse_hash(lookup.hash))
        except InvalidTree as error:
            self._events.append(AnswerRefused(name, lookup.tree.link, error))
            _failed(lookup, now)
            return
        self._read_entry(lookup, digest, text, now)

    def receive_failure(self, name: str, now: float) -> None:
        """Take the failure of a look-up. It is tried again later. Raises as receive_texts does."""
        _failed(self._answered(name), now)

    def poll_events(self) -> list[Event]:
        """Return what was found since the last call: one node at most."""
        events = list(self._events)
        self._events.clear()
        return events

    def _step(self, now: float) -> None:
        """Begin a look-up for one of the trees whose time it is, or do without."""
        due = [tree for tree in self._trees.values() if now >= tree.next_time]
        tree = due[self._random.randrange(len(due))]
        wanted = tree.take(self._random, now)
        domain = tree.link.domain
        if wanted is None:
            self._lookup = _Lookup(domain, tree, None)
            return
        lookup = _Lookup(f"{wanted}.{domain}", tree, wanted)
        known = self._cache.get(parse_hash(wanted))
        if known is None:
            self._lookup = lookup
        else:
            self._add(lookup, known, now)

    def _answered(self, name: str) -> _Lookup:
        lookup = self._lookup
        if lookup is None or lookup.name != name:
            raise wrong("name", name, "the name that poll_lookup returned")
        self._lookup = None
        return lookup

    def _read_entry(self, lookup: _Lookup, digest: bytes, text: str, now: float) -> None:
        """Take an entry whose hash is right."""
        try:
            found = Verified(digest, parse_entry(text))
        except InvalidTree as error:
            lookup.tree.entry_refused()
            self._events.append(AnswerRefused(lookup.name, lookup.tree.link, error))
        else:
            self._cache.add(found)
            self._add(lookup, found, now)

    def _add(self, lookup: _Lookup, found: Verified, now: float) -> None:
        tree = lookup.tree
        try:
            tree.receive_entry(found.digest, found.entry)
        except InvalidTree as error:
            self._events.append(AnswerRefused(lookup.name, tree.link, error))
            return
        finally:
            self._follow_links(now)
        if isinstance(found.entry, Record):
            self._events.append(NodeFound(Node.from_record(found.entry), tree.link))

    def _follow_links(self, now: float) -> None:
        """Follow the trees that links lead to from our own, nearest first, and no others."""
        reached: dict[Link, int] = dict.fromkeys(self._own, 0)
        queue = deque(reached)
        while queue:
            link = queue.popleft()
            tree, depth = self._trees.get(link), reached[link] + 1
            if tree is None or depth > MAX_LINK_DEPTH:
                continue
            for other in tree.links:
                if other not in reached and len(reached) < MAX_TREES:
                    reached[other] = depth
                    queue.append(other)
        trees = self._trees
        self._trees = {link: trees.get(link) or RemoteTree(link, now) for link in reached}


class _RateLimit:
    """STEPS_PER_S steps per second, BURST of them at once."""

    def __init__(self, now: float) -> None:
        #: Each step moves it on; it is never before the time of the last step.
        self._used_until = now

    @property
    def next_time(self) -> float:
        """The time from which a step is allowed."""
        return self._used_until - (BURST - 1) / STEPS_PER_S

    def spend(self, now: float) -> None:
        """Count a step."""
        self._used_until = max(self._used_until, now) + 1 / STEPS_PER_S


def _failed(lookup: _Lookup, now: float) -> None:
    if lookup.hash is None:
        lookup.tree.root_failed(now)
    else:
        lookup.tree.entry_failed(now)


def read_root(texts: Sequence[str], public_key: PublicKey) -> Root:
    """Return the root that the key has signed, the newest of several. Raises InvalidTree."""
    newest: Root | None = None
    error = InvalidTree("no root among the TXT records")
    for text in islice(texts, MAX_TEXTS):
        if not text.startswith(ROOT_PREFIX):
            continue
        try:
            root = _verified_root(text, public_key)
        except InvalidTree as refused:
            error = refused
        else:
            newest = root if newest is None or root.seq > newest.seq else newest
    if newest is None:
        raise error
    return newest


def _verified_root(text: str, public_key: PublicKey) -> Root:
    root = parse_root(text)
    if not root.is_signed_by(public_key):
        raise InvalidTree("invalid root: the signature is not of the key of the link")
    return root


def find_text(texts: Sequence[str], wanted: bytes) -> tuple[bytes, str]:
    """Return the text whose hash begins with ``wanted``, and that hash. Raises InvalidTree."""
    for text in islice(texts, MAX_TEXTS):
        if len(text) <= MAX_TEXT_SIZE and text.isascii():
            digest = keccak256(text.encode("ascii"))
            if digest.startswith(wanted):
                return digest, text
    raise InvalidTree("no entry with the hash of the name among the TXT records")
