"""The tables of the node database: their layout, and the reading and writing of rows.

Owns the conversion between rows and the values of :mod:`p2p.enode.db.rows`;
:mod:`p2p.enode.db.nodedb` decides when to write, and :mod:`p2p.enode.db.file` owns the file. ::

    node      id(32)  public_key(64)  ip(4, 16 or NULL)  tcp  udp  hostname  seq(8)  record or NULL
    contact   id(32)  ip(4 or 16)  last_ping  last_pong  find_fails
    local     id(32)  seq(8)

Times are wall-clock seconds. A sequence number has 64 bits without a sign, more than an SQLite
integer, so it is 8 bytes, big-endian.
"""

from __future__ import annotations

import sqlite3
from ipaddress import ip_address

from p2p.enode.db.rows import (
    MAX_NODES,
    MAX_PROVEN,
    Batch,
    Contact,
    Contents,
    NodeRow,
)
from p2p.enode.node import Node
from p2p.netutil import IPAddress

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


def read_all(connection: sqlite3.Connection) -> Contents:
    """Return the content of the tables, within the limits of the memory.

    Raises sqlite3.Error, and ValueError or TypeError for a value that is not valid.
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
    """Return our own sequence numbers, by node ID."""
    rows = connection.execute("SELECT id, seq FROM local")
    return {_blob(node_id): int.from_bytes(_blob(seq), "big") for node_id, seq in rows}


def write_batch(connection: sqlite3.Connection, batch: Batch) -> None:
    """Write the changes. Raises sqlite3.Error."""
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
    # A column of SQLite takes any type, regardless of its declaration.
    if not isinstance(value, bytes):
        raise TypeError(f"{type(value).__name__} where bytes are expected")
    return value
