"""Latches: open after the last event, for those who wait and for callbacks."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

import pytest

from p2p import forks
from p2p.latch import Condition, Latch
from tests.kit.waiting import PATIENCE_S


def test_latch_opens_with_the_last_event() -> None:
    latch = Latch(2)
    latch.count_down()
    assert not latch.is_open
    latch.count_down()
    assert latch.is_open


def test_latch_for_nothing_is_open() -> None:
    assert Latch(0).is_open
    assert Latch(0).wait(0)


def test_latch_can_be_opened_early() -> None:
    latch = Latch(5)
    latch.open()
    assert latch.is_open
    latch.count_down()  # a late event does no harm
    assert latch.is_open


def test_callback_runs_once() -> None:
    latch, calls = Latch(2), []
    latch.when_open(lambda: calls.append("early"))
    latch.count_down()
    assert calls == []
    latch.count_down()
    latch.count_down()
    latch.open()
    assert calls == ["early"]


def test_callback_of_an_open_latch_runs_at_once() -> None:
    calls: list[str] = []
    Latch(0).when_open(lambda: calls.append("late"))
    assert calls == ["late"]


def test_wait_ends_with_the_last_event() -> None:
    latch, outcome = Latch(), []
    waiting = threading.Thread(target=lambda: outcome.append(latch.wait(PATIENCE_S)))
    waiting.start()
    latch.count_down()
    waiting.join(PATIENCE_S)
    assert outcome == [True]


def test_wait_in_vain_leaves_nothing() -> None:
    latch = Latch()
    assert not latch.wait(0)
    assert latch._callbacks == []


def test_events_of_many_threads_are_counted() -> None:
    latch, opened = Latch(40), []
    latch.when_open(lambda: opened.append(True))

    def count() -> None:
        for _ in range(10):
            latch.count_down()

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert opened == [True]


class Pressed(Exception):
    """Stands for a Ctrl-C."""


@pytest.mark.parametrize("kind", [Condition, lambda: forks.Condition("thing")], ids=["", "forks"])
@pytest.mark.parametrize("moment", ["call", "line"])
def test_interrupt_before_a_with_block_leaves_the_lock_free(
    kind: Callable[[], Condition], moment: str
) -> None:
    condition, seen = kind(), [0]

    def trace(frame: FrameType, event: str, argument: object) -> Callable[..., Any] | None:
        if frame.f_code.co_name != "__enter__":
            return None
        if event == moment:
            seen[0] += 1
            if seen[0] > 0:
                sys.settrace(None)
                raise Pressed
        return trace

    for number in range(4):  # at each line in turn
        seen[0] = -number
        usual = sys.gettrace()
        sys.settrace(trace)
        try:
            with condition, suppress(Pressed):
                pass
        except Pressed:
            pass
        finally:
            sys.settrace(usual)
        free = threading.Thread(target=condition.acquire, daemon=True)
        free.start()
        free.join(PATIENCE_S)
        assert not free.is_alive()
        condition = kind()
