"""States of a server, without a server: which change is possible when, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from p2p.clock import SystemClock
from p2p.errors import P2PError, ServerStateError, ServerStopped
from p2p.lifecycle import Lifecycle
from p2p.net import Loop

#: The calls that lead to each state.
WAYS: dict[str, list[Callable[[Lifecycle], object]]] = {
    "new": [],
    "starting": [Lifecycle.begin_start],
    "running": [Lifecycle.begin_start, Lifecycle.end_start],
    "stopping": [Lifecycle.begin_stop],
    "stopped": [Lifecycle.begin_stop, Lifecycle.end_stop],
}
ENDED = ("stopping", "stopped")
states = pytest.mark.parametrize("state", WAYS)


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop("p2p-io", SystemClock())
    yield loop
    loop.stop()


def in_state(state: str, loop: Loop) -> Lifecycle:
    life = Lifecycle(loop)
    for step in WAYS[state]:
        step(life)
    assert str(life) == state
    return life


def outcome(call: Callable[[], object]) -> object:
    """What a call returns, or the class of its error."""
    try:
        return call()
    except P2PError as error:
        return type(error)


@states
def test_a_server_starts_once(state: str, loop: Loop) -> None:
    life = in_state(state, loop)
    assert outcome(life.begin_start) is (None if state == "new" else ServerStateError)


@states
def test_only_a_start_that_nobody_has_stopped_succeeds_or_is_undone(state: str, loop: Loop) -> None:
    assert in_state(state, loop).undo_start() is (state == "starting")
    expected = None if state == "starting" else ServerStopped
    assert outcome(in_state(state, loop).end_start) is expected


def test_a_start_that_was_undone_can_be_made_again(loop: Loop) -> None:
    life = in_state("starting", loop)
    life.undo_start()
    assert str(life) == "new"
    life.begin_start()


@states
def test_one_caller_takes_the_server_down(state: str, loop: Loop) -> None:
    life = in_state(state, loop)
    assert life.begin_stop() is (state in ("new", "running"))
    assert str(life) == ("stopped" if state == "stopped" else "stopping")
    assert not life.begin_stop()


@states
def test_calls_are_refused_that_come_too_early_or_late(state: str, loop: Loop) -> None:
    life = in_state(state, loop)
    assert outcome(life.check_started) is (
        ServerStateError if state in ("new", "starting") else None
    )
    assert outcome(life.check_running) is (None if state == "running" else ServerStateError)
    assert outcome(life.check_not_ended) is (ServerStopped if state in ENDED else None)


def test_what_the_program_asks_while_it_starts_is_served_once_the_loop_runs(loop: Loop) -> None:
    life = in_state("starting", loop)
    loop.start()
    life.check_running()
    loop.stop()
    loop.join(10.0)
    assert outcome(lambda: life.post(print)) is ServerStopped
