"""Scripts: their steps in time, the same choices for a seed, errors, and their end."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import p2p
from p2p.clock import SYSTEM_CLOCK, Clock
from p2p.errors import ArgumentError, ArgumentTypeError, LabError, ServerStateError
from p2p.lab import Churn, Lab, LabClock, LabEvent, LinkNoise, Partitions
from tests.kit.waiting import PATIENCE_S, eventually
from tests.lab.test_lab import STAY


def take(events: p2p.Subscription[LabEvent], kind: str, count: int) -> list[LabEvent]:
    """The next events of a kind."""
    found: list[LabEvent] = []
    while len(found) < count:
        event = events.get(PATIENCE_S)
        found += [event] if event.type == kind else []
    return found


def ticking(lab: Lab, random: random.Random) -> Iterator[float]:
    for number in range(3):
        lab.note("tick", number=number, random=random.random())
        yield 0.001


def test_a_script_runs_its_steps_and_ends() -> None:
    draws = []
    for _ in range(2):
        lab = Lab(nodes=0, scripts=[ticking])
        with lab.subscribe_events() as events, lab:
            run = lab.run_script(ticking)
            ticks = take(events, "note", 6)
            eventually(lambda run=run: not run.is_running)  # type: ignore[misc]
            assert repr(run) == "<ScriptRun 'ticking', over>"
        data = [event.data or {} for event in ticks]
        assert sorted(d["number"] for d in data) == [0, 0, 1, 1, 2, 2]
        draws.append({d["random"] for d in data})
    assert len(draws[0]) == 6 and draws[0] == draws[1]


def test_a_script_that_is_stopped_takes_no_further_step() -> None:
    ended = threading.Event()

    def endless(lab: Lab, random: random.Random) -> Iterator[float]:
        try:
            while True:
                lab.note("step")
                yield 0.001
        finally:
            ended.set()

    lab = Lab(nodes=0)
    with lab.subscribe_events() as events, lab:
        run = lab.run_script(endless)
        take(events, "note", 3)
        assert repr(run) == "<ScriptRun 'endless', running>"
        run.stop()
        assert ended.wait(PATIENCE_S)
        ended.clear()
        with lab.subscribe_events() as later:
            lab.run_script(endless)
            take(later, "note", 1)
    assert ended.is_set()


def test_a_script_that_fails_is_reported_and_the_others_go_on() -> None:
    def failing(lab: Lab, random: random.Random) -> Iterator[float]:
        yield 0.0
        raise ValueError("broken")

    def wrong(lab: Lab, random: random.Random) -> Iterator[Any]:
        yield "soon"

    lab = Lab(nodes=0, scripts=[failing, wrong, ticking])
    with lab.subscribe_events() as events, pytest.raises(LabError) as caught, lab:
        failed = take(events, "failed", 2)
        lab.run_script(ticking)
        take(events, "note", 3)
    assert sorted((event.text, (event.data or {})["error"]) for event in failed) == [
        ("failing", "ValueError: broken"),
        ("wrong", "ArgumentTypeError: seconds: wanted a number; got 'soon' (str)"),
    ]
    assert [name for name, _ in caught.value.failures] == [event.text for event in failed]
    assert "failing: ValueError: broken" in str(caught.value)


def test_waits_end_when_a_script_fails() -> None:
    def failing(lab: Lab, random: random.Random) -> Iterator[float]:
        raise ValueError("broken")
        yield

    waits: list[Callable[[Lab], object]] = [
        lambda lab: lab.run_for(1e6),
        lambda lab: lab.wait_until(lambda: False, 1e6),
    ]
    for wait in waits:
        with pytest.raises(LabError, match="scripts have failed: failing: ValueError: broken"):
            with Lab(nodes=1) as lab:
                run = lab.run_script(failing)
                wait(lab)
        assert isinstance(run.error, ValueError) and not run.is_running


def test_scripts_are_checked() -> None:
    for scripts in ([5], 5):
        with pytest.raises(ArgumentTypeError, match="script"):
            Lab(nodes=0, scripts=scripts)  # type: ignore[arg-type]
    lab = Lab(nodes=0)
    with pytest.raises(ServerStateError, match="the lab is new"):
        lab.run_script(ticking)
    with lab, pytest.raises(ArgumentTypeError, match="script: wanted a generator"):
        lab.run_script(lambda lab, random: None)  # type: ignore[arg-type, return-value]


def test_churn_stops_and_starts_the_same_nodes_for_a_seed() -> None:
    courses = []
    for _ in range(2):
        lab = Lab(nodes=6, protocols=[STAY], seed=3, scripts=[Churn(200, (0.02, 0.05))])
        with lab.subscribe_events() as events, lab:
            take(events, "started", 6)
            stopped = [event.node for event in take(events, "stopped", 8)]
        courses.append(stopped)
    assert courses[0] == courses[1]
    assert "n0" not in courses[0] and len(set(courses[0])) > 2


def test_churn_leaves_its_share_of_the_nodes_alone() -> None:
    with Lab(nodes=6, protocols=[STAY], scripts=[Churn(1000, 1e6, 0.5)]) as lab:
        lab.wait_until(lambda: len(lab.running) == 3, PATIENCE_S)
        lab.run_for(0.05)
        assert len(lab.running) == 3


def leave(lab: Lab, random: random.Random) -> Iterator[float]:
    yield 0.0
    raise SystemExit("enough")


@pytest.mark.parametrize("clock", [SYSTEM_CLOCK, LabClock()], ids=["system", "lab"])
def test_a_script_that_exits_has_failed(clock: Clock) -> None:
    failed = pytest.raises(LabError, match="leave: RuntimeError: SystemExit: enough")
    with failed, Lab(nodes=0, clock=clock, scripts=[leave]) as lab:
        lab.run_for(PATIENCE_S)


def test_the_others_go_on_after_a_script_that_exits() -> None:
    lab = Lab(nodes=0, scripts=[leave])
    with lab.subscribe_events() as events, pytest.raises(LabError, match="leave"), lab:
        take(events, "failed", 1)
        lab.run_script(ticking)
        assert len(take(events, "note", 3)) == 3


def test_a_lab_that_is_stopped_while_it_starts_does_not_run() -> None:
    def end(lab: Lab, random: random.Random) -> Iterator[float]:
        lab.stop()
        return iter(())

    lab = Lab(nodes=0, scripts=[end])
    with pytest.raises(ServerStateError, match="the lab is stopped"):
        lab.start()


def test_a_lab_that_is_stopped_by_its_script_stops() -> None:
    def end(lab: Lab, random: random.Random) -> Iterator[float]:
        yield 0.0
        lab.stop()

    with Lab(nodes=2, protocols=[STAY], scripts=[end]) as lab:
        lab.wait_until(lambda: not lab.running, PATIENCE_S)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: Churn(0), "rate: wanted a number above 0"),
        (lambda: Churn("1"), "rate: wanted a number"),
        (lambda: Churn(1, (5.0, 1.0)), "downtime_s: wanted a number from 0 up, or the least"),
        (lambda: Churn(1, 1.0, 2), "share: wanted a probability"),
        (lambda: Partitions(-1.0), "interval_s: wanted a number from 0 up"),
        (lambda: Partitions(1.0, "x"), "duration_s: wanted a number"),
        (lambda: Partitions(1.0, 1.0, -1), "share: wanted a probability"),
        (lambda: LinkNoise(0.0), "interval_s: wanted a number above 0"),
        (lambda: LinkNoise(1.0, -0.1), "latency_s: wanted a number from 0 up"),
        (lambda: LinkNoise(1.0, loss=(0.0, 1.5)), "loss: wanted a probability"),
        (lambda: LinkNoise(1.0, bandwidth=0.5), "bandwidth: wanted at least 1"),
    ],
)
def test_wrong_numbers_are_refused(call: Any, words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        call()
