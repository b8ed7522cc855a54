"""A wall clock that is set once, by any step, and stays so: proofs and seeds outlive it."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from p2p.discover.maintenance import SEED_MAX_AGE_S
from p2p.discover.store import NodeStore
from p2p.discover.table import revalidation
from p2p.discover.v4.bonds import Bonds
from p2p.discover.v4.wire import ENRRequest, ENRResponse, FindNode, Neighbors, Ping
from p2p.discover.wallclock import WallClock
from p2p.enode.db.memory import NodeMemory
from p2p.enode.db.nodedb import NodeDB
from p2p.enode.node import Node
from p2p.inputs import Now
from tests.kit.link import START_UNIX, Link, Remote, address_of, key_of

pytestmark = pytest.mark.slow

HOUR_S = 3600.0
DAY_S = 24 * HOUR_S
YEAR_S = 365 * DAY_S
STEPS = [26 * HOUR_S, 10 * DAY_S, 50 * YEAR_S]
STEPS += [-step_s for step_s in STEPS]
TARGET = b"t" * 64

NODE = Node.from_parts(key_of(9).public_key, str(address_of(9)[0]), 30303, 30303)
IP = address_of(9)[0]


#: Between two checks of a live node, at most. Nine seconds are much work in a day, and a proof is
#: good for a day.
CHECK_INTERVAL_S = 180.0


@pytest.fixture
def link(monkeypatch: pytest.MonkeyPatch) -> Link:
    monkeypatch.setattr(revalidation, "SLOW_INTERVAL_S", CHECK_INTERVAL_S)
    return Link(plain=True)


@pytest.fixture(params=[NodeMemory, NodeDB])
def store(request: pytest.FixtureRequest) -> NodeStore:
    store: NodeStore = request.param()
    return store


def hours_answered(link: Link, remote: Remote, hours: int) -> int:
    """A neighbor pings and asks every hour: how often it gets both answers."""
    answered = 0
    for _ in range(hours):
        remote.received.clear()
        remote.ping()
        link.run(1.0)
        remote.send(FindNode(TARGET, remote.expiration))
        remote.send(ENRRequest(remote.expiration))
        link.run(HOUR_S - 1.0)
        answered += bool(remote.got(Neighbors) and remote.got(ENRResponse))
    return answered


# What others ask of us, and we of them.


@pytest.mark.parametrize("step_s", [26 * HOUR_S, 50 * YEAR_S, -10 * DAY_S])
def test_requests_are_answered_before_and_after_a_step(link: Link, step_s: float) -> None:
    engine = link.node(1, store=NodeDB())
    remote = link.remote(2).to(engine).answering()
    assert hours_answered(link, remote, 2) == 2
    link.jump_wall_clock(step_s)
    assert hours_answered(link, remote, 27) == 27
    link.jump_wall_clock(-step_s)
    assert hours_answered(link, remote, 3) == 3
    assert not engine.counters.dropped


def test_requests_are_answered_over_suspends_that_add_up(link: Link) -> None:
    """The monotonic clock of Linux stands still while the machine sleeps."""
    engine = link.node(1, store=NodeDB())
    remote = link.remote(2).to(engine).answering()
    for _ in range(5):
        assert hours_answered(link, remote, 6) == 6
        link.jump_wall_clock(8 * HOUR_S)


@pytest.mark.parametrize("step_s", STEPS)
def test_own_lookup_after_a_step_does_not_begin_with_a_ping(link: Link, step_s: float) -> None:
    engine = link.node(1)
    remote = link.remote(2).to(engine).answering()
    remote.bond()
    link.run(60.0)
    link.jump_wall_clock(step_s)
    remote.bond()
    link.lookup(engine, TARGET)
    kinds = [type(packet) for packet, _ in remote.received]
    assert FindNode in kinds and Ping not in kinds[: kinds.index(FindNode)]


# Proofs.


@pytest.mark.parametrize("step_s", STEPS)
def test_proofs_of_both_clocks_count_after_a_step(store: NodeStore, step_s: float) -> None:
    bonds = Bonds(store, WallClock(Now(0.0, START_UNIX)))
    for noted, asked in (
        (Now(0.0, START_UNIX), Now(10.0, START_UNIX + 10.0)),
        (Now(0.0, START_UNIX), Now(10.0, START_UNIX + 10.0 + step_s)),
        (Now(0.0, START_UNIX + step_s), Now(10.0, START_UNIX + 10.0 + step_s)),
    ):
        bonds.note_proof(NODE.id, IP, noted)
        bonds.note_ping(NODE.id, IP, noted)
        assert bonds.is_proven(NODE.id, IP, asked)
        assert bonds.knows_us(NODE.id, IP, asked)


@pytest.mark.parametrize("step_s", [10 * DAY_S, -10 * DAY_S])
def test_a_proof_ends_after_a_step_too(link: Link, step_s: float) -> None:
    """Within two days, and it does not come back when a clock gets to the time it bears."""
    engine = link.node(1, store=NodeDB())
    remote = link.remote(2).to(engine)
    remote.bond()
    link.jump_wall_clock(step_s)
    remote.bond()
    remote.answers_pings = False
    link.run(50 * HOUR_S)
    for _ in range(24):
        remote.received.clear()
        remote.send(FindNode(TARGET, remote.expiration))
        link.run(10 * HOUR_S)
        assert not remote.got(Neighbors)


# Which clock is believed.


@pytest.mark.parametrize("step_s", STEPS)
def test_a_step_is_believed_after_a_day(step_s: float) -> None:
    clock = WallClock(Now(0.0, START_UNIX))
    assert clock.settle(Now(HOUR_S, START_UNIX + HOUR_S))
    for hour in range(2, 26):
        now = Now(hour * HOUR_S, START_UNIX + hour * HOUR_S + step_s)
        assert not clock.settle(now)
        assert clock.latest(now) - clock.earliest(now) == abs(step_s)
    now = Now(26 * HOUR_S, START_UNIX + 26 * HOUR_S + step_s)
    assert clock.settle(now)
    assert clock.earliest(now) == clock.latest(now) == now.unix


def test_a_step_that_is_taken_back_begins_no_day() -> None:
    clock = WallClock(Now(0.0, START_UNIX))
    for hour in range(1, 100):
        step_s = YEAR_S if hour % 20 else 0.0
        now = Now(hour * HOUR_S, START_UNIX + hour * HOUR_S + step_s)
        assert clock.settle(now) == (not step_s)


# Seeds.


def seeds(db: NodeDB, unix: float) -> int:
    return len(db.query_seeds(30, SEED_MAX_AGE_S, unix, random.Random(1)))


@pytest.mark.parametrize("step_s", [step_s for step_s in STEPS if step_s > 0])
def test_a_clock_that_was_late_at_the_start_costs_no_seeds(
    link: Link, tmp_path: Path, step_s: float
) -> None:
    """A board without a battery, whose clock NTP sets half a minute after the start."""
    path = tmp_path / "nodes.db"
    with NodeDB(path) as db:
        for number in range(10, 20):
            node = Node.from_parts(key_of(number).public_key, f"{number + 20}.1.1.1", 1, 1)
            assert node.ip is not None
            db.update_node(node)
            db.set_last_pong_received(node.id, node.ip, START_UNIX - HOUR_S)
    link.jump_wall_clock(-step_s)
    with NodeDB(path) as db:
        link.node(1, store=db)
        link.run(30.0)
        link.jump_wall_clock(step_s)
        link.run(20 * HOUR_S)
    with NodeDB(path) as db:
        assert seeds(db, link.now.unix) == 10
        assert seeds(db, link.now.unix + 4 * DAY_S) == 10
        assert seeds(db, link.now.unix + 5 * DAY_S) == 0


@pytest.mark.parametrize("step_s", STEPS)
def test_a_step_there_and_back_within_a_day_changes_nothing_known(
    link: Link, step_s: float
) -> None:
    db = NodeDB()
    db.update_node(NODE)
    db.set_last_pong_received(NODE.id, IP, START_UNIX)
    link.node(1, store=db)
    link.run(60.0)
    link.jump_wall_clock(step_s)
    link.run(20 * HOUR_S)
    link.jump_wall_clock(-step_s)
    link.run(2 * HOUR_S)
    assert db.node(NODE.id) == NODE
    assert db.last_pong_received(NODE.id, IP) == START_UNIX


@pytest.mark.parametrize("step_s", STEPS)
def test_what_is_old_is_forgotten_after_a_step(link: Link, step_s: float) -> None:
    db = NodeDB()
    db.update_node(NODE)
    db.set_last_pong_received(NODE.id, IP, START_UNIX)
    link.node(1, store=db)
    link.jump_wall_clock(step_s)
    link.run(52 * HOUR_S)
    assert db.node(NODE.id) is None
    assert db.contacts_count == 0
