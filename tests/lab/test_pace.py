"""Simulated time of a lab: it moves to the next event, and never while something is to be done."""

from __future__ import annotations

import hashlib
import random
import threading
from collections.abc import Callable, Iterator

import pytest

import p2p
from p2p.errors import ArgumentError
from p2p.lab import Churn, Lab, LabClock, LabNode, Link
from p2p.testing import SimulatedClock
from tests.lab.test_lab import STAY

LINK = Link(latency_s=0.25, jitter=0.0)
HASHES = 50_000


def protocols(work: Callable[[], object]) -> Callable[[LabNode], list[p2p.Protocol]]:
    """The protocols of two nodes: n0 sends, n1 works before it answers, n0 notes the answer."""

    def protocols_of(node: LabNode) -> list[p2p.Protocol]:
        def run(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
            if node.index == 0:
                rw.send(0, b"")
            for _ in rw:
                if node.index == 1:
                    work()
                    rw.send(0, b"")
                else:
                    node.note("answer")

        return [p2p.Protocol("work", 1, 1, run)]

    return protocols_of


def compute() -> None:
    for _ in range(HASHES):
        hashlib.sha256(bytes(1000)).digest()


def test_the_time_waits_for_handlers_that_compute() -> None:
    lab = Lab(2, protocols=protocols(compute), link=LINK, clock=LabClock())
    events = lab.subscribe_events()
    with lab:
        lab.run_for(5.0)
    times = {event.type: event.time_s for event in events}
    assert 0 <= times["note"] - times["connected"] <= 2 * 0.25 + 1e-6


def test_handlers_that_wait_for_something_else_do_not_hold_the_time_up() -> None:
    answered = threading.Event()
    lab = Lab(2, protocols=protocols(answered.wait), clock=LabClock())
    events = lab.subscribe_events()
    with lab:
        lab.run_for(20.0)
        assert lab.time_s >= 20.0
        answered.set()
        lab.run_for(1.0)
    (note,) = [event for event in events if event.type == "note"]
    assert note.time_s >= 20.0


def test_time_passes_by_just_as_much_as_it_is_let() -> None:
    with Lab(2, protocols=[STAY], clock=LabClock(start=5.0)) as lab:
        begun = lab.time_s
        lab.run_for(0.0)
        assert lab.time_s == begun
        lab.run_for(17.5)
        assert lab.time_s == pytest.approx(begun + 17.5)


def test_a_wait_ends_at_its_event_or_at_its_limit() -> None:
    def later(lab: Lab, random: random.Random) -> Iterator[float]:
        yield 3.0
        lab.note("now")
        done.append(lab.time_s)

    done: list[float] = []
    with Lab(1, clock=LabClock(), scripts=[later]) as lab:
        lab.wait_until(lambda: done, 10.0)
        assert lab.time_s == pytest.approx(3.0) == done[0]
        with pytest.raises(p2p.Timeout, match="not within 5 s"):
            lab.wait_until(lambda: False, 5.0)
        assert lab.time_s == pytest.approx(8.0)


def test_steps_of_scripts_come_at_their_times_and_in_order() -> None:
    def every(seconds: float) -> Callable[[Lab, random.Random], Iterator[float]]:
        def steps(lab: Lab, random: random.Random) -> Iterator[float]:
            while True:
                yield seconds
                lab.note(f"{seconds:g}")

        return steps

    lab = Lab(0, clock=LabClock(), scripts=[every(2.0), every(3.0)])
    events = lab.subscribe_events()
    with lab:
        lab.run_for(6.5)
    course = [(round(event.time_s, 6), event.text) for event in events]
    assert course == [(2, "2"), (3, "3"), (4, "2"), (6, "2"), (6, "3")]


def test_a_script_may_let_time_pass() -> None:
    def slow(lab: Lab, random: random.Random) -> Iterator[float]:
        for _ in range(2):
            yield 1.0
            lab.run_for(10.0)
            lab.note("step")

    lab = Lab(0, clock=LabClock(), scripts=[slow])
    events = lab.subscribe_events()
    with lab:
        lab.run_for(30.0)
    assert [round(event.time_s, 6) for event in events] == [11, 21]


def test_a_clock_that_is_moved_by_hand_is_refused() -> None:
    with pytest.raises(ArgumentError, match="clock: wanted the clock of the system, or a LabClock"):
        Lab(0, clock=SimulatedClock())


def test_scripts_that_cannot_keep_up_do_not_hold_a_wait() -> None:
    churn = Churn(5.0, 2.0)
    lab = Lab(12, topology="ring", protocols=[STAY], link=LINK, clock=LabClock(), scripts=[churn])
    with lab:
        begun = lab.time_s
        lab.run_for(4.0)
        assert lab.time_s - begun < 4.0 + 30.0  # a step that has begun is ended
