"""Snapshots: a lab as a value, and as a file of JSON.

::

    {"p2p-lab-snapshot": 1, "time_s": 93.5, "seed": 1, "join": "memory", "discovery": true,
     "message_events": 0.0, "options": {"max_peers": 50}, "left_out": ["observer"],
     "nodes": [{"index": 0, "name": "n0", "private_key": "64 hex digits", "ip": "240.0.1.1",
                "running": true, "known": ["enr:..."]}],
     "edges": [[0, 1]], "connected": [[0, 1]], "sides": [[0], [1]],
     "links": [{"from": 0, "to": 1, "latency_s": 0.05}]}

``edges`` are those to keep, ``connected`` those that were connected. ``sides`` are those of a
partition. A link without nodes is that of all. The file has the private keys of all nodes, so
it is written with mode 0600.

The reader checks every value, since a file may be edited or broken; its errors name the place.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from p2p.arguments import check_type, wrong
from p2p.crypto import PrivateKey
from p2p.enode import Node
from p2p.errors import ArgumentError
from p2p.lab.reader import Reader
from p2p.lab.settings import JOINS
from p2p.lab.topology import MAX_NODES, Edge
from p2p.sim.link import Link

#: Version of the format.
FORMAT = 1
_FORMAT_KEY = "p2p-lab-snapshot"
#: Limit on the size of a file: 1,000 nodes that know 270 others each need 100 MB.
MAX_FILE_SIZE = 2**28
#: Limit on the nodes that a node knows: those of its tables, for v4 and v5.
MAX_KNOWN = 10_000
#: Limit on the changed links, and on the names of options that were left out.
MAX_LINKS = 1_000_000
MAX_OPTIONS = 100
MAX_INDEX = 2**32


@dataclass(frozen=True, slots=True)
class SnapshotNode:
    """A node in a snapshot. ``known`` are the nodes of its discovery tables."""

    index: int
    name: str
    private_key: PrivateKey = field(repr=False)
    ip: str | None = None
    running: bool = True
    known: tuple[Node, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """State of a lab; :meth:`Lab.snapshot` makes one, :meth:`Lab.from_snapshot` a lab of it.

    ``time_s`` is the time of the lab. ``options`` are those of all servers that JSON can express,
    ``left_out`` the names of the others, with "protocols". ``edges`` are those to keep,
    ``connected`` those that were connected. ``sides`` are those of a partition, if there is one.
    ``links`` has the changes of links, each with both nodes, in the direction from the first to the
    second, or None for the link of all.

    It contains the private keys of all nodes.
    """

    seed: int
    join: str
    discovery: bool
    nodes: tuple[SnapshotNode, ...] = field(repr=False)
    edges: tuple[Edge, ...] = field(default=(), repr=False)
    connected: tuple[Edge, ...] = field(default=(), repr=False)
    sides: tuple[tuple[int, ...], ...] = ()
    links: tuple[tuple[Edge | None, Mapping[str, Any]], ...] = field(default=(), repr=False)
    options: Mapping[str, Any] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    message_events: float = 0.0
    time_s: float = 0.0

    # JSON

    def to_json(self) -> dict[str, Any]:
        """Return the snapshot as an object for JSON, with the private keys."""
        plain = ("seed", "join", "discovery", "message_events", "time_s")
        return {
            _FORMAT_KEY: FORMAT,
            **{name: getattr(self, name) for name in plain},
            "options": dict(self.options),
            "left_out": list(self.left_out),
            "nodes": [_node_to_json(node) for node in self.nodes],
            "edges": [list(edge) for edge in self.edges],
            "connected": [list(edge) for edge in self.connected],
            "sides": [list(side) for side in self.sides],
            "links": [_link_to_json(pair, values) for pair, values in self.links],
        }

    @classmethod
    def from_json(cls, value: object) -> Snapshot:
        """Return the snapshot of an object of JSON. Raises ArgumentError, which names the place."""
        read = Reader("snapshot", value)
        if read.value(_FORMAT_KEY, int) != FORMAT:
            raise read.wrong(_FORMAT_KEY, f"format {FORMAT}, which this version reads")
        known: dict[str, Node] = {}
        nodes = tuple(_read_node(node, known) for node in read.objects("nodes", MAX_NODES))
        indexes = {node.index for node in nodes}
        if len(indexes) < len(nodes) or len({node.name for node in nodes}) < len(nodes):
            raise read.wrong("nodes", "nodes with different indexes and names")
        return cls(
            seed=read.value("seed", int),
            join=read.one_of("join", JOINS),
            discovery=read.value("discovery", bool),
            nodes=nodes,
            edges=read.edges("edges", indexes),
            connected=read.edges("connected", indexes),
            sides=read.groups("sides", indexes),
            links=tuple(_read_link(link, indexes) for link in read.objects("links", MAX_LINKS)),
            options=read.value("options", dict),
            left_out=tuple(read.texts("left_out", MAX_OPTIONS)),
            message_events=read.number("message_events"),
            time_s=read.number("time_s"),
        )

    # files

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a file with mode 0600, as it has private keys; replaces one of this name.

        Raises OSError, also for anything else than a file at ``path``.
        """
        check_type("path", path, (str, os.PathLike), "the path of a file")
        place = Path(path)
        if os.path.lexists(place) and not stat.S_ISREG(os.lstat(place).st_mode):
            raise OSError(errno.EINVAL, "a snapshot replaces nothing but a file", str(place))
        # mkstemp creates with mode 0600; the rename leaves no file that is half written
        descriptor, name = tempfile.mkstemp(prefix=f".{place.name}.", dir=place.parent)
        try:
            with open(descriptor, "w", encoding="utf-8") as file:
                json.dump(self.to_json(), file)
            os.replace(name, place)
        except BaseException:
            os.unlink(name)
            raise

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Snapshot:
        """Read a file. Raises OSError, and ArgumentError with the place of what is wrong."""
        check_type("path", path, (str, os.PathLike), "the path of a snapshot")
        with open(path, "rb") as file:
            data = file.read(MAX_FILE_SIZE + 1)
        if len(data) > MAX_FILE_SIZE:
            raise ArgumentError(f"{path}: wanted a snapshot of at most {MAX_FILE_SIZE} bytes")
        try:
            return cls.from_json(json.loads(data))
        except (ValueError, RecursionError) as error:  # ArgumentError is a ValueError
            raise ArgumentError(f"{path}: {error}") from error


_LINK_FIELDS = {field.name for field in fields(Link)}


def _node_to_json(node: SnapshotNode) -> dict[str, Any]:
    values = {field.name: getattr(node, field.name) for field in fields(node)}
    known = [str(other) for other in node.known]
    return {**values, "private_key": node.private_key.to_bytes().hex(), "known": known}


def _link_to_json(pair: Edge | None, values: Mapping[str, Any]) -> dict[str, Any]:
    return {**({} if pair is None else {"from": pair[0], "to": pair[1]}), **values}


def _read_node(read: Reader, known: dict[str, Node]) -> SnapshotNode:
    return SnapshotNode(
        index=read.count("index", MAX_INDEX),
        name=read.value("name", str),
        private_key=read.key("private_key"),
        ip=read.ip("ip"),
        running=read.value("running", bool),
        known=read.nodes("known", MAX_KNOWN, known),
    )


def _read_link(read: Reader, indexes: Collection[int]) -> tuple[Edge | None, Mapping[str, Any]]:
    values = dict(read.object)
    ends = [values.pop(end) for end in ("from", "to") if end in values]
    if ends and not (len(ends) == 2 and all(type(end) is int and end in indexes for end in ends)):
        raise read.wrong("from", "two nodes of the snapshot, or none")
    unknown = sorted(values.keys() - _LINK_FIELDS)
    if unknown:
        raise wrong(read.place, unknown[0], "fields of a Link")
    for name, value in values.items():
        if isinstance(value, list):  # the shortest and the longest latency
            values[name] = tuple(value)
    return ((ends[0], ends[1]) if ends else None), values
