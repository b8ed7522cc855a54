"""A clock that knows when the loops that run on it are at rest."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

import p2p
from p2p.lab import LabClock
from p2p.net import Loop
from tests.kit.waiting import PATIENCE_S


@pytest.fixture
def clock() -> LabClock:
    return LabClock()


@pytest.fixture
def make_loop(clock: LabClock) -> Iterator[Callable[[], Loop]]:
    loops: list[Loop] = []

    def make() -> Loop:
        loops.append(Loop("test-loop", clock))
        loops[-1].start()
        return loops[-1]

    yield make
    for loop in loops:
        loop.stop()
        assert loop.join(PATIENCE_S)
        assert loop.crash is None


MakeLoop = Callable[[], Loop]


def test_clock_without_loops_is_at_rest(clock: LabClock) -> None:
    assert clock.is_quiet()
    assert clock.next_due() is None
    clock.run_for(5)
    assert clock.monotonic() == pytest.approx(1005)


def test_loop_with_work_is_not_at_rest(clock: LabClock, make_loop: MakeLoop) -> None:
    loop, gate = make_loop(), threading.Event()
    clock.settle()
    assert clock.is_quiet()
    loop.post(gate.wait)
    assert not clock.is_quiet()
    with pytest.raises(p2p.Timeout, match="not at rest"):
        clock.settle(timeout=0)
    gate.set()
    clock.settle()
    assert clock.is_quiet()


def test_next_due_is_the_first_timer_of_all_loops(clock: LabClock, make_loop: MakeLoop) -> None:
    for delay in (7, 3):
        loop = make_loop()
        loop.call(loop.call_later, delay, int)
    clock.settle()
    assert clock.next_due() == pytest.approx(1003)


def test_time_goes_from_event_to_event(clock: LabClock, make_loop: MakeLoop) -> None:
    loop, seen = make_loop(), list[float]()

    def tick(left: int) -> None:
        seen.append(clock.monotonic())
        if left:
            loop.call_later(0.1, tick, left - 1)

    loop.call(loop.call_later, 1, tick, 3)
    clock.run_for(2)
    assert seen == pytest.approx([1001, 1001.1, 1001.2, 1001.3])
    assert clock.monotonic() == pytest.approx(1002)


def test_loops_that_post_to_each_other_settle_at_the_end(
    clock: LabClock, make_loop: MakeLoop
) -> None:
    one, other, seen = make_loop(), make_loop(), list[int]()

    def bounce(left: int, loop: Loop, next_one: Loop) -> None:
        seen.append(left)
        if left:
            next_one.post(bounce, left - 1, next_one, loop)

    one.post(bounce, 200, one, other)
    clock.settle()
    assert seen[-1] == 0


def test_run_until_stops_at_the_event(clock: LabClock, make_loop: MakeLoop) -> None:
    loop, happened = make_loop(), threading.Event()
    loop.call(loop.call_later, 1.5, happened.set)
    loop.call(loop.call_later, 5, int)
    assert clock.run_until(happened.is_set, 10)
    assert clock.monotonic() == pytest.approx(1001.5)
    assert not clock.run_until(lambda: False, 2)
    assert clock.monotonic() == pytest.approx(1003.5)
    assert clock.run_until(lambda: True, 0)


def test_loop_that_has_ended_is_not_waited_for(clock: LabClock, make_loop: MakeLoop) -> None:
    loop = make_loop()
    loop.call(loop.call_later, 1, int)
    loop.stop()
    assert loop.join(PATIENCE_S)
    clock.settle()
    assert clock.next_due() is None


@pytest.mark.parametrize("seconds", [-1, float("inf"), "1", None])
def test_time_that_cannot_pass_is_refused(clock: LabClock, seconds: float) -> None:
    with pytest.raises(p2p.ArgumentError):
        clock.run_for(seconds)
    with pytest.raises(p2p.ArgumentError):
        clock.run_until(lambda: True, seconds)


def test_time_moves_until_a_blocking_call_has_ended(clock: LabClock, make_loop: MakeLoop) -> None:
    loop, happened = make_loop(), threading.Event()
    loop.call(loop.call_later, 5, happened.set)
    assert clock.call(happened.wait, PATIENCE_S)
    assert clock.monotonic() == pytest.approx(1005)
    with pytest.raises(ZeroDivisionError):
        clock.call(lambda: 1 / 0)
