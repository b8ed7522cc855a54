"""The rows of the node database as values, and the limits on their numbers. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from p2p.crypto import PublicKey
from p2p.enode.node import Node
from p2p.enr import Record
from p2p.errors import ArgumentError
from p2p.netutil import IPAddress

#: Limit on the nodes; with their records about 10 MB. go-ethereum has no limit; its table has 17
#: buckets with 272 nodes.
MAX_NODES = 10_000
#: Limit on the contacts that have answered a ping: a node may have several addresses.
MAX_PROVEN = 20_000

ContactKey: TypeAlias = tuple[bytes, IPAddress]


class Contact(NamedTuple):
    """The history of a node at one address; times in wall-clock seconds, 0 for never."""

    last_ping: float = 0.0
    last_pong: float = 0.0
    find_fails: int = 0


class NodeRow(NamedTuple):
    """A node as stored in the file. Its key and record are parsed when it is used."""

    id: bytes
    public_key: bytes
    ip: IPAddress | None
    tcp: int
    udp: int
    hostname: str
    seq: int
    record: bytes | None

    @classmethod
    def from_node(cls, node: Node) -> NodeRow:
        """Return the row of a node."""
        record = None if node.record is None else node.record.to_rlp()
        key = node.public_key.to_bytes()
        return cls(node.id, key, node.ip, node.tcp, node.udp, node.hostname, node.seq, record)

    def to_node(self) -> Node | None:
        """Return the node, or None if the row is not valid."""
        try:
            node = Node.from_parts(PublicKey.from_bytes(self.public_key))
            if self.record is not None:
                node = Node.from_record(Record.from_rlp(self.record))
            node = node.with_endpoint(self.ip, self.tcp, self.udp).with_hostname(self.hostname)
        except ArgumentError:
            return None
        return node if node.id == self.id else None


@dataclass(slots=True)
class Batch:
    """Changes to be written. None deletes; ``clear`` first deletes all nodes and contacts."""

    clear: bool = False
    nodes: dict[bytes, Node | NodeRow | None] = field(default_factory=dict)
    contacts: dict[ContactKey, Contact | None] = field(default_factory=dict)
    local: dict[bytes, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return self.clear or bool(self.nodes or self.contacts or self.local)


class Contents(NamedTuple):
    """The content of a file, the oldest first."""

    nodes: list[NodeRow]
    contacts: list[tuple[ContactKey, Contact]]
    local: dict[bytes, int]
