"""The guard of observers: their errors end there, and are logged once."""

from __future__ import annotations

import logging
import weakref
from typing import Any

import pytest

from p2p.clock import SimulatedClock
from p2p.discover.observer import DiscoveryObserver
from p2p.loglimit import LINES_PER_MINUTE, PERIOD_S
from p2p.observerguard import MAX_FAILED, ObserverGuard
from p2p.rlpx import ConnectionObserver
from tests.kit.observers import Failing, methods_of

METHODS = [
    (kind, method)
    for kind in (ConnectionObserver, DiscoveryObserver)
    for method in methods_of(kind)
]  # fmt: skip


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock()


@pytest.fixture
def guard(clock: SimulatedClock) -> ObserverGuard:
    return ObserverGuard(clock, logging.getLogger("p2p.test"))


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [line.getMessage() for line in caplog.records if line.levelno == logging.ERROR]


@pytest.mark.parametrize("error", [ValueError, RecursionError, SystemExit, KeyboardInterrupt])
@pytest.mark.parametrize("kind, fails", METHODS)
def test_observer_that_fails_is_not_called_again(
    guard: ObserverGuard,
    kind: type,
    fails: str,
    error: type[BaseException],
    caplog: pytest.LogCaptureFixture,
) -> None:
    failing = Failing(fails, error("what"))
    guarded: Any = guard.guard(failing)
    methods = methods_of(kind)
    for method in methods + methods:
        getattr(guarded, method)(1, "two")
    before = methods[: methods.index(fails) + 1]
    assert failing.calls == [(method, (1, "two")) for method in before]
    (line,) = errors(caplog)
    name = "tests.kit.observers.Failing"
    assert line == f"observer {name} failed in {fails}, and is not called again"
    (record,) = caplog.records
    assert record.exc_info is not None and record.exc_info[0] is error


@pytest.mark.parametrize("kind, method", METHODS)
def test_observer_that_defines_a_call_wrongly_has_failed(
    guard: ObserverGuard, kind: type, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    class Wrong:
        """Has none of the methods, or one that takes nothing."""

    for observer in (Wrong(), type("Wronger", (), {method: lambda: None})()):
        guarded: Any = guard.guard(observer)
        getattr(guarded, method)(1)
        getattr(guarded, method)(1)
    assert len(errors(caplog)) == 2


def test_observer_that_does_not_fail_is_called_as_it_would_be(guard: ObserverGuard) -> None:
    failing = Failing("nothing", ValueError())
    guarded: Any = guard.guard(failing)
    guarded.data_in(b"data", 1.0)
    assert failing.calls == [("data_in", (b"data", 1.0))]


def test_observer_of_many_that_fails_in_one_place_is_called_in_none(
    guard: ObserverGuard, caplog: pytest.LogCaptureFixture
) -> None:
    failing = Failing("command", ValueError())
    guarded: list[Any] = [guard.make(lambda: failing) for _ in range(3)]
    for one in guarded:
        one.command("ping")
    assert failing.calls == [("command", ("ping",))]
    assert len(errors(caplog)) == 1
    assert guard.make(lambda: failing) is None


def test_guard_lets_an_observer_go(guard: ObserverGuard) -> None:
    failing = Failing("nothing", ValueError())
    guarded: Any = guard.guard(failing)
    guarded.command("ping")
    gone = weakref.ref(failing)
    del failing, guarded
    assert gone() is None


def test_factory_that_fails_is_not_asked_again(
    guard: ObserverGuard, caplog: pytest.LogCaptureFixture
) -> None:
    asked = []

    def make(number: int) -> Failing:
        asked.append(number)
        raise SystemExit

    assert [guard.make(make, number) for number in range(3)] == [None] * 3
    assert asked == [0]
    (line,) = errors(caplog)
    assert "make failed in making one" in line


def test_factory_may_make_none(guard: ObserverGuard) -> None:
    assert guard.make(lambda: None) is None


def test_lines_about_many_observers_are_few(
    guard: ObserverGuard, clock: SimulatedClock, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(count: int) -> None:
        for _ in range(count):
            guarded: Any = guard.make(Failing, "setup", ValueError())
            guarded.setup()

    fail(2 * MAX_FAILED)
    assert len(errors(caplog)) == LINES_PER_MINUTE
    clock.advance(PERIOD_S)
    fail(1)
    assert errors(caplog)[-1].endswith(f"(and {2 * MAX_FAILED - LINES_PER_MINUTE} more like this)")
