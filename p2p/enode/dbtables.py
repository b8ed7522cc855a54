"""The tables of the node database: what a row is, and how rows are read and written.

Owns the layout, and the conversion between rows and values; when what is written is the matter of
:mod:`p2p.enode.nodedb`, the file that of :mod:`p2p.enode.dbfile`. ::

    node      id(32)  public_key(64)  ip(4, 16 or NULL)  tcp  udp  hostname  seq(8)  record or NULL
    contact   id(32)  ip(4 or 16)  last_ping  last_pong  find_fails
    local     id(32)  seq(8)

Times are wall-clock seconds. A sequence number has 64 bits without a sign, more than an SQLite
integer, so it is 8 bytes, big-endian.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import NamedTuple, TypeAlias

from p2p.crypto import PublicKey
from p2p.enode.node import Node
from p2p.enr import IPAddress, Record
from p2p.errors import InvalidKey, InvalidNode

#: Nodes that are remembered at most; with their records about 10 MB. go-ethereum has no limit, a
#: table of 17 buckets holds 272.
MAX_NODES = 10_000
#: Contacts that have answered a ping, at most: a node may have several addresses.
MAX_PROVEN = 20_000

TABLES = (
    "CREATE TABLE node (id BLOB PRIMARY KEY, public_key BLOB NOT NULL, ip BLOB,"
    " tcp INTEGER NOT NULL, udp INTEGER NOT NULL, hostname TEXT NOT NULL, seq BLOB NOT NULL,"
    " record BLOB) WITHOUT ROWID",
    "CREATE TABLE contact (id BLOB NOT NULL, ip BLOB NOT NULL, last_ping REAL NOT NULL,"
    " last_pong REAL NOT NULL, find_fails INTEGER NOT NULL, PRIMARY KEY (id, ip)) WITHOUT ROWID",
    "CREATE TABLE local (id BLOB PRIMARY KEY, seq BLOB NOT NULL) WITHOUT ROWID",
)

_PUT_NODE = "INSERT OR REPLACE INTO node VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_PUT_CONTACT = "INSERT OR REPLACE INTO contact VALUES (?, ?, ?, ?, ?)"
_PUT_LOCAL = "INSERT OR REPLACE INTO local VALUES (?, ?)"


ContactKey: TypeAlias = tuple[bytes, IPAddress]


class Contact(NamedTuple):
    """What passed between us and a node at one address; 0 stands for never."""

    last_ping: float = 0.0
    last_pong: float = 0.0
    find_fails: int = 0


class NodeRow(NamedTuple):
    """A node as the file has it. Its key and record are looked at when it is asked for."""

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
        """The row of a node that has a public key."""
        record = None if node.record is None else node.record.to_rlp()
        key = node.public_key.to_bytes()
        return cls(node.id, key, node.ip, node.tcp, node.udp, node.hostname, node.seq, record)

    def to_node(self) -> Node | None:
        """The node, or None if what the file has is not a valid one."""
        try:
            node = Node.from_parts(PublicKey.from_bytes(self.public_key))
            if self.record is not None:
                node = Node.from_record(Record.from_rlp(self.record))
            node = node.with_endpoint(self.ip, self.tcp, self.udp).with_hostname(self.hostname)
        except (InvalidKey, InvalidNode):
            return None
        return node if node.id == self.id else None


@dataclass(slots=True)
class Batch:
    """Changes on their way to the file. A value of None deletes; ``clear`` empties it before."""

    clear: bool = False
    nodes: dict[bytes, Node | NodeRow | None] = field(default_factory=dict)
    contacts: dict[ContactKey, Contact | None] = field(default_factory=dict)
    local: dict[bytes, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return self.clear or bool(self.nodes or self.contacts or self.local)


class Contents(NamedTuple):
    """All that is in a file, the oldest first."""

    nodes: list[NodeRow]
    contacts: list[tuple[ContactKey, Contact]]
    local: dict[bytes, int]


def read_all(connection: sqlite3.Connection) -> Contents:
    """All that is in the tables, but not more than the memory may hold.

    Raises sqlite3.Error, and ValueError or TypeError for a value that cannot be there.
    """
    newest = "SELECT * FROM contact ORDER BY last_pong DESC LIMIT ?"
    contacts = [
        ((_blob(node_id), _address(ip)), Contact(float(ping), float(pong), int(fails)))
        for node_id, ip, ping, pong, fails in connection.execute(newest, (MAX_PROVEN,))
    ]
    contacts.reverse()
    last_pong = {node_id: contact.last_pong for (node_id, _), contact in contacts}
    rows = connection.execute("SELECT * FROM node LIMIT ?", (MAX_NODES,))
    nodes = [_read_node(*row) for row in rows]
    nodes.sort(key=lambda row: last_pong.get(row.id, 0.0))
    return Contents(nodes, contacts, read_local(connection))


def read_local(connection: sqlite3.Connection) -> dict[bytes, int]:
    """Our own sequence numbers."""
    rows = connection.execute("SELECT id, seq FROM local")
    return {_blob(node_id): int.from_bytes(_blob(seq), "big") for node_id, seq in rows}


def write_batch(connection: sqlite3.Connection, batch: Batch) -> None:
    """Make the changes. Raises sqlite3.Error."""
    if batch.clear:
        connection.execute("DELETE FROM node")
        connection.execute("DELETE FROM contact")
    gone = [(node_id,) for node_id, node in batch.nodes.items() if node is None]
    connection.executemany("DELETE FROM node WHERE id = ?", gone)
    put = [_node_values(node) for node in batch.nodes.values() if node is not None]
    connection.executemany(_PUT_NODE, put)
    lost = [(key[0], key[1].packed) for key, contact in batch.contacts.items() if contact is None]
    connection.executemany("DELETE FROM contact WHERE id = ? AND ip = ?", lost)
    made = [(key[0], key[1].packed, *contact) for key, contact in batch.contacts.items() if contact]
    connection.executemany(_PUT_CONTACT, made)
    local = [(node_id, seq.to_bytes(8, "big")) for node_id, seq in batch.local.items()]
    connection.executemany(_PUT_LOCAL, local)


def _read_node(
    node_id: bytes,
    public_key: bytes,
    ip: bytes | None,
    tcp: int,
    udp: int,
    hostname: str,
    seq: bytes,
    record: bytes | None,
) -> NodeRow:
    address = None if ip is None else _address(ip)
    blob = None if record is None else _blob(record)
    number = int.from_bytes(_blob(seq), "big")
    key = _blob(public_key)
    return NodeRow(_blob(node_id), key, address, int(tcp), int(udp), str(hostname), number, blob)


def _node_values(node: Node | NodeRow) -> tuple[object, ...]:
    row = node if isinstance(node, NodeRow) else NodeRow.from_node(node)
    ip = None if row.ip is None else row.ip.packed
    seq = row.seq.to_bytes(8, "big")
    return (bytes(row.id), row.public_key, ip, row.tcp, row.udp, row.hostname, seq, row.record)


def _address(packed: object) -> IPAddress:
    return ip_address(_blob(packed))


def _blob(value: object) -> bytes:
    # A column of SQLite takes any type, whatever it was declared as.
    if not isinstance(value, bytes):
        raise TypeError(f"{type(value).__name__} where bytes are expected")
    return value
