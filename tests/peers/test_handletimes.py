"""Times of handlers, on a clock that the test moves."""

from __future__ import annotations

from p2p.clock import SimulatedClock
from p2p.peers.handletimes import HandleTimes, Stopwatch
from p2p.peers.traffic import MAX_CODES
from p2p.rlpx import Cap

TEST = Cap("test", 1)


class Timed:
    """A stopwatch of a handler, and the times of all."""

    def __init__(self) -> None:
        self.clock = SimulatedClock()
        self.times = HandleTimes(self.clock, [TEST])
        self.stopwatch: Stopwatch = self.times.stopwatch(TEST)

    def handle(self, code: int, seconds: float) -> None:
        self.stopwatch.start(code)
        self.clock.advance(seconds)
        self.stopwatch.stop()

    def read(self) -> dict[int, tuple[int, float]]:
        return {code: one.read()[:2] for code, one in self.times.recorders[TEST].items()}


def test_times_are_kept_by_code() -> None:
    timed = Timed()
    timed.handle(1, 0.5)
    timed.handle(2, 0.25)
    timed.handle(1, 1.0)
    assert timed.read() == {1: (2, 1.5), 2: (1, 0.25)}


def test_large_codes_share_one_histogram() -> None:
    timed = Timed()
    for code in (MAX_CODES - 1, MAX_CODES, 2**40):
        timed.handle(code, 0.5)
    assert timed.read() == {MAX_CODES - 1: (1, 0.5), MAX_CODES: (2, 1.0)}


def test_stopwatch_that_does_not_run_counts_nothing() -> None:
    timed = Timed()
    timed.stopwatch.stop()
    timed.handle(1, 0.5)
    timed.stopwatch.stop()
    assert timed.read() == {1: (1, 0.5)}
