"""A process that has no more descriptors (EMFILE), for real: what needs one fails and says so.

Accepting without descriptors is in ``tests/hostile/test_shortage.py``. Each test here runs as a
program of its own, whose output is compared.
"""

from __future__ import annotations

from pathlib import Path

from tests.faults.parts import run_program

HEAD = """
import errno, socket, sys, threading
import p2p
import p2p.testing
from tests.faults.neighbors import Neighbors, talk
from tests.faults.shortage import few_descriptors, open_descriptors
from tests.kit.nodes import Nodes, unused_port
from tests.kit.waiting import eventually

nodes = Nodes()

def names():
    return [t.name for t in threading.enumerate() if t.name.startswith("p2p-")]
"""

START = """
from pathlib import Path
folder = Path(sys.argv[1])
refused = []
for free in range(100):
    server = nodes.new(
        listen_addr=f"127.0.0.1:{unused_port()}", no_discovery=False,
        node_database=folder / "nodes.db",
    )
    before = open_descriptors()
    try:
        with few_descriptors(free):
            server.start()
            assert server.stop() == []
            break
    except OSError as error:
        assert error.errno == errno.EMFILE, repr(error)
        refused.append("OSError")
    except p2p.errors.NodeDBError as error:
        assert "nodes.db" in str(error), error
        refused.append("NodeDBError")
    assert open_descriptors() == before, (free, open_descriptors(), before)
    assert names() == [], names()
    server.start()                  # now that there are some again
    assert server.discovery_v4 is not None and str(server.listen_addr).startswith("127.0.0.1:")
    assert server.stop() == []
    assert sorted(path.name for path in folder.iterdir()) == ["nodes.db"]
print(sorted(set(refused)), 5 < len(refused) < 30)
"""

CONNECT = """
there, here = nodes.start(protocols=[talk()]), nodes.start(protocols=[talk()], listen_addr=None)
server = nodes.start(protocols=[talk()])
with Neighbors(nodes, server) as neighbors:
    with few_descriptors():
        for _ in range(20):
            try:
                here.connect(there.self)
            except p2p.errors.Unreachable as error:
                assert error.__cause__.errno == errno.EMFILE, repr(error.__cause__)
            neighbors.exchange(10)
    attempts = here.dial_attempts(there.self)
    assert {type(one.error) for one in attempts} == {p2p.errors.Unreachable}, attempts
    assert here.connect(there.self).id == there.self.id
nodes.close()
print("dials again")
"""

NAME = """
there, here = nodes.start(), nodes.start(listen_addr=None)
named = there.self.with_hostname("localhost")
with few_descriptors():
    for _ in range(5):
        try:
            here.connect(named)
        except (p2p.errors.NameNotResolved, p2p.errors.Unreachable) as error:
            print(type(error).__name__)
assert here.connect(named).id == there.self.id
nodes.close()
print("looks up again")
"""

STATIC = """
clock = p2p.testing.SimulatedClock()
talks = nodes.talks()
there = nodes.start(protocols=[talks.protocol()])
here = nodes.start(listen_addr=None, clock=clock)
with few_descriptors():
    here.add_peer(there.self)
    eventually(lambda: here.dial_attempts(there.self))
    (attempt,) = here.dial_attempts(there.self)
    print(type(attempt.error).__name__)
    clock.advance(40)
    eventually(lambda: len(here.dial_attempts(there.self)) == 2)
clock.advance(40)
eventually(lambda: here.peer_count == 1)
nodes.close()
print("connected")
"""

DATABASE = """
from pathlib import Path
from p2p.enode.db.nodedb import NodeDB
path = Path(sys.argv[1]) / "nodes.db"
own = p2p.generate_key().public_key
own = p2p.NodeID.from_public_key(own)
with NodeDB(path) as db:
    db.set_local_seq(own, 1)
    with few_descriptors():
        for seq in range(2, 50):
            db.set_local_seq(own, seq)      # the file is open
        try:
            NodeDB(path.with_name("other.db"))
        except p2p.errors.NodeDBError as error:
            assert "other.db" in str(error)
            print("refused")
with few_descriptors():
    try:
        NodeDB(path)
    except p2p.errors.NodeDBError as error:
        assert "nodes.db" in str(error)
        print("refused")
with NodeDB(path) as db:
    print(db.local_seq(own), sorted(p.name for p in path.parent.iterdir() if "-" not in p.name))
"""

ACCEPT = """
server = nodes.start(protocols=[talk(), nodes.talks().protocol()], max_peers=30, no_dial=True)
with Neighbors(nodes, server) as neighbors:
    for free in range(5):
        strangers = [socket.socket() for _ in range(4)]
        with few_descriptors(free):
            for stranger in strangers:
                stranger.connect(("127.0.0.1", server.self.tcp))
            neighbors.exchange(20)
        assert nodes.remote(server).open()
        for stranger in strangers:
            stranger.close()
nodes.close()
print("accepts again")
"""


def test_start_fails_wherever_it_runs_out_of_descriptors_and_can_be_repeated(
    tmp_path: Path,
) -> None:
    """With none, with one, with two ... until there are enough: nothing is left open or broken."""
    assert run_program(HEAD + START, str(tmp_path)) == "['NodeDBError', 'OSError'] True\n"


def test_dial_without_descriptors_says_so_and_succeeds_afterwards() -> None:
    assert run_program(HEAD + CONNECT) == "dials again\n"


def test_name_is_looked_up_when_there_are_descriptors_again() -> None:
    *errors, last = run_program(HEAD + NAME).splitlines()
    assert len(errors) == 5 and last == "looks up again"


def test_static_node_is_dialed_again_when_there_are_descriptors() -> None:
    assert run_program(HEAD + STATIC) == "Unreachable\nconnected\n"


def test_open_database_needs_no_descriptors_and_another_is_refused_whole(tmp_path: Path) -> None:
    expected = "refused\nrefused\n49 ['nodes.db']\n"
    assert run_program(HEAD + DATABASE, str(tmp_path)) == expected


def test_server_with_few_descriptors_serves_its_peers_and_accepts_again() -> None:
    assert run_program(HEAD + ACCEPT) == "accepts again\n"
