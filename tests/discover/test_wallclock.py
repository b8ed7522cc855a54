"""Clocks that are wrong: jumps of the wall clock, proofs from the future, rows of timeouts."""

from __future__ import annotations

import pytest

from p2p.discover.event import ManyTimeouts, NodeRemoved
from p2p.discover.traffic import MANY_TIMEOUTS
from p2p.discover.v4.engine import EngineV4
from p2p.discover.v4.wire import (
    FindNode,
    Neighbors,
)
from p2p.discover.wallclock import WallClock
from p2p.enode.db.memory import NodeMemory
from p2p.inputs import Now
from tests.kit.link import START_UNIX, Link

pytestmark = pytest.mark.slow

HOUR_S = 3600.0
DAY_S = 24 * HOUR_S
TARGET = b"t" * 64


@pytest.fixture
def link() -> Link:
    return Link()


# Clocks.


@pytest.mark.parametrize("jump_s", [HOUR_S, -HOUR_S, DAY_S, -DAY_S])
def test_a_jump_of_the_wall_clock_loses_no_live_node(jump_s: float) -> None:
    link = Link(plain=True)
    boot = link.node(0)
    engines = [boot, *(link.node(n, bootnodes=[link.as_node(boot)]) for n in range(1, 5))]
    link.run(120.0)
    jumper = engines[3]
    address = link.address(jumper)
    before = set(jumper.table.nodes())
    assert len(before) == 4
    set_clock(jumper, jump_s)
    link.run(1.1 * HOUR_S)  # the table is refreshed, and the store forgets what is old
    set_clock(jumper, -jump_s)
    link.run(600.0)
    assert set(jumper.table.nodes()) == before
    assert not any(isinstance(event, NodeRemoved) for event in link.events[address])
    assert all(jumper.id in engine.table for engine in engines if engine is not jumper)
    assert len(link.lookup(jumper, TARGET)) == 4


def set_clock(engine: EngineV4, jump_s: float) -> None:
    """Move one engine's wall clock from now on, on top of earlier moves."""
    receive, handle = engine.receive_datagram, engine.handle_timeout

    def moved(now: Now) -> Now:
        return Now(now.monotonic, now.unix + jump_s)

    engine.receive_datagram = (  # type: ignore[method-assign]
        lambda data, addr, now: receive(data, addr, moved(now))
    )
    engine.handle_timeout = lambda now: handle(moved(now))  # type: ignore[method-assign]


@pytest.mark.parametrize("jump_s", [HOUR_S, -HOUR_S, DAY_S, -DAY_S])
def test_a_wall_clock_that_jumps_is_read_both_ways(jump_s: float) -> None:
    clock = WallClock(Now(10.0, START_UNIX))
    later = Now(20.0, START_UNIX + 10.0 + jump_s)
    assert clock.earliest(later) == START_UNIX + 10.0 + min(0.0, jump_s)
    assert clock.latest(later) == START_UNIX + 10.0 + max(0.0, jump_s)


def test_a_proof_from_the_far_future_does_not_count(link: Link) -> None:
    store = NodeMemory()
    engine = link.node(1, store=store)
    remote = link.remote(2).to(engine)
    store.set_last_pong_received(remote.id, remote.address[0], link.now.unix + 10 * DAY_S)
    remote.answers_pings = False
    remote.send(FindNode(TARGET, remote.expiration))
    link.run(0.1)
    assert not remote.got(Neighbors)


def test_many_timeouts_in_a_row_are_told(link: Link) -> None:
    engine = link.node(1)
    remote = link.remote(2)
    remote.answers_pings = False
    for _ in range(MANY_TIMEOUTS - 1):
        engine.operations.ping(remote.node, link.now)
        link.run(1.0)
    events = link.events[link.address(engine)]
    assert not any(isinstance(event, ManyTimeouts) for event in events)
    engine.operations.ping(remote.node, link.now)
    link.run(1.0)
    assert ManyTimeouts(MANY_TIMEOUTS) in events


def test_an_answer_ends_the_row_of_timeouts(link: Link) -> None:
    engine = link.node(1)
    remote = link.remote(2).to(engine)
    for round_ in range(2 * MANY_TIMEOUTS):
        remote.answers_pings = round_ == MANY_TIMEOUTS // 2 or round_ == MANY_TIMEOUTS
        engine.operations.ping(remote.node, link.now)
        link.run(1.0)
        if round_ == MANY_TIMEOUTS + 5:
            break
    assert not any(isinstance(e, ManyTimeouts) for e in link.events[link.address(engine)])
