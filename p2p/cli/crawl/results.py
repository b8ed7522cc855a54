"""The results of a crawl: nodes.json of go-ethereum, and a SQLite file; both resume it.

An entry of nodes.json has a score, which grows with each crawl in which its node answers, and is
halved otherwise, as go-ethereum's crawler does; at 0 the node is removed. A node that was named and
not visited yet, when a crawl is stopped, is written without times and score: it is visited first
when the crawl is resumed. The SQLite file has a row for each node that has ever answered, with the
facts of its hello. Main thread; files.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import p2p
from p2p.cli.crawl.schedule import Visit
from p2p.cli.exitcode import ExitCode
from p2p.cli.failure import Failure
from p2p.cli.files.nodes import NodeEntry, NodeSet, read_nodes, write_nodes
from p2p.cli.shown import shown

#: Number of a SQLite file of this form, "p2pc" (PRAGMA application_id).
APPLICATION_ID = 0x70327063
_COLUMNS = (
    *("id", "node", "ip", "udp", "tcp", "seq", "score"),
    *("first_response", "last_response", "last_check", "protocols"),
    *("client", "capabilities", "p2p_version", "fork_hash", "fork_next", "error", "hello_error"),
)
_SCHEMA = f"CREATE TABLE IF NOT EXISTS nodes (id TEXT PRIMARY KEY, {', '.join(_COLUMNS[1:])})"


@dataclass(frozen=True)
class Result:
    """A node that was visited: its entry, and the facts of the visit."""

    entry: NodeEntry
    protocols: tuple[str, ...] = ()
    hello: dict[str, Any] | None = None
    error: str = ""
    hello_error: str = ""

    def record(self) -> dict[str, Any]:
        """Return the result for JSON and for a row."""
        node, entry, hello = self.entry.node, self.entry, self.hello or {}
        fork = p2p.eth.fork_id_of(node)
        return {
            "id": str(node.id),
            "node": str(node),
            "ip": None if node.ip is None else str(node.ip),
            "udp": node.udp,
            "tcp": node.tcp,
            "seq": node.seq,
            "score": entry.score,
            "first_response": entry.first_response_unix,
            "last_response": entry.last_response_unix,
            "last_check": entry.last_check_unix,
            "protocols": list(self.protocols),
            "client": hello.get("name"),
            "capabilities": hello.get("capabilities"),
            "p2p_version": hello.get("p2p_version"),
            "fork_hash": None if fork is None else fork.hash.hex(),
            "fork_next": None if fork is None else fork.next,
            "error": self.error,
            "hello_error": self.hello_error,
        }


class _BrokenRow(ValueError):
    """A row of the database that no crawl has written."""


class Results:
    """All results, of this crawl and of those before, in the files of the command."""

    def __init__(self, nodes_file: Path | None, database: sqlite3.Connection | None) -> None:
        self.by_id: dict[p2p.NodeID, Result] = {}
        self._nodes_file = nodes_file
        self._database = database
        if nodes_file is not None and nodes_file.exists():
            self._load(read_nodes(nodes_file))
        if database is not None:
            self._load_facts(database)

    def _load(self, nodes: NodeSet) -> None:
        self.by_id = {node_id: Result(entry) for node_id, entry in nodes.items()}

    def _load_facts(self, database: sqlite3.Connection) -> None:
        for row in database.execute("SELECT * FROM nodes"):
            values = dict(zip(_COLUMNS, row, strict=True))
            try:
                self._load_row(values)
            except (ValueError, TypeError, KeyError, p2p.P2PError) as error:
                text = f"node {shown(values['id'], 64)} in the database cannot be read: {error}"
                raise _BrokenRow(text) from error

    def _load_row(self, values: dict[str, Any]) -> None:
        node_id = p2p.NodeID(bytes.fromhex(values["id"]))
        known = self.by_id.get(node_id)
        if known is None and self._nodes_file is not None:
            return  # removed since
        hello = None
        if values["client"] is not None:
            hello = {
                "name": str(values["client"]),
                "capabilities": _texts(values["capabilities"]),
                "p2p_version": values["p2p_version"],
            }
        entry = known.entry if known else _entry_of(values)
        protocols = tuple(_texts(values["protocols"]))
        self.by_id[node_id] = Result(entry, protocols, hello, "", str(values["hello_error"]))

    @property
    def keeps_pending(self) -> bool:
        """Whether nodes that were not visited are saved."""
        return self._nodes_file is not None

    def is_recent(self, node_id: p2p.NodeID, within_s: float) -> bool:
        """Whether a node was checked within the last seconds."""
        result = self.by_id.get(node_id)
        checked = None if result is None else result.entry.last_check_unix
        return checked is not None and time.time() - checked < within_s

    def nodes(self) -> list[p2p.Node]:
        """Return all nodes; those that were not visited come first."""
        results = sorted(self.by_id.values(), key=lambda each: each.entry.last_check_unix or 0.0)
        return [result.entry.node for result in results]

    def answered(self) -> list[Result]:
        """Return the results of nodes that have answered, in this crawl or before."""
        return [each for each in self.by_id.values() if each.entry.score > 0]

    def take(self, visit: Visit, now_unix: float) -> Result:
        """Take a visit that is over, and return the result."""
        before = self.by_id.get(visit.node.id, Result(NodeEntry(visit.node)))
        entry = checked(before.entry, visit, float(int(now_unix)))
        hello = visit.hello or before.hello
        error = "" if visit.answered else visit.error
        result = Result(entry, tuple(visit.answered), hello, error, visit.hello_error)
        if entry.score > 0:
            self.by_id[visit.node.id] = result
        else:
            self.by_id.pop(visit.node.id, None)
        if self._database is not None:
            self._database.execute(*_statement(result))
        return result

    def save(self, pending: Iterable[Visit] = ()) -> None:
        """Write the files; ``pending`` are the visits that are not over."""
        if self._database is not None:
            self._database.commit()
        if self._nodes_file is None:
            return
        entries = {node_id: result.entry for node_id, result in self.by_id.items()}
        for visit in pending:
            entries.setdefault(visit.node.id, NodeEntry(visit.node))
        write_nodes(self._nodes_file, entries)


def checked(entry: NodeEntry, visit: Visit, now_unix: float) -> NodeEntry:
    """Return an entry after a visit."""
    if not visit.answered:
        return replace(entry, score=entry.score // 2, last_check_unix=now_unix)
    return NodeEntry(
        visit.node,
        entry.score + 1,
        entry.first_response_unix or now_unix,
        now_unix,
        now_unix,
    )


@contextmanager
def open_database(path: Path | None) -> Iterator[sqlite3.Connection | None]:
    """Open the SQLite file, or make it; commit and close it at the end.

    Raises Failure for another file, and for what goes wrong with it in the block.
    """
    if path is None:
        yield None
        return
    try:
        with closing(sqlite3.connect(path)) as database:
            _prepare(database, path)
            yield database
            database.commit()
    except sqlite3.Error as error:
        raise Failure(f"{path}: {error}", ExitCode.SYSTEM) from error
    except _BrokenRow as error:
        raise Failure(f"{path}: {error}", ExitCode.USAGE) from error


def _prepare(database: sqlite3.Connection, path: Path) -> None:
    (number,) = database.execute("PRAGMA application_id").fetchone()
    (count,) = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if number != APPLICATION_ID and count:
        raise Failure(f"{path} is a database of another program", ExitCode.USAGE)
    database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    database.execute(_SCHEMA)


def _statement(result: Result) -> tuple[str, list[object]]:
    if result.entry.score <= 0:
        return "DELETE FROM nodes WHERE id = ?", [str(result.entry.node.id)]
    record = result.record()
    values = [json.dumps(value) if isinstance(value, list) else value for value in record.values()]
    marks = ", ".join("?" * len(_COLUMNS))
    return f"INSERT OR REPLACE INTO nodes ({', '.join(record)}) VALUES ({marks})", values


def _texts(text: str) -> list[str]:
    """Return the texts of a list in JSON. Raises ValueError."""
    found = json.loads(text)
    if not isinstance(found, list):
        raise ValueError(f"{found!r} is no list")
    return [str(each) for each in found]


def _entry_of(values: dict[str, Any]) -> NodeEntry:
    return NodeEntry(
        p2p.parse_node(values["node"]),
        values["score"],
        values["first_response"],
        values["last_response"],
        values["last_check"],
    )
