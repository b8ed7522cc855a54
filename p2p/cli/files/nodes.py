"""go-ethereum's file format for a set of nodes, nodes.json, which its ``devp2p`` reads and writes.

The file is a JSON object. A key is a node ID, 64 hex digits; its value has these members::

    seq            sequence number of the record, 0 for an enode URL
    record         the record (enr:…), or the enode URL of a node without one
    score          number of passed liveness checks, halved at each failed one; 0 if absent
    firstResponse  time of the first successful contact
    lastResponse   time of the last one
    lastCheck      time of the last attempt

Times are RFC 3339, "0001-01-01T00:00:00Z" for none. :class:`NodeEntry` has them as seconds since
1970. A file is written as Go's ``json.MarshalIndent`` writes it, sorted by ID, so that the same set
is the same file. Main thread; files.
"""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, TypeAlias

import p2p
from p2p.cli.exitcode import ExitCode
from p2p.cli.failure import Failure
from p2p.cli.parameters import read_file

_NO_TIME = "0001-01-01T00:00:00Z"
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(?:Z|([+-])(\d\d):(\d\d))", re.ASCII | re.IGNORECASE
)
_ID = re.compile(r"(?:0x)?([0-9a-f]{64})", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class NodeEntry:
    """A node of a set, and its liveness checks: ``score`` and times, None for never."""

    node: p2p.Node
    score: int = 0
    first_response_unix: float | None = None
    last_response_unix: float | None = None
    last_check_unix: float | None = None

    @property
    def age_s(self) -> float:
        """Seconds between the first and the last response."""
        return (self.last_response_unix or 0.0) - (self.first_response_unix or 0.0)


NodeSet: TypeAlias = dict[p2p.NodeID, NodeEntry]


def node_set(nodes: Iterable[p2p.Node]) -> NodeSet:
    """Return the set of some nodes, without checks."""
    return {node.id: NodeEntry(node) for node in nodes}


def read_nodes(path: str | os.PathLike[str]) -> NodeSet:
    """Read a nodes.json; "-" is the standard input.

    Raises Failure for a file in another format, which names the file and the node, OSError if it
    cannot be read.
    """
    path = os.fspath(path)
    found = read_json(path)
    if not isinstance(found, dict):
        raise _wrong(path, "want a JSON object, node IDs to nodes")
    nodes: NodeSet = {}
    for key, value in found.items():
        try:
            entry = _entry(key, value)
        except ValueError as error:
            raise _wrong(path, f"node {key[:70]!r}: {error}") from None
        nodes[entry.node.id] = entry
    return nodes


def write_nodes(path: str | os.PathLike[str], nodes: NodeSet) -> None:
    """Write a nodes.json, or replace it; "-" is the standard output.

    A file is replaced at once: another program never reads half of one.
    """
    text = format_nodes(nodes)
    if os.fspath(path) == "-":
        print(text, flush=True)
    else:
        replace_file(Path(path), text)


def format_nodes(nodes: NodeSet) -> str:
    """Return the text of a nodes.json."""
    members = {str(node_id): _members(nodes[node_id]) for node_id in sorted(nodes)}
    return json.dumps(members, indent=4)


def read_json(path: str) -> Any:
    """Read a file of JSON, "-" the standard input. Raises Failure if it is none."""
    try:
        return json.loads(read_file(path))
    except (ValueError, RecursionError) as error:
        raise _wrong(path, f"not JSON: {error}") from None


def replace_file(path: Path, text: str) -> None:
    """Write a file beside ``path``, and rename it; write to a pipe or a device as it is."""
    path = path.resolve()
    if path.exists() and not path.is_file():
        path.write_text(text, encoding="utf-8")
        return
    with _beside(path) as new:
        new.write_text(text, encoding="utf-8")
        new.replace(path)


def check_replaceable(path: Path) -> None:
    """Raise the OSError of :func:`replace_file` before the work whose result it writes."""
    path = path.resolve()
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if path.is_file() or not path.exists():
        with _beside(path) as new:
            new.touch()


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """Give the path of a new file, and remove it at the end; errors name ``path`` instead."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield new
    except OSError as error:
        error.filename = str(path)
        raise
    finally:
        with suppress(OSError):  # what has failed for it is known already
            new.unlink(missing_ok=True)


def format_time(time_unix: float | None) -> str:
    """Return a time in RFC 3339, in UTC."""
    if time_unix is None:
        return _NO_TIME
    moment = datetime(1970, 1, 1) + timedelta(seconds=time_unix)
    return moment.isoformat() + "Z"


def parse_time(text: object) -> float | None:
    """Read a time in RFC 3339, None for that of Go's zero time. Raises ValueError."""
    match = _TIME.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"want a time such as 2026-01-31T12:00:00Z, got {text!r:.60}")
    moment = datetime.fromisoformat(match[1]).replace(tzinfo=timezone.utc)
    if moment.year == 1:
        return None
    offset_s = int(match[4] or 0) * 3600 + int(match[5] or 0) * 60
    time_unix = moment.timestamp() + float(match[2] or 0)
    time_unix -= -offset_s if match[3] == "-" else offset_s
    try:
        format_time(time_unix)
    except OverflowError:
        raise ValueError(f"{text:.60} is beyond the calendar") from None
    return time_unix


def _entry(key: str, value: Any) -> NodeEntry:
    if not isinstance(value, dict) or not isinstance(value.get("record"), str):
        raise ValueError('want an object with a "record"')
    node = p2p.parse_node(value["record"])
    match = _ID.fullmatch(key)
    if match is None or match[1].lower() != str(node.id):
        raise ValueError(f"the record is of node {node.id}")
    seq, score = (value.get(name, default) for name, default in (("seq", node.seq), ("score", 0)))
    if seq != node.seq:
        raise ValueError(f'"seq" is {seq!r:.30}, that of the record {node.seq}')
    if not isinstance(score, int):
        raise ValueError(f'"score" is {score!r:.30}, want a number')
    first, last, check = (
        parse_time(value.get(name, _NO_TIME))
        for name in ("firstResponse", "lastResponse", "lastCheck")
    )
    return NodeEntry(node, score, first, last, check)


def _members(entry: NodeEntry) -> dict[str, Any]:
    return {
        "seq": entry.node.seq,
        "record": str(entry.node),
        **({"score": entry.score} if entry.score else {}),
        "firstResponse": format_time(entry.first_response_unix),
        "lastResponse": format_time(entry.last_response_unix),
        "lastCheck": format_time(entry.last_check_unix),
    }


def _wrong(path: str, problem: str) -> Failure:
    where = "the standard input" if path == "-" else path
    return Failure(f"{where}: {problem}", ExitCode.USAGE)
