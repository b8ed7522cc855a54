"""Fair shares of a rate, on simulated time."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p.net.shares import (
    BURST_S,
    MAX_TURN_BYTES,
    MIN_TURN_BYTES,
    TURN_S,
    FairShares,
    Member,
    TokenBucket,
)

START = 1000.0
#: Bytes that a member wants at a time.
Wants = Callable[[float], int]


def endless(now: float) -> int:
    return 2**30


class User:
    """A member that moves as many bytes as it wants and is granted, as a channel does."""

    def __init__(self, world: World, wants: Wants) -> None:
        self._world = world
        self._wants = wants
        self.moved = 0
        self.member: Member = world.shares.add(self.move, world.now)

    def move(self) -> None:
        world, member = self._world, self.member
        while wanted := self._wants(world.now) - self.moved:
            room = world.shares.ask(member, world.now)
            if not room:
                return
            used = min(room, wanted)
            world.shares.settle(member, used)
            self.moved += used
            world.total += used
        if member.granted:
            world.shares.settle(member, 0)


class World:
    """Shares, their members and the time."""

    def __init__(self, rate: float | None, rate_each: float | None = None) -> None:
        self.now = START
        self.total = 0
        self.rate = rate
        self.shares = FairShares(rate, rate_each, self.now)
        self.users: list[User] = []

    @property
    def burst(self) -> float:
        assert self.rate is not None
        return max(self.rate * BURST_S, self.shares.turn_bytes)

    def add(self, wants: Wants = endless) -> User:
        self.users.append(User(self, wants))
        return self.users[-1]

    def run(self, seconds: float, tick_s: float = 0.01) -> None:
        """Let the time pass; users ask at each tick, and turns come when they are due."""
        end = self.now + seconds
        while self.now < end:
            for user in self.users:
                user.move()
            deadline = self.shares.deadline
            tick = min(end, self.now + tick_s)
            self.now = tick if deadline is None else max(self.now, min(deadline, tick))
            for member in self.shares.poll(self.now):
                member.on_turn()
            if self.rate is not None:
                assert self.total <= self.rate * (self.now - START) + self.burst + 1


def test_rate_is_reached_and_not_exceeded() -> None:
    world = World(100_000)
    world.add()
    world.run(10.0)
    assert 1_000_000 <= world.total <= 1_000_000 + world.burst


@pytest.mark.parametrize("count", [2, 7, 50])
def test_members_that_want_all_get_the_same(count: int) -> None:
    world = World(1_000_000)
    users = [world.add() for _ in range(count)]
    world.run(10.0)
    moved = [user.moved for user in users]
    assert max(moved) - min(moved) <= world.burst + world.shares.turn_bytes
    world.run(10.0)
    later = [after.moved - before for after, before in zip(users, moved, strict=True)]
    assert max(later) - min(later) <= world.shares.turn_bytes


def test_member_that_wants_less_gets_all_of_it_and_the_rest_is_shared() -> None:
    world = World(1_000_000)
    modest = world.add(lambda now: int((now - START) * 10_000))
    greedy = [world.add() for _ in range(4)]
    world.run(20.0)
    assert modest.moved >= 20 * 10_000 - world.shares.turn_bytes
    rest = (world.total - modest.moved) / 4
    assert all(abs(user.moved - rest) <= world.burst for user in greedy)
    assert world.total >= 20_000_000


def test_late_member_gets_its_share_at_once() -> None:
    world = World(1_000_000)
    early = [world.add() for _ in range(3)]
    world.run(10.0)
    before = [user.moved for user in early]
    late = world.add()
    world.run(4.0)
    gained = [user.moved - old for user, old in zip(early, before, strict=True)]
    assert all(abs(late.moved - gain) <= 2 * world.shares.turn_bytes for gain in gained)


def test_each_member_has_its_own_limit_and_others_use_the_rest() -> None:
    world = World(1_000_000, rate_each=100_000)
    users = [world.add() for _ in range(3)]
    world.run(10.0)
    for user in users:
        assert 1_000_000 <= user.moved <= 1_000_000 + 100_000 * BURST_S
    more = [world.add() for _ in range(20)]
    before = [user.moved for user in users]
    world.run(10.0)
    gained = [user.moved - old for user, old in zip(users, before, strict=True)]
    gained += [user.moved for user in more]
    assert max(gained) - min(gained) <= 100_000 * BURST_S + world.shares.turn_bytes
    assert sum(gained) <= 10_000_000 + world.burst


def test_limit_of_each_alone_limits_nobody_else() -> None:
    world = World(None, rate_each=50_000)
    users = [world.add() for _ in range(5)]
    world.run(4.0)
    for user in users:
        assert 200_000 <= user.moved <= 200_000 + 50_000 * BURST_S


def test_bytes_that_are_not_used_are_for_others() -> None:
    world = World(10_000)
    idle = world.shares.add(lambda: world.shares.settle(idle, 0), world.now)
    busy = world.add()
    for _ in range(400):
        if world.shares.ask(idle, world.now):
            world.shares.settle(idle, 0)
        world.run(0.05)
    assert busy.moved >= 20 * 10_000


def test_member_that_leaves_gives_up_its_turn_and_its_place() -> None:
    world = World(10_000, rate_each=9_000)
    users = [world.add() for _ in range(5)]
    world.run(3.0)
    for user in users[1:]:
        world.shares.remove(user.member)
    left, world.users = users[0], users[:1]
    moved = left.moved
    world.run(10.0)
    assert left.moved - moved >= 9_000 * 10 - world.shares.turn_bytes
    assert all(not user.member.is_waiting and not user.member.granted for user in users[1:])


def test_pause_saves_up_one_burst_and_no_more() -> None:
    world = World(100_000)
    world.now += 3600.0
    user = world.add()
    user.move()
    assert user.moved <= world.burst


def test_wait_is_known_until_it_is_asked_for() -> None:
    world = World(1_000)
    user = world.add()
    assert not user.member.take_waited()
    user.move()
    assert user.member.is_waiting and user.member.take_waited() and user.member.take_waited()
    world.run(1.0)
    world.shares.remove(user.member)
    assert user.member.take_waited() and not user.member.take_waited()


@pytest.mark.parametrize(
    ("rate", "size"), [(1024, MIN_TURN_BYTES), (10**9, MAX_TURN_BYTES), (200_000, 10_000)]
)
def test_turn_is_a_part_of_a_second_within_limits(rate: int, size: int) -> None:
    assert FairShares(rate, None, START).turn_bytes == size
    assert FairShares(10**12, rate, START).turn_bytes == size
    assert MIN_TURN_BYTES < 200_000 * TURN_S < MAX_TURN_BYTES


def test_no_deadline_while_no_member_waits() -> None:
    world = World(10_000)
    assert world.shares.deadline is None
    user = world.add(lambda now: 10)
    user.move()
    assert world.shares.deadline is None


def test_bucket_tells_when_it_has_enough() -> None:
    bucket = TokenBucket(100.0, 50.0, START)
    bucket.take(50.0, START)
    assert not bucket.has(10.0, START)
    when = bucket.ready_at(10.0)
    assert when == pytest.approx(START + 0.1)
    assert bucket.has(10.0, when)
    bucket.take(10.0, when)
    bucket.give_back(10.0)
    assert bucket.has(10.0, when) and not bucket.has(51.0, START + 1e6)


@given(
    st.integers(1024, 10**8),
    st.one_of(st.none(), st.integers(1024, 10**8)),
    st.lists(st.integers(0, 10**6), min_size=1, max_size=8),
)
def test_all_that_is_wanted_passes_within_its_time(
    rate: int, each: int | None, wanted: list[int]
) -> None:
    world = World(rate, each)
    for number in wanted:
        world.add(lambda now, number=number: number)  # type: ignore[misc]
    slowest = min(rate, each or rate)
    world.run(sum(wanted) / slowest + 1.0, tick_s=10.0)
    assert [user.moved for user in world.users] == wanted


@pytest.mark.parametrize(("rate", "each"), [(1024, None), (None, 1024), (1024, 1024)])
def test_members_that_have_left_are_forgotten(rate: int | None, each: int | None) -> None:
    """At a low rate, all connections that ended in minutes were kept in memory."""
    shares = FairShares(rate, each, START)

    def waiting_member() -> Member:
        member = shares.add(lambda: None, START)
        while size := shares.ask(member, START):
            shares.settle(member, size)
        return member

    staying = [waiting_member() for _ in range(3)]
    gone = []
    for _ in range(100):
        member = waiting_member()
        gone.append(weakref.ref(member.on_turn))
        shares.remove(member)
        del member
    gc.collect()
    assert sum(one() is not None for one in gone) <= len(staying)
    turns: list[Member] = []
    now = START
    while len(turns) < 3:
        now = shares.deadline or now
        turns += [member for member in shares.poll(now) if not shares.settle(member, 512)]
    assert len(turns) == 3 and set(turns) == set(staying)
