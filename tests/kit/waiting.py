"""Waits of the suite: one patience for all of them, and words for a state that did not come."""

from __future__ import annotations

import inspect
import threading
import time
from collections.abc import Callable

from p2p.testing import PATIENCE_S, SimulatedClock

#: Between two looks at a state that no event tells of.
_PAUSE_S = 0.002


def eventually(condition: Callable[[], object], what: str | None = None) -> None:
    """Wait for a state that no event tells of.

    Fails after PATIENCE_S, with ``what``, or else with the source of the condition.
    """
    deadline = time.monotonic() + PATIENCE_S
    pause = threading.Event()
    while not condition():
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {PATIENCE_S:g} s: {what or words_of(condition)}")
        pause.wait(_PAUSE_S)


def pass_until(
    clock: SimulatedClock,
    happened: Callable[[], object],
    settle: Callable[[], object],
    step_s: float = 1.0,
) -> None:
    """Move a clock in steps until something has happened.

    ``settle`` is called before each step. It lets everything that is on its way arrive: without
    it, an answer would be late on the clock because a thread, or the machine, has much to do.
    """
    deadline = time.monotonic() + PATIENCE_S
    settle()
    while not happened():
        assert time.monotonic() < deadline, f"it does not happen: {words_of(happened)}"
        clock.advance(step_s)
        settle()


def words_of(condition: Callable[[], object]) -> str:
    """The source of a condition, in one line: the statement that a lambda stands in."""
    try:
        return " ".join(inspect.getsource(condition).split())
    except (OSError, TypeError):  # made by exec, or by a class
        return repr(condition)
