"""Deadlines; clocks are in ``tests/faults/test_clock.py`` and in the tests of what runs on them."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest

from p2p import clock
from p2p.clock import Deadline, SimulatedClock
from p2p.errors import ArgumentError


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which the test moves."""
    times = [100.0]
    monkeypatch.setattr(clock, "time", SimpleNamespace(monotonic=lambda: times[0]))
    return times


def test_deadline_tells_what_is_left_until_it_is_over(now: list[float]) -> None:
    deadline = Deadline(3.0)
    assert (deadline.left_s, deadline.is_over) == (3.0, False)
    now[0] = 102.0
    assert (deadline.left_s, deadline.is_over) == (1.0, False)
    now[0] = 103.0
    assert (deadline.left_s, deadline.is_over) == (0.0, True)
    now[0] = 200.0
    assert (deadline.left_s, deadline.is_over) == (0.0, True)


def test_deadline_leaves_a_last_moment(now: list[float]) -> None:
    deadline = Deadline(3.0)
    assert deadline.left_at_least(1.0) == 3.0
    now[0] = 102.5
    assert (deadline.left_at_least(0.0), deadline.left_at_least(1.0)) == (0.5, 1.0)
    now[0] = 200.0
    assert deadline.left_at_least(1.0) == 1.0


def test_deadline_may_leave_less_than_the_longest_wait(now: list[float]) -> None:
    deadline = Deadline(3.0)
    assert (deadline.left_at_most(1.0), deadline.left_at_most(5.0)) == (1.0, 3.0)
    now[0] = 200.0
    assert deadline.left_at_most(1.0) == 0.0


def test_part_of_the_time_that_is_left_ends_earlier(now: list[float]) -> None:
    deadline = Deadline(3.0)
    now[0] = 101.0
    assert (deadline.part(1 / 2).left_s, deadline.left_s) == (1.0, 2.0)


def test_deadline_without_end_is_never_over(now: list[float]) -> None:
    deadline = Deadline(None)
    now[0] = 1e9
    assert (deadline.left_s, deadline.is_over) == (None, False)
    assert (deadline.left_at_most(5.0), deadline.part(1 / 2).left_s) == (5.0, None)


@pytest.mark.parametrize("timeout_s", [0.0, -1.0])
def test_deadline_of_no_time_is_over_at_once(timeout_s: float) -> None:
    assert (Deadline(timeout_s).left_s, Deadline(timeout_s).is_over) == (0.0, True)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 10**400, "5", True])
def test_simulated_clock_takes_finite_numbers_only(value: float) -> None:
    simulated = SimulatedClock()
    for name, call in (("seconds", simulated.advance), ("start", SimulatedClock)):
        with pytest.raises(ArgumentError, match=f"^{name}: wanted a number of seconds"):
            call(value)
    with pytest.raises(ArgumentError, match="^start_unix: wanted a number of seconds"):
        SimulatedClock(start_unix=value)
    assert simulated.monotonic() == 1000.0
