"""Building and signing of a node list, for its publisher (EIP-1459).

Pure. Each subtree is built from its leaves upwards, thirteen entries to a branch, as go-ethereum
does it: the same nodes and links make the same hashes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from p2p.arguments import check_int, check_type, wrong_type
from p2p.crypto import PrivateKey
from p2p.dnsdisc.entry import (
    MAX_SEQ,
    Branch,
    Entry,
    Link,
    Root,
    checked_domain,
    hash_of,
    link_of,
    parse_link,
    parse_root,
    parse_signature,
)
from p2p.enode.node import Node
from p2p.enode.nodeid import NodeID
from p2p.enr import Record
from p2p.errors import InvalidTree

#: Entries of a branch. Its text has at most 366 characters, which fit into a DNS message by UDP
#: with all the rest of it.
BRANCH_SIZE = 13

_PORTS = ("tcp", "tcp6", "udp", "udp6", "quic", "quic6")


class SignedTree(NamedTuple):
    """A tree to publish: its URL, and the text of the TXT record of each name."""

    url: str
    records: dict[str, str]

    @property
    def signature(self) -> str:
        """The signature of the root in base64, for :meth:`Tree.with_signature`."""
        return parse_root(self.records[parse_link(self.url).domain]).signature_text


class Tree:
    """A node list: nodes, and links to other lists. Immutable.

    ``nodes`` are nodes with a record, or records; of several records of a node, the one of the
    highest ``seq`` is taken. ``links`` are links or URLs. ``seq`` must grow with each change of a
    published tree.

    Raises InvalidTree for a node without a record, a port that is no number of 16 bits, and an
    invalid URL; ArgumentError for a wrong ``seq`` or another type.
    """

    __slots__ = ("_entries", "_link_root", "_node_root", "links", "records", "seq")  # for mocks

    def __init__(
        self, seq: int, nodes: Iterable[Node | Record], links: Iterable[Link | str] = ()
    ) -> None:
        check_int("seq", seq, 0, MAX_SEQ, "an int from 0 to 2**64 - 1")
        _check_list("nodes", nodes, "a list of nodes, each with a record")
        _check_list("links", links, 'a list of links, or of URLs such as "enrtree://..."')
        self.seq = seq
        self.records: tuple[Record, ...] = _sorted_records(nodes)
        self.links: tuple[Link, ...] = tuple(dict.fromkeys(link_of(link) for link in links))
        self._entries: dict[str, str] = {}
        self._node_root = self._add(self._build(self.records))
        self._link_root = self._add(self._build(self.links))

    def sign(self, private_key: PrivateKey, domain: str) -> SignedTree:
        """Return the tree as it is published at ``domain``. Raises InvalidTree for no domain."""
        check_type("private_key", private_key, PrivateKey, "a PrivateKey")
        domain = checked_domain(domain)
        root = Root.sign(private_key, self._node_root, self._link_root, self.seq)
        return self._signed(Link(private_key.public_key, domain), root)

    def with_signature(self, url: Link | str, signature: str) -> SignedTree:
        """Return the tree as it is published at ``url``, with a signature made before.

        ``signature`` is that of a :class:`SignedTree`. Raises InvalidTree if it is not one of this
        tree by the key of ``url``.
        """
        check_type("signature", signature, str, "a str")
        link = link_of(url)
        root = Root(self._node_root, self._link_root, self.seq, parse_signature(signature))
        if not root.is_signed_by(link.public_key):
            raise InvalidTree("the signature is not of this tree, by the key of its URL")
        return self._signed(link, root)

    def _signed(self, link: Link, root: Root) -> SignedTree:
        below = {f"{name}.{link.domain}": text for name, text in self._entries.items()}
        return SignedTree(str(link), {link.domain: str(root), **below})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tree) and self._content == other._content

    def __hash__(self) -> int:
        return hash(self._content)

    def __reduce__(self) -> tuple[Any, ...]:
        return Tree, self._content

    @property
    def _content(self) -> tuple[object, ...]:
        return self.seq, self.records, self.links

    def __repr__(self) -> str:
        return f"<Tree, seq {self.seq}, {len(self.records)} nodes, {len(self.links)} links>"

    def _build(self, entries: Sequence[Entry]) -> Entry:
        """Add all entries but the topmost, which is returned."""
        if len(entries) == 1:
            return entries[0]
        if len(entries) <= BRANCH_SIZE:
            return Branch(tuple(self._add(entry) for entry in entries))
        parts = range(0, len(entries), BRANCH_SIZE)
        return self._build([self._build(entries[at : at + BRANCH_SIZE]) for at in parts])

    def _add(self, entry: Entry) -> str:
        text = str(entry)
        name = hash_of(text)
        self._entries[name] = text
        return name


def _check_list(name: str, value: object, wanted: str) -> None:
    """Raise ArgumentTypeError for text, and for a value that cannot be iterated over."""
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise wrong_type(name, value, wanted)


def _sorted_records(nodes: Iterable[Node | Record]) -> tuple[Record, ...]:
    """Return one record of each node, in the order of their IDs."""
    newest: dict[NodeID, Record] = {}
    for node in nodes:
        record = _record_of(node)
        node_id = NodeID.from_public_key(record.public_key)
        if node_id not in newest or newest[node_id].seq < record.seq:
            newest[node_id] = record
    return tuple(newest[node_id] for node_id in sorted(newest))


def _record_of(node: Node | Record) -> Record:
    check_type("node", node, (Node, Record), "a Node or a Record")
    record = node.record if isinstance(node, Node) else node
    if record is None:
        raise InvalidTree(f"{node!r} has no record")
    for port in _PORTS:
        if port in record and getattr(record, port) is None:
            raise InvalidTree(f"{record!r} has an invalid {port} port")
    return record
