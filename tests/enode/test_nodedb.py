"""The node database: what it remembers, over restarts and whatever happens to its file."""

from __future__ import annotations

import logging
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from functools import cache
from ipaddress import ip_address
from pathlib import Path

import pytest

from p2p.crypto import PrivateKey
from p2p.discover.maintenance import SEED_MAX_AGE_S
from p2p.discover.store import NodeStore
from p2p.enode import Node, NodeDB, NodeID
from p2p.enode.db import nodedb
from p2p.enode.db.memory import NodeMemory
from p2p.enr import Record
from p2p.errors import NodeDBError
from p2p.netutil import Netlist
from tests.kit.processes import Program

pytestmark = pytest.mark.slow

T = 1_600_000_000.0
IP = ip_address("192.0.2.1")
IP6 = ip_address("2001:db8::1")
KILLS = int(os.environ.get("P2P_KILLS", "20"))
PROGRAM = Path(__file__).with_name("dbprogram.py")
ROOT = PROGRAM.parent.parent.parent


def key(number: int) -> PrivateKey:
    return PrivateKey.from_bytes(number.to_bytes(32, "big"))


def url_node(number: int) -> Node:
    return Node.from_parts(key(number).public_key, f"20.0.{number}.1", 30303, 30304)


@cache
def record_node(number: int, seq: int = 1) -> Node:
    entries = {"ip": f"20.{number // 256}.{number % 256}.1", "tcp": 30303, "udp": 30304}
    return Node.from_record(Record.sign(key(number), seq, entries))


def prove(db: NodeStore, node: Node, unix: float) -> None:
    """Have a node in the database that has answered a ping."""
    assert node.ip is not None
    db.update_node(node)
    db.set_last_pong_received(node.id, node.ip, unix)


def seeds(db: NodeStore, count: int = 30, now: float = T, seed: int = 1) -> list[Node]:
    return db.query_seeds(count, SEED_MAX_AGE_S, now, random.Random(seed))


def run_program(*args: object, timeout_s: float = 50.0, stdin: str = "") -> str:
    command = [sys.executable, str(PROGRAM), *map(str, args)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, input=stdin, capture_output=True, text=True, env=environment, timeout=timeout_s
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "nodes.db"


@pytest.fixture(params=["in a file", "without a file", "memory alone"])
def db(request: pytest.FixtureRequest, path: Path) -> Iterator[NodeStore]:
    if request.param == "memory alone":
        yield NodeMemory()
        return
    with NodeDB(path if request.param == "in a file" else None) as db:
        yield db


# What it remembers.


def test_nothing_is_known_at_first(db: NodeStore) -> None:
    node_id = NodeID(bytes(32))
    assert db.last_ping_received(node_id, IP) == 0.0
    assert db.last_pong_received(node_id, IP) == 0.0
    assert db.find_fails(node_id, IP) == 0
    assert db.node(node_id) is None
    assert seeds(db) == []


def test_each_address_of_a_node_has_its_own_history(db: NodeStore) -> None:
    node_id = NodeID(bytes(32))
    db.set_last_ping_received(node_id, IP, T)
    db.set_last_pong_received(node_id, IP, T + 1)
    db.set_find_fails(node_id, IP6, 3)
    assert db.last_ping_received(node_id, IP) == T
    assert db.last_pong_received(node_id, IP) == T + 1
    assert db.find_fails(node_id, IP) == 0
    assert db.find_fails(node_id, IP6) == 3
    assert db.last_pong_received(node_id, IP6) == 0.0


def test_older_record_does_not_replace_a_newer_one(db: NodeStore) -> None:
    db.update_node(record_node(1, seq=5))
    db.update_node(record_node(1, seq=4))
    assert db.node(record_node(1).id) == record_node(1, seq=5)
    db.update_node(record_node(1, seq=6))
    assert db.node(record_node(1).id) == record_node(1, seq=6)


def test_deleted_node_is_forgotten_with_its_addresses(db: NodeStore) -> None:
    node = record_node(1)
    prove(db, node, T)
    db.set_last_ping_received(node.id, IP6, T)
    db.delete_node(node.id)
    assert db.node(node.id) is None
    assert db.contacts_count == 0


@pytest.mark.parametrize("node", [url_node(1), record_node(2), url_node(3).with_hostname("a.b")])
def test_node_is_the_same_after_a_restart(path: Path, node: Node) -> None:
    with NodeDB(path) as db:
        prove(db, node, T + 0.25)
        db.set_find_fails(node.id, node.ip or IP, 4)
    with NodeDB(path) as db:
        assert db.node(node.id) == node
        assert db.last_pong_received(node.id, node.ip or IP) == T + 0.25
        assert db.find_fails(node.id, node.ip or IP) == 4


def test_node_at_another_address_than_in_its_record_stays_there(path: Path) -> None:
    node = record_node(1).with_endpoint(IP6, 1, 2)
    with NodeDB(path) as db:
        db.update_node(node)
    with NodeDB(path) as db:
        assert db.node(node.id) == node


def test_contact_that_only_pinged_is_not_written(path: Path) -> None:
    with NodeDB(path) as db:
        db.set_last_ping_received(NodeID(bytes(32)), IP, T)
    with NodeDB(path) as db:
        assert db.contacts_count == 0


def test_proof_that_was_taken_away_is_gone_after_a_restart(path: Path) -> None:
    node = record_node(1)
    with NodeDB(path) as db:
        prove(db, node, T)
    with NodeDB(path) as db:
        db.set_last_pong_received(node.id, node.ip or IP, 0.0)
    with NodeDB(path) as db:
        assert db.last_pong_received(node.id, node.ip or IP) == 0.0


def test_database_in_memory_starts_no_thread() -> None:
    with NodeDB():
        assert not [thread for thread in threading.enumerate() if thread.name == "p2p-db"]


def test_changes_of_a_database_that_was_never_started_are_written_at_its_end(path: Path) -> None:
    db = NodeDB(path)
    prove(db, record_node(1), T)
    assert db.close() and db.close()
    db = NodeDB(path)
    assert db.node(record_node(1).id) == record_node(1)
    db.close()


def test_closed_database_can_still_be_read(path: Path) -> None:
    with NodeDB(path) as db:
        prove(db, record_node(1), T)
    assert db.node(record_node(1).id) == record_node(1)
    db.start()  # does nothing any more


def test_change_reaches_the_file_while_it_is_open(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nodedb, "WRITE_DELAY_S", 0.0)
    local = NodeID(b"\x01" * 32)
    with NodeDB(path) as db:
        prove(db, record_node(1), T)
        db.set_local_seq(local, 1)  # returns when what was changed before is written, too
        wal = path.with_name("nodes.db-wal").read_bytes() + path.read_bytes()
        assert (record_node(1).record or Record(b"")).to_rlp() in wal


# What it forgets.


def test_what_was_not_heard_of_for_a_day_is_forgotten(db: NodeStore) -> None:
    old, recent = record_node(1), record_node(2)
    prove(db, old, T)
    prove(db, recent, T + 7200)
    db.set_last_ping_received(NodeID(bytes(32)), IP, T)
    db.expire(T + 86_400)
    assert db.contacts_count == 3
    db.expire(T + 86_401)
    assert db.contacts_count == 1
    assert db.node(old.id) is None
    assert db.node(recent.id) == recent


def test_node_never_heard_of_outlives_one_clean_up(db: NodeStore) -> None:
    db.update_node(record_node(1))
    db.expire(T)
    assert db.node(record_node(1).id) is not None
    db.expire(T + 3600)
    assert db.node(record_node(1).id) is None


def test_what_was_forgotten_is_gone_after_a_restart(path: Path) -> None:
    with NodeDB(path) as db:
        prove(db, record_node(1), T)
    with NodeDB(path) as db:
        db.expire(T + 100_000)
    with NodeDB(path) as db:
        assert db.contacts_count == db.nodes_count == 0


def test_time_of_the_future_does_not_count_as_recent_for_long(db: NodeStore) -> None:
    node = record_node(1)
    prove(db, node, T + 1e6)
    db.expire(T)
    assert db.last_pong_received(node.id, node.ip or IP) == T
    db.expire(T + 100_000)
    assert db.node(node.id) is None


def test_unverified_contacts_cannot_push_out_proven_ones() -> None:
    db = NodeDB()
    prove(db, record_node(1), T)
    for number in range(10_010):
        db.set_last_ping_received(NodeID(number.to_bytes(32, "big")), IP, T)
    assert db.contacts_count == 10_001
    assert db.last_pong_received(record_node(1).id, record_node(1).ip or IP) == T


def test_oldest_pong_makes_room_when_there_are_too_many() -> None:
    db = NodeDB()
    ids = [NodeID(number.to_bytes(32, "big")) for number in range(20_001)]
    for node_id in ids[:-1]:
        db.set_last_pong_received(node_id, IP, T)
    db.set_last_pong_received(ids[0], IP, T + 1)
    db.set_last_pong_received(ids[-1], IP, T + 2)
    assert db.contacts_count == 20_000
    assert db.last_pong_received(ids[0], IP) == T + 1
    assert db.last_pong_received(ids[1], IP) == 0.0


def test_oldest_node_makes_room_when_there_are_too_many() -> None:
    db = NodeDB()
    ids = [NodeID(number.to_bytes(32, "big")) for number in range(10_001)]
    nodes = [Node(node_id, IP, public_key=key(1).public_key) for node_id in ids]
    for node in nodes:
        db.update_node(node)
    assert db.nodes_count == 10_000
    assert db.node(nodes[0].id) is None
    assert db.node(nodes[1].id) == nodes[1]


# Seeds.


def test_seeds_have_answered_at_their_address_in_the_last_five_days(db: NodeStore) -> None:
    five_days = 5 * 86_400
    prove(db, record_node(1), T - five_days)
    prove(db, record_node(2), T - five_days - 1)
    db.update_node(record_node(3))
    db.set_last_pong_received(record_node(3).id, IP6, T)
    db.set_last_ping_received(record_node(4).id, record_node(4).ip or IP, T)
    db.update_node(record_node(4))
    assert seeds(db) == [record_node(1)]


def test_seeds_are_as_many_as_asked_for_and_random(db: NodeStore) -> None:
    nodes = [url_node(number) for number in range(1, 40)]
    for node in nodes:
        prove(db, node, T)
    first, second = seeds(db, 30, seed=1), seeds(db, 30, seed=2)
    assert len(set(first)) == len(set(second)) == 30
    assert first != second
    assert set(first) | set(second) <= set(nodes)


# Of IPv6 a network is a /48; special networks are no local ones.
@pytest.mark.parametrize(
    "network", ["20.0.0.", "192.0.2.", "198.18.0.", "240.0.0.", "2001:db8::", "2a00:1:2:"]
)
def test_one_network_gives_two_seeds_at_most(db: NodeStore, network: str) -> None:
    for number in range(1, 20):
        end = "::1" if network == "2a00:1:2:" else ""
        prove(db, Node.from_parts(key(number).public_key, f"{network}{number}{end}", 1, 1), T)
    prove(db, url_node(30), T)
    assert len(seeds(db)) == 3


def test_own_network_may_give_all_seeds() -> None:
    with NodeDB(own_networks=Netlist.parse("20.0.0.0/24")) as db:
        for number in range(1, 20):
            prove(db, Node.from_parts(key(number).public_key, f"20.0.0.{number}", 1, 1), T)
        assert len(seeds(db)) == 19


def test_local_network_may_give_all_seeds(db: NodeStore) -> None:
    for number in range(1, 20):
        prove(db, Node.from_parts(key(number).public_key, "127.0.0.1", number, number), T)
    assert len(seeds(db)) == 19


# Sequence numbers.


def test_local_sequence_never_falls(path: Path) -> None:
    mine, other = NodeID(b"\x01" * 32), NodeID(b"\x02" * 32)
    with NodeDB(path) as db:
        assert db.local_seq(mine) == 0
        db.set_local_seq(mine, 2**64 - 1)
        db.set_local_seq(mine, 7)
        db.set_local_seq(other, 3)
    with NodeDB(path) as db:
        assert db.local_seq(mine) == 2**64 - 1
        assert db.local_seq(other) == db.stored_local_seq(other) == 3


def test_reserved_sequence_is_usable_when_it_is_stored(path: Path) -> None:
    mine = NodeID(b"\x01" * 32)
    db = NodeDB(path)
    db.reserve_local_seq(mine, 9)
    assert (db.local_seq(mine), db.stored_local_seq(mine)) == (9, 0)
    db.set_local_seq(NodeID(bytes(32)), 1)
    assert db.stored_local_seq(mine) == 9
    db.close()


def test_reserved_sequence_is_stored_by_the_thread_at_once(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nodedb, "WRITE_DELAY_S", 1000.0)  # what is not stored at once is not
    mine = NodeID(b"\x01" * 32)
    with NodeDB(path) as db:
        db.reserve_local_seq(mine, 9)
        with db._lock:  # notified when a turn to write ends
            assert db._lock.wait_for(lambda: db._stored_local.get(mine) == 9, timeout=10)


def test_sequence_cannot_be_stored_in_a_closed_database(path: Path) -> None:
    db = NodeDB(path)
    db.set_local_seq(NodeID(bytes(32)), 1)
    db.close()
    db.set_local_seq(NodeID(bytes(32)), 1)
    with pytest.raises(NodeDBError, match="closed"):
        db.set_local_seq(NodeID(bytes(32)), 2)


def test_many_threads_may_store_at_once(path: Path) -> None:
    ids = [NodeID(number.to_bytes(32, "big")) for number in range(8)]
    with NodeDB(path) as db:

        def store(node_id: NodeID) -> None:
            for number in range(1, 11):
                db.set_local_seq(node_id, number)
                db.set_last_pong_received(node_id, ip_address(number), T)

        threads = [threading.Thread(target=store, args=(node_id,)) for node_id in ids]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    with NodeDB(path) as db:
        assert [db.local_seq(node_id) for node_id in ids] == [10] * 8
        assert db.contacts_count == 80


@pytest.mark.timeout(60 + KILLS)
def test_killed_process_leaves_a_database_that_opens_and_the_sequence_never_falls(
    tmp_path: Path,
) -> None:
    told = run_program("kill", tmp_path, KILLS, timeout_s=50.0 + KILLS)
    assert told == f"killed {KILLS} times, True True\n"


# What can happen to the file.


def fill(path: Path, count: int = 99) -> NodeID:
    """Make a database of some nodes; returns the one that has a sequence number."""
    mine = NodeID(b"\x01" * 32)
    with NodeDB(path) as db:
        for number in range(1, count + 1):
            prove(db, record_node(number), T)
        db.set_local_seq(mine, 77)
    return mine


def test_damaged_file_is_set_aside_and_the_sequence_carried_over(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mine = fill(path)
    damage(path)
    with NodeDB(path) as db:
        assert db.nodes_count == 0
        assert db.stored_local_seq(mine) == 77
        prove(db, record_node(1), T)
    assert path.with_name("nodes.db.broken").exists()
    assert "nodes.db.broken, and a new one is made" in caplog.text
    with NodeDB(path) as db:
        assert db.nodes_count == 1
        assert db.local_seq(mine) == 77


def damage(path: Path) -> None:
    """Overwrite the tables of nodes and contacts, and nothing else."""
    with sqlite3.connect(path) as connection:
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        names = "('node', 'contact')"
        pages = connection.execute(f"SELECT rootpage FROM sqlite_master WHERE name IN {names}")
        roots = [page for (page,) in pages]
    connection.close()
    with open(path, "r+b") as file:
        for page in roots:
            file.seek((page - 1) * size)
            file.write(b"\xaa" * size)


@pytest.mark.parametrize("size", [0, 50, 100, 4096, 10_000, 20_000])
def test_truncated_file_gives_a_database_that_works(path: Path, size: int) -> None:
    fill(path)
    os.truncate(path, size)
    with NodeDB(path) as db:
        prove(db, record_node(1), T)
    with NodeDB(path) as db:
        assert db.node(record_node(1).id) == record_node(1)


@pytest.mark.parametrize("seed", range(30))
def test_flipped_bytes_never_crash(path: Path, seed: int) -> None:
    fill(path)
    content = bytearray(path.read_bytes())
    choice = random.Random(seed)
    for _ in range(choice.choice((1, 10, 1000))):
        content[choice.randrange(16, len(content))] = choice.randrange(256)
    path.write_bytes(content)
    try:
        db = NodeDB(path)
    except NodeDBError as error:
        assert str(path) in str(error)
        return
    with db:
        for number in range(1, 100):
            assert db.node(record_node(number).id) in (None, record_node(number))
        prove(db, record_node(1), T)
    with NodeDB(path) as db:
        assert db.node(record_node(1).id) == record_node(1)


def test_file_of_zeros_is_set_aside(path: Path) -> None:
    path.write_bytes(bytes(5000))
    NodeDB(path).close()
    assert path.with_name("nodes.db.broken").read_bytes() == bytes(5000)


def test_file_that_breaks_while_it_is_open_is_made_anew(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mine = fill(path, 600)
    db = NodeDB(path)
    damage_open(path)
    for number in range(1, 150):
        prove(db, record_node(number), T + 1)
    db.set_local_seq(mine, 78)
    db.close()
    assert path.with_name("nodes.db.broken").exists()
    assert "a new one is made" in caplog.text
    with NodeDB(path) as db:
        assert db.nodes_count == 600
        assert db.last_pong_received(record_node(1).id, record_node(1).ip or IP) == T + 1
        assert db.local_seq(mine) == 78


def damage_open(path: Path) -> None:
    size = path.stat().st_size
    with open(path, "r+b") as file:
        file.seek(4096)
        file.write(b"\xaa" * (size - 4096))


def test_database_of_another_version_is_set_aside(path: Path) -> None:
    mine = fill(path)
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with NodeDB(path) as db:
        assert db.nodes_count == 0
        assert db.local_seq(mine) == 77
    assert path.with_name("nodes.db.v99").exists()


@pytest.mark.parametrize("content", [b"1" * 64, b"\n", os.urandom(16) + bytes(9000)])
def test_file_that_is_no_database_is_left_alone(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(NodeDBError, match="is not a database") as caught:
        NodeDB(path)
    assert str(path) in str(caught.value)
    assert path.read_bytes() == content
    assert [file.name for file in path.parent.iterdir()] == ["nodes.db"]


def test_database_of_another_program_is_left_alone(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE wallet (money INTEGER)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(NodeDBError, match="another program"):
        NodeDB(path)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["nodes.db"]


def test_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NodeDBError, match="is a directory"):
        NodeDB(tmp_path)


def test_missing_folder_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(NodeDBError, match="missing/nodes.db"):
        NodeDB(tmp_path / "missing" / "nodes.db")


def test_database_that_is_open_in_another_process_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("p2p.enode.db.file.LOCK_TIMEOUT_S", 0.05)
    command = [sys.executable, str(PROGRAM), "hold", str(path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipe = subprocess.PIPE
    with Program(command, stdin=pipe, stdout=pipe, text=True, env=environment) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(NodeDBError, match="another process has it open"):
            NodeDB(path)
        holder.communicate("")
    NodeDB(path).close()


def test_database_that_is_open_already_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("p2p.enode.db.file.LOCK_TIMEOUT_S", 0.05)
    with NodeDB(path):
        with pytest.raises(NodeDBError, match="another process has it open"):
            NodeDB(path)


def test_file_that_may_not_be_written_is_refused() -> None:
    # Not tmp_path: the process that opens the file may not even look into that.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "nodes.db")
        NodeDB(path).close()
        path.chmod(0o444)
        os.chmod(folder, 0o555)
        assert run_program("readonly", path) == (
            f"node database {path}: {path} cannot be written\n"
        )
        os.chmod(folder, 0o755)


def test_full_disk_loses_nothing_and_is_logged_once(path: Path) -> None:
    told = run_program("full", path).split("\n")
    assert told == ["WARNING", "refused", "refused", "refused", "INFO", "3 500", ""]


def test_opening_says_nothing_when_all_is_well(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        fill(path)
        fill(path)
    assert caplog.text == ""
