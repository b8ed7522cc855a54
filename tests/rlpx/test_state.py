"""The states of a connection: the drawing, the table, and that nothing goes round it."""

from __future__ import annotations

import pytest

from p2p.rlpx import State, connection, state
from p2p.rlpx.state import TRANSITIONS
from tests.kit.drawings import setters, transitions_drawn
from tests.rlpx.pair import RawRemote


def test_drawing_is_the_table() -> None:
    assert transitions_drawn(state.__doc__, State) == TRANSITIONS


def test_nothing_changes_the_state_past_the_table() -> None:
    assert setters(connection, "state") == {"__init__", "_enter"}


def test_illegal_transition_is_our_own_fault() -> None:
    machine = RawRemote().greet().machine
    with pytest.raises(AssertionError, match="from open to greeted"):
        machine._enter(State.GREETED)
    assert machine.state is State.OPEN


def test_last_state_outlasts_the_end() -> None:
    machine = RawRemote(accepts=False).machine
    assert machine.last_state is machine.state is State.IDENTIFIED
    machine.drop_buffers()
    machine.drop_buffers()
    assert (machine.state, machine.last_state) == (State.CLOSED, State.IDENTIFIED)
