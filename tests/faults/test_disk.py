"""Disks that are full or read-only, and a node database that another process holds.

What the database itself does then is in ``tests/enode/test_nodedb.py``; here is the server that
has it: it serves its peers, or does not start and says why.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import p2p
import p2p.testing
from p2p.enode.db.nodedb import NodeDB
from tests.faults.neighbors import Neighbors, stay, talk
from tests.faults.parts import run_program
from tests.faults.seams import full_disk
from tests.kit import inspect
from tests.kit.nodes import HOST, Nodes, unused_port
from tests.kit.waiting import PATIENCE_S, eventually


def start(nodes: Nodes, path: Path, **options: Any) -> p2p.Server:
    return nodes.start(
        max_peers=20, protocols=[talk(), p2p.Protocol("test", 1, 8, stay)], no_discovery=False,
        node_database=path, **options,
    )  # fmt: skip


def database_of(server: p2p.Server) -> NodeDB:
    return inspect.database(server)


def learn(server: p2p.Server, count: int) -> list[p2p.Node]:
    """Have the database remember so many new nodes."""
    found = []
    for _ in range(count):
        found.append(p2p.Node.from_parts(p2p.generate_key().public_key, HOST, 1, 1))
        database_of(server).update_node(found[-1])
    return found


def test_server_on_a_full_disk_serves_on_and_forgets_nothing(
    nodes: Nodes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "nodes.db"
    clock = (
        p2p.testing.SimulatedClock()
    )  # a pong of a busy machine is late after half a real second
    server = start(nodes, path, clock=clock)
    own = server.self.id
    with Neighbors(nodes, server) as neighbors:
        with full_disk(server):
            known = learn(server, 100)
            for seq in range(3):
                with pytest.raises(p2p.errors.NodeDBError, match="full"):
                    database_of(server).set_local_seq(own, 2**50 + seq)
            neighbors.exchange()
            nodes.remote(server).open().sock.close()  # or the stop would linger, on a still clock
            mate = nodes.start(no_discovery=False, clock=clock)
            assert server.discovery_v4 is not None
            server.discovery_v4.ping(mate.self, PATIENCE_S)
        database_of(server).set_local_seq(own, 2**51)
    warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert len(warnings) == 1 and "stay in memory" in warnings[0] and str(path) in warnings[0]
    assert server.stop() == []
    with NodeDB(path) as db:
        assert all(db.node(node.id) is not None for node in known)
        assert db.local_seq(own) == 2**51


def test_server_whose_disk_stays_full_stops_in_time_and_can_be_started_from_what_there_is(
    nodes: Nodes, tmp_path: Path
) -> None:
    path = tmp_path / "nodes.db"
    key = p2p.generate_key()
    server = nodes.start(private_key=key, no_discovery=False, node_database=path)
    seq = server.self.seq
    with full_disk(server):
        learn(server, 200)
        assert server.stop() == []
    again = nodes.start(private_key=key, no_discovery=False, node_database=path)
    assert again.self.seq > seq


def test_database_that_another_program_holds_is_a_start_that_can_be_repeated(
    nodes: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("p2p.enode.db.file.LOCK_TIMEOUT_S", 0.05)
    path = tmp_path / "nodes.db"
    port = unused_port()
    NodeDB(path).close()
    server = nodes.new(no_discovery=False, node_database=path, listen_addr=f"{HOST}:{port}")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(p2p.errors.NodeDBError, match="another process has it open"):
            server.start()
    assert sorted(tmp_path.iterdir()) == [path]
    server.start()
    assert server.self.tcp == port


def test_database_that_is_held_while_the_server_runs_cannot_be_held(
    nodes: Nodes, tmp_path: Path
) -> None:
    """The server keeps its lock, so no other program makes it wait."""
    path = tmp_path / "nodes.db"
    server = start(nodes, path)
    with closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as other:
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN EXCLUSIVE")
    learn(server, 10)
    assert server.stop() == []


@pytest.mark.usefixtures("short_linger")
def test_folder_that_is_gone_while_the_server_runs_harms_nobody(
    nodes: Nodes, tmp_path: Path
) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    server = start(nodes, folder / "nodes.db")
    with Neighbors(nodes, server):
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
        learn(server, 50)
        eventually(lambda: not database_of(server)._memory.changes)
        assert nodes.remote(server).open()
    assert server.stop() == []
    assert not folder.exists()


READ_ONLY = """
import os, sys
import p2p
import p2p.testing
from tests.kit.nodes import Nodes

folder = sys.argv[1]
if os.getuid() == 0:
    os.setuid(65534)
nodes = Nodes()
for name in ("there.db", "new.db"):
    server = nodes.new(no_discovery=False, node_database=os.path.join(folder, name))
    try:
        server.start()
    except p2p.errors.NodeDBError as error:
        assert name in str(error), error
        print("refused")
nodes.close()
"""


def test_read_only_folder_refuses_the_start(tmp_path: Path) -> None:
    for folder in (tmp_path, *tmp_path.parents[:2]):  # made for one user only
        os.chmod(folder, 0o755)
    NodeDB(tmp_path / "there.db").close()
    os.chmod(tmp_path / "there.db", 0o444)
    os.chmod(tmp_path, 0o555)
    try:
        assert run_program(READ_ONLY, str(tmp_path)) == "refused\nrefused\n"
    finally:
        os.chmod(tmp_path, 0o755)
