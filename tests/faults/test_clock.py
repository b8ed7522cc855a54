"""A wall clock that jumps by hours, forward and back: nothing that runs depends on it.

The monotonic time goes its way meanwhile. What the engine of discovery does is in
``tests/discover/test_wallclock.py``; here are the services around it, real sockets, the database
in a file, and the server.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import p2p
from p2p.enode.db.nodedb import NodeDB
from tests.faults.neighbors import Neighbors, stay, talk
from tests.faults.seams import JumpingClock
from tests.kit import inspect
from tests.kit.nodes import Nodes
from tests.kit.services import Services, knows
from tests.kit.waiting import PATIENCE_S, eventually

HOUR_S = 3600.0
JUMPS = [5 * HOUR_S, -5 * HOUR_S, 30 * HOUR_S, -30 * HOUR_S, 365 * 24 * HOUR_S, -1_600_000_000.0]


class JumpingServices(Services):
    """Services of which each may have a clock of its own, all with one monotonic time."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = self.jumping = JumpingClock()


@pytest.fixture
def services() -> Iterator[JumpingServices]:
    services = JumpingServices()
    yield services
    services.close()


class OwnWall(JumpingClock):
    """The services' clock, with another wall time."""

    def __init__(self, clock: JumpingClock) -> None:
        super().__init__()
        self._clock = clock
        self.on_advance = clock.on_advance  # type: ignore[method-assign]
        self.off_advance = clock.off_advance  # type: ignore[method-assign]

    def monotonic(self) -> float:
        return self._clock.monotonic()

    def time_unix(self) -> float:
        return self._clock.time_unix() + self.jumped_s


@pytest.mark.parametrize("jump_s", JUMPS)
def test_discovery_goes_on_over_a_jump_there_and_back(
    services: JumpingServices, jump_s: float
) -> None:
    boot = services.new()
    clock = OwnWall(services.jumping)
    one = services.new(boot.self, clock=clock)
    other = services.new(boot.self)
    services.pass_time_until(lambda: knows(one, boot, other))
    for jump in (jump_s, -jump_s):
        clock.jump(jump)
        for asked, asks in ((one, other), (other, one)):
            services.ask(asks.ping, asked.self)
            services.ask(asks.request_enr, asked.self)
        found = services.ask(one.lookup, bytes(64))
        assert {node.id for node in found} == {boot.self.id, other.self.id}
        services.pass_time(20)
        assert knows(one, boot, other) and knows(boot, one) and knows(other, one)


@pytest.mark.parametrize("jump_s", JUMPS)
def test_database_remembers_who_was_alive_over_a_jump_and_the_next_start(
    services: JumpingServices, tmp_path: Path, jump_s: float
) -> None:
    """The clean-up of every hour does not take a jump for a day that has passed."""
    path = tmp_path / "nodes.db"
    clock = OwnWall(services.jumping)
    boot = services.new()
    with NodeDB(path) as db:
        one = services.new(boot.self, clock=clock, store=db)
        services.pass_time_until(lambda: knows(one, boot))
        services.pass_time_until(lambda: db.node(boot.self.id) is not None)
        clock.jump(jump_s)
        for _ in range(240):  # two hours, with the clean-up
            services.clock.advance(30)
            services.settle()
        assert knows(one, boot) and db.node(boot.self.id) is not None
        clock.jump(-jump_s)
        services.pass_time(20)
        services.stop(one)
    with NodeDB(path) as db:
        again = services.new(clock=OwnWall(services.jumping), store=db)  # knows no bootnode
        services.pass_time_until(lambda: knows(again, boot))


@pytest.mark.parametrize("jump_s", JUMPS)
def test_peers_stay_and_dials_wait_as_long_as_ever_over_a_jump(
    nodes: Nodes, jump_s: float
) -> None:
    clock = JumpingClock()
    protocols = [talk(), p2p.Protocol("test", 1, 8, stay)]
    server = nodes.start(max_peers=20, clock=clock, protocols=protocols)
    there = nodes.new()
    there.start()
    node = there.self
    there.stop()
    with Neighbors(nodes, server) as neighbors:
        server.add_peer(node)
        eventually(lambda: len(server.dial_attempts(node)) == 1)
        clock.jump(jump_s)
        clock.advance(14)
        neighbors.exchange()
        inspect.settle(server)
        assert len(server.dial_attempts(node)) == 1  # a static node is left alone for 35 s
        clock.advance(14)
        inspect.settle(server)
        assert len(server.dial_attempts(node)) == 1
        clock.advance(11)  # with the random part
        eventually(lambda: len(server.dial_attempts(node)) == 2)
        assert nodes.remote(server).open()
    first, second = server.dial_attempts(node)
    assert second.time_unix - first.time_unix == pytest.approx(jump_s + 39, abs=1)


@pytest.mark.parametrize("jump_s", JUMPS)
def test_sequence_of_our_record_only_grows_over_jumps_and_starts(
    nodes: Nodes, tmp_path: Path, jump_s: float
) -> None:
    key, seqs = p2p.generate_key(), []
    clock = JumpingClock()
    for _ in range(4):
        server = nodes.start(
            private_key=key, clock=clock, no_discovery=False, node_database=tmp_path / "nodes.db"
        )
        seqs.append(server.self.seq)
        clock.jump(jump_s)
        inspect.own_node(server).set("n", len(seqs))
        seqs.append(server.self.seq)
        assert server.stop() == []
        jump_s = -jump_s
    assert seqs == sorted(set(seqs))


def test_clock_of_1970_is_good_enough(nodes: Nodes, tmp_path: Path) -> None:
    """A machine without a battery, before it has heard the time."""
    clock = JumpingClock()
    clock.jump(-clock.time_unix() - 10.0)
    server = nodes.start(
        clock=clock, no_discovery=False, node_database=tmp_path / "nodes.db",
        protocols=[talk()], max_peers=20,
    )  # fmt: skip
    assert server.self.seq >= 1
    with Neighbors(nodes, server):
        clock.jump(1_600_000_000.0)
    assert server.discovery_v4 is not None
    mate = nodes.start(no_discovery=False, clock=clock)
    server.discovery_v4.ping(mate.self, PATIENCE_S)
    assert server.stop() == []
