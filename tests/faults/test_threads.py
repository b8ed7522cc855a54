"""A system that has no more threads: what cannot be started is given up, and nothing else.

The refusals are real: a thread whose stack would not fit into any memory. Each start of a thread in
the process is counted, and those that the test names meet the refusal.
"""

from __future__ import annotations

import logging
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

import p2p
from p2p.enode.db.nodedb import NodeDB
from tests.faults.neighbors import stay
from tests.faults.parts import stranger
from tests.kit import inspect
from tests.kit.candidates import Closable, naming
from tests.kit.nodes import Nodes, Talk, await_event
from tests.kit.remote import Remote
from tests.kit.threadcalls import in_thread
from tests.kit.waiting import PATIENCE_S, eventually
from tests.test_threads import no_more_threads

#: p2p-db, p2p-disc, p2p-io, p2p-launch, p2p-source-1.
THREADS_OF_A_START = 5


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Lets the start of a thread fail, by its number from 1; 0 for none."""
    start = threading.Thread.start
    state = {"number": 0, "refused": 0}

    def counted(thread: threading.Thread) -> None:
        state["number"] += 1
        if state["number"] != state["refused"]:
            return start(thread)
        with no_more_threads():
            return start(thread)

    def set_refused(number: int) -> None:
        state.update(number=0, refused=number)

    monkeypatch.setattr(threading.Thread, "start", counted)
    return set_refused


def names() -> list[str]:
    return sorted(t.name for t in threading.enumerate() if t.name.startswith("p2p-"))


def everything(path: Path) -> dict[str, Any]:
    """The options of a server with all threads that there are."""
    return {
        "no_discovery": False,
        "node_database": path / "nodes.db",
        "protocols": [naming(Closable())],
    }


def assert_file_is_free(path: Path) -> None:
    """No other process could use it otherwise."""
    with sqlite3.connect(path / "nodes.db") as connection:
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute("ROLLBACK")
    connection.close()


def test_start_needs_as_many_threads_as_are_refused_here(nodes: Nodes, tmp_path: Path) -> None:
    nodes.start(**everything(tmp_path))
    assert names() == [
        "p2p-db", "p2p-disc", "p2p-io", "p2p-launch", "p2p-source-1",
    ]  # fmt: skip


def test_discovery_is_read_without_a_thread_of_its_own(nodes: Nodes) -> None:
    nodes.start(no_discovery=False)
    assert names() == ["p2p-disc", "p2p-io", "p2p-launch"]


@pytest.mark.parametrize("number", range(1, THREADS_OF_A_START + 1))
def test_start_that_lacks_one_thread_leaves_nothing(
    nodes: Nodes, tmp_path: Path, refuse: Callable[[int], None], number: int
) -> None:
    server = nodes.new(**everything(tmp_path))
    refuse(number)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        server.start()
    assert names() == []
    assert_file_is_free(tmp_path)
    assert server.stop() == []
    server.wait()


def test_start_without_any_thread_leaves_nothing(nodes: Nodes, tmp_path: Path) -> None:
    server = nodes.new(**everything(tmp_path))
    with no_more_threads(), pytest.raises(RuntimeError):
        server.start()
    assert names() == []
    assert_file_is_free(tmp_path)


def test_connect_during_a_start_that_gets_no_thread_ends_with_the_server(nodes: Nodes) -> None:
    server = nodes.new()
    errors: SimpleQueue[BaseException] = SimpleQueue()

    def connect() -> None:
        try:
            server.connect(stranger(), PATIENCE_S)
        except p2p.P2PError as error:
            errors.put(error)

    def refused() -> None:
        callers.append(in_thread(connect))
        eventually(lambda: bool(inspect.loop(server)._posted))
        raise RuntimeError("can't start new thread")

    callers: list[threading.Thread] = []
    inspect.loop(server)._thread.start = refused  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="new thread"):
        server.start()
    assert isinstance(errors.get(timeout=PATIENCE_S), p2p.ServerStopped)
    for caller in callers:
        caller.join(PATIENCE_S)


def test_stop_needs_no_new_thread(nodes: Nodes, tmp_path: Path) -> None:
    server = nodes.start(**everything(tmp_path))
    with no_more_threads():
        assert server.stop() == []
    assert names() == []
    assert_file_is_free(tmp_path)


def test_discovery_that_cannot_start_its_thread_closes_its_socket(nodes: Nodes) -> None:
    server = nodes.new(no_discovery=False)
    with no_more_threads(), pytest.raises(RuntimeError):
        server.start()
    server = nodes.new(no_discovery=False)
    server.start()
    assert server.discovery_v4 is not None


def test_database_without_its_thread_is_written_when_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "nodes.db"
    node = stranger()
    db = NodeDB(path)
    with no_more_threads(), pytest.raises(RuntimeError):
        db.start()
    db.set_local_seq(node.id, 7)
    assert db.close()
    with NodeDB(path) as again:
        assert again.local_seq(node.id) == 7


def test_database_can_be_started_when_there_are_threads_again(tmp_path: Path) -> None:
    with no_more_threads(), pytest.raises(RuntimeError):
        (db := NodeDB(tmp_path / "nodes.db")).start()
    db.start()
    assert names() == ["p2p-db"]
    assert db.close()


def test_source_without_a_thread_is_not_mixed_in() -> None:
    mix = p2p.enode.FairMix(None)
    with no_more_threads(), pytest.raises(RuntimeError):
        mix.add_source(iter([stranger()]))
    node = stranger()
    mix.add_source(iter([node]))
    assert next(mix) == node
    mix.close()


# with peers


@contextmanager
def goes_on(server: p2p.Server, talk: Talk, remote: Remote) -> Iterator[None]:
    """A peer that is there before, goes on meanwhile and afterwards."""

    def exchange(number: int) -> None:
        remote.send_payload(number % 8)
        assert talk.read().code == number % 8
        talk.rw.write_msg(p2p.Msg(number % 8))
        assert remote.next_message()[0] == number % 8

    for number in range(10):
        exchange(number)
    yield
    for number in range(10):
        exchange(number)
    assert talk.peer in server.peers


def test_peer_without_a_thread_is_told_that_there_are_too_many_and_others_go_on(
    nodes: Nodes, caplog: pytest.LogCaptureFixture
) -> None:
    talks = nodes.talks()
    server = nodes.start(protocols=[talks.protocol()])
    remote = nodes.remote(server).open()
    talk = talks.next()
    with goes_on(server, talk, remote):
        with no_more_threads():
            for _ in range(5):
                refused = nodes.remote(server).open()
                assert refused.ending() is p2p.DiscReason.TOO_MANY_PEERS
        eventually(lambda: server.peers == [talk.peer])
    assert talks.none_begun()
    nodes.remote(server).open()
    talks.next()
    # The thread that has started this one has told of the others before.
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 5
    assert all("cannot start a thread for test/1" in r.getMessage() for r in warnings)


def test_peer_with_one_thread_of_two_is_let_go_and_its_one_handler_ends(
    nodes: Nodes, refuse: Callable[[int], None]
) -> None:
    ended = threading.Event()

    def run(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        try:
            rw.read_msg()
        except p2p.PeerDisconnected as error:
            assert error.reason is p2p.DiscReason.TOO_MANY_PEERS
            ended.set()

    server = nodes.start(protocols=[p2p.Protocol("a", 1, 8, run), p2p.Protocol("b", 1, 8, run)])
    with server.subscribe_events() as events:
        refuse(2)
        remote = nodes.remote(server, caps=[("a", 1), ("b", 1)]).open()
        assert remote.ending() is p2p.DiscReason.TOO_MANY_PEERS
        assert ended.wait(PATIENCE_S)
        await_event(events, "drop")
    refuse(0)
    assert server.peers == []


def test_connect_to_a_peer_without_a_thread_ends_with_its_reason(nodes: Nodes) -> None:
    protocols = [p2p.Protocol("test", 1, 8, stay)]
    there, here = nodes.start(protocols=protocols), nodes.start(protocols=protocols)
    with no_more_threads():
        with here.subscribe_events() as events:
            with suppress(p2p.ConnectError):  # unless it was a peer for a moment
                here.connect(there.self)
            while here.peer_count:
                events.get(PATIENCE_S)
    # What it was told of the first connection may still come, and be a peer for a moment.
    eventually(lambda: inspect.on_io(there, lambda: not inspect.sessions(there)))
    assert here.connect(there.self).id == there.self.id


def test_name_that_no_thread_can_look_up_is_out_of_reach_and_can_be_dialed_later(
    nodes: Nodes,
) -> None:
    there, here = nodes.start().self, nodes.start()
    named = there.with_hostname("localhost")
    with no_more_threads(), pytest.raises(p2p.errors.Unreachable, match="cannot start a thread"):
        here.connect(named)
    assert here.connect(named).id == there.id


def test_dialer_that_no_thread_can_run_is_out_of_reach_and_can_be_asked_later(
    nodes: Nodes,
) -> None:
    class Plain:
        def dial(self, node: p2p.Node, timeout: float) -> Any:
            assert node.ip is not None
            return socket.create_connection((str(node.ip), node.tcp), timeout)

    there, here = nodes.start().self, nodes.start(dialer=Plain())
    with no_more_threads(), pytest.raises(p2p.errors.Unreachable, match="cannot start a thread"):
        here.connect(there)
    assert here.connect(there).id == there.id
