"""Every line of a server goes to the logger it was given, in all modules and under all faults."""

from __future__ import annotations

import ast
import errno
import logging
import re
import threading
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import pytest

import p2p
from p2p.enode import NodeDB, buffered, filter_nodes
from tests.faults.seams import faulty_discovery, faulty_listener
from tests.kit import inspect
from tests.kit.nodes import HOST, Nodes
from tests.kit.waiting import PATIENCE_S

LIBRARY = Path(p2p.__file__).parent
MODULES = {path: ast.parse(path.read_text("utf-8")) for path in sorted(LIBRARY.rglob("*.py"))}

_numbers = count()


class Lines(logging.Handler):
    """Keeps the records of a logger and of those below it, and no other handler sees them."""

    def __init__(self, logger: logging.Logger) -> None:
        super().__init__()
        self.logger = logger
        self.records: SimpleQueue[logging.LogRecord] = SimpleQueue()
        logger.setLevel(logging.DEBUG)
        logger.propagate = False
        logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        self.records.put(record)

    def await_line(self, part: str) -> logging.LogRecord:
        """The next record that has ``part`` in its message."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                record = self.records.get(timeout=max(0.0, deadline - time.monotonic()))
            except Empty:
                raise AssertionError(f"no line with {part!r}") from None
            if part in record.getMessage():
                return record

    def close(self) -> None:
        self.logger.removeHandler(self)
        super().close()


@pytest.fixture
def mine() -> Iterator[Lines]:
    lines = Lines(logging.getLogger(f"mine{next(_numbers)}"))
    yield lines
    lines.close()


@pytest.fixture(autouse=True)
def others() -> Iterator[Lines]:
    """What the global loggers get, which nobody is to use here."""
    logger = logging.getLogger("p2p")
    before = logger.level, logger.propagate
    lines = Lines(logger)
    yield lines
    logger.level, logger.propagate = before
    lines.close()
    assert lines.records.empty(), lines.records.get().getMessage()


def protocol(nodes: Iterator[p2p.Node]) -> p2p.Protocol:
    return p2p.Protocol("test", 1, 1, lambda peer, rw: None, dial_candidates=nodes)


class Source:
    """A source of nodes that waits in ``next``; ``close`` does what ``on_close`` does."""

    def __init__(self, on_close: Any) -> None:
        self.reading, self.over = threading.Event(), threading.Event()
        self.close = on_close

    def __iter__(self) -> Source:
        return self

    def __next__(self) -> p2p.Node:
        self.reading.set()
        self.over.wait(PATIENCE_S)
        raise StopIteration


def fail() -> None:
    raise ZeroDivisionError("planned")


# the lines of the server's I/O thread


def test_death_of_the_io_thread(nodes: Nodes, mine: Lines) -> None:
    server = nodes.start(logger=mine.logger)
    inspect.post(server, fail)
    assert mine.await_line("loop p2p-io died").name == f"{mine.logger.name}.net"


def test_death_of_the_discovery_thread(nodes: Nodes, mine: Lines) -> None:
    server = nodes.start(logger=mine.logger, no_discovery=False)
    assert server.discovery_v4 is not None
    server.discovery_v4._service._loop.post(fail)
    assert mine.await_line("loop p2p-disc died").name == f"{mine.logger.name}.net"


@pytest.mark.parametrize(
    "code, line",
    [(errno.EMFILE, "cannot accept connections"), (errno.ECONNABORTED, "before it was accepted")],
)
def test_connection_that_cannot_be_accepted(
    nodes: Nodes, mine: Lines, code: int, line: str
) -> None:
    server = nodes.start(logger=mine.logger)
    faulty_listener(server).accept_errors.append(code)
    nodes.remote(server)
    assert mine.await_line(line).name == f"{mine.logger.name}.net"


def test_datagram_that_cannot_be_read(nodes: Nodes, mine: Lines) -> None:
    server = nodes.start(logger=mine.logger, no_discovery=False)
    sock = faulty_discovery(server)
    sock.read_errors.append(errno.ENOBUFS)
    sock.sendto(b"x", (HOST, sock.getsockname()[1]))
    assert mine.await_line("cannot receive UDP").name == f"{mine.logger.name}.net"


# the lines of the database and of the sources


def test_broken_database(nodes: Nodes, mine: Lines, tmp_path: Path) -> None:
    path = tmp_path / "nodes.db"
    path.write_bytes(bytes(5000))
    nodes.start(logger=mine.logger, node_database=path)
    assert mine.await_line("a new one is made").name == f"{mine.logger.name}.enode"


def test_database_that_breaks_while_it_is_open(nodes: Nodes, mine: Lines, tmp_path: Path) -> None:
    path = tmp_path / "nodes.db"
    db = NodeDB(path, mine.logger)
    assert db._file is not None
    db._replace_file(db._file)
    db.close()
    assert mine.await_line("a new one is made").name == f"{mine.logger.name}.enode"


def test_source_that_fails(nodes: Nodes, mine: Lines) -> None:
    nodes.start(logger=mine.logger, protocols=[protocol(fail() for _ in range(1))])
    assert mine.await_line("a source of nodes failed").name == f"{mine.logger.name}.enode"


def test_source_that_cannot_be_closed(nodes: Nodes, mine: Lines) -> None:
    source = Source(lambda: (source.over.set(), fail()))
    server = nodes.start(logger=mine.logger, protocols=[protocol(source)])
    assert source.reading.wait(PATIENCE_S)
    server.stop()
    assert mine.await_line("closing a source of nodes").name == f"{mine.logger.name}.enode"


def test_source_that_does_not_wake(nodes: Nodes, mine: Lines) -> None:
    source = Source(lambda: None)
    server = nodes.start(logger=mine.logger, protocols=[protocol(source)])
    assert source.reading.wait(PATIENCE_S)
    server.stop(timeout=0.2)
    assert mine.await_line("still waits in a source").name == f"{mine.logger.name}.enode"
    source.over.set()


def test_sources_of_the_program_s_own_log_where_they_are_told(mine: Lines) -> None:
    for make in (
        lambda source: filter_nodes(source, bool, logger=mine.logger),
        lambda source: buffered(source, 1, logger=mine.logger),
    ):
        source = Source(fail)
        source.over.set()
        make(source).close()
        assert mine.await_line("closing a source of nodes").name == f"{mine.logger.name}.enode"


def test_two_servers_of_a_process_are_told_apart(nodes: Nodes, mine: Lines) -> None:
    second = Lines(logging.getLogger(f"mine{next(_numbers)}"))
    here, there = nodes.start(logger=mine.logger), nodes.start(logger=second.logger)
    assert here.self.url in mine.await_line("started as").getMessage()
    assert there.self.url in second.await_line("started as").getMessage()
    second.close()


# no module has a logger of its own


def test_a_global_logger_is_used_only_where_none_was_given() -> None:
    found = [
        f"{path.relative_to(LIBRARY)}:{call.lineno}: {ast.unparse(call)}"
        for path, tree in MODULES.items()
        if path.relative_to(LIBRARY).parts[0] != "cli"  # a program has loggers of its own
        for call in calls_but_defaults(tree)
        if re.match(r"logging\.(?!LoggerAdapter)|warnings\.", ast.unparse(call.func))
        # of a lost server, as Python gives it for a lost socket
        if "ResourceWarning" not in ast.unparse(call)
    ]
    assert found == []


def test_who_can_take_a_logger_is_given_one() -> None:
    takers = {name for tree in MODULES.values() for name in names_with_optional_logger(tree)}
    assert takers >= {"Loop", "FairMix", "NodeDB", "LocalNode", "UDPv4", "filter_nodes", "buffered"}
    missing = [
        f"{path.relative_to(LIBRARY)}:{call.lineno}: {ast.unparse(call.func)}"
        for path, tree in MODULES.items()
        for call in calls(tree)
        if ast.unparse(call.func) in takers - {"Server", "Config"}
        if "logger" not in ast.unparse(call)
    ]
    assert missing == []


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def calls_but_defaults(tree: ast.AST) -> Iterator[ast.Call]:
    """All calls but that of ``logger or logging.getLogger("p2p")``."""
    defaults = {
        node.values[1]
        for node in ast.walk(tree)
        if isinstance(node, ast.BoolOp)
        if re.fullmatch(r"(\w+\.)?logger or logging.getLogger\('p2p'\)", ast.unparse(node))
    }
    return (call for call in calls(tree) if call not in defaults)


def names_with_optional_logger(tree: ast.Module) -> Iterator[str]:
    """The functions and classes of a module that need not be given a logger."""
    for node in tree.body:
        for function in node.body if isinstance(node, ast.ClassDef) else [node]:
            if isinstance(function, ast.FunctionDef):
                assert isinstance(node, (ast.ClassDef, ast.FunctionDef))
                if re.search(r"logger: [\w. ]+ \| None=None", ast.unparse(function.args)):
                    yield node.name
