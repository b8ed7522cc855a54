"""The phases of a session: the drawing, the table, and that nothing goes round it."""

from __future__ import annotations

from p2p.peers import phase, session
from p2p.peers.phase import TRANSITIONS, Phase
from tests.kit.drawings import setters, transitions_drawn


def test_drawing_is_the_table() -> None:
    assert transitions_drawn(phase.__doc__, Phase) == TRANSITIONS


def test_nothing_changes_the_phase_past_the_table() -> None:
    assert setters(session, "phase") == {"__init__", "_enter"}
