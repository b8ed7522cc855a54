"""Which log lines a limit admits."""

from __future__ import annotations

import p2p
import p2p.testing
from p2p.loglimit import LINES_PER_MINUTE, MAX_KINDS, MAX_PEERS, PERIOD_S, LogLimit


def test_few_lines_of_a_kind_in_a_minute() -> None:
    limit = LogLimit(p2p.testing.SimulatedClock())
    admitted = [limit.admit("decode", peer) for peer in range(LINES_PER_MINUTE + 3)]
    assert admitted == [0] * LINES_PER_MINUTE + [None] * 3
    assert limit.admit("other kind", LINES_PER_MINUTE) == 0


def test_any_minute_has_few_lines() -> None:
    """Not only each full minute: a line is admitted a minute after the fifth last one."""
    clock = p2p.testing.SimulatedClock()
    limit = LogLimit(clock)
    times = []
    for peer in range(600):
        if limit.admit("decode", peer) is not None:
            times.append(clock.monotonic())
        clock.advance(0.5)
    gaps = [b - a for a, b in zip(times, times[LINES_PER_MINUTE:], strict=False)]
    assert len(times) == 5 * LINES_PER_MINUTE
    assert all(gap >= PERIOD_S for gap in gaps)


def test_number_left_out_is_told_once_with_the_next_line() -> None:
    clock = p2p.testing.SimulatedClock()
    limit = LogLimit(clock)
    for peer in range(LINES_PER_MINUTE + 3):
        limit.admit("decode", peer)
    clock.advance(PERIOD_S)
    assert limit.admit("decode", 100) == 3
    assert limit.admit("decode", 101) == 0


def test_peer_has_one_line_of_all_kinds() -> None:
    clock = p2p.testing.SimulatedClock()
    limit = LogLimit(clock)
    assert limit.admit("decode", b"peer") == 0
    clock.advance(10 * PERIOD_S)
    assert limit.admit("decode", b"peer") is None
    assert limit.admit("code", b"peer") is None


def test_peer_left_out_by_the_rate_may_have_its_line_later() -> None:
    clock = p2p.testing.SimulatedClock()
    limit = LogLimit(clock)
    for peer in range(LINES_PER_MINUTE):
        limit.admit("decode", peer)
    assert limit.admit("decode", b"peer") is None
    clock.advance(PERIOD_S)
    assert limit.admit("decode", b"peer") == 1


def test_memory_is_bounded() -> None:
    clock = p2p.testing.SimulatedClock()
    limit = LogLimit(clock)
    for number in range(2 * MAX_PEERS):
        limit.admit(number, number)
    assert len(limit._peers) == MAX_PEERS
    assert len(limit._kinds) == MAX_KINDS
