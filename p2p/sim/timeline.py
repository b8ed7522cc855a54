"""Simulated time: scheduled calls, and a clock that advances from one to the next.

All calls of a network are on one heap. Calls for the same time run in the order in which they were
added, so that a run can be repeated exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

from p2p.arguments import wrong

#: Interval at which ``run_until`` checks its condition, in simulated seconds.
CHECK_INTERVAL_S = 0.05


class Timeline:
    """A clock that jumps to the next event. ``time`` is in simulated seconds, from 0."""

    def __init__(self) -> None:
        self.time = 0.0
        self._entered = 0
        self._heap: list[tuple[float, int, Callable[..., object], tuple[Any, ...]]] = []

    def at(self, time: float, run: Callable[..., object], *args: Any) -> None:
        """Call ``run(*args)`` at ``time``, or as soon as possible if that has passed."""
        self._entered += 1
        heappush(self._heap, (max(time, self.time), self._entered, run, args))

    def after(self, seconds: float, run: Callable[..., object], *args: Any) -> None:
        """Call ``run(*args)`` in ``seconds`` from now."""
        self.at(self.time + seconds, run, *args)

    def run_for(self, seconds: float) -> None:
        """Advance the time by ``seconds``, and run the calls that are due in it.

        Raises ArgumentError for a negative time, and the exception of a function given to
        :meth:`at`.
        """
        if seconds < 0:
            raise wrong("seconds", seconds, "at least 0: time does not go backwards")
        self._run_to(self.time + seconds)

    def run_until(self, condition: Callable[[], bool], limit: float) -> bool:
        """Advance the time until ``condition()`` is true, at most by ``limit`` seconds.

        It is checked every 50 ms of simulated time. Returns whether it is true.
        """
        end = self.time + limit
        while not condition():
            if self.time >= end:
                return False
            self._run_to(min(self.time + CHECK_INTERVAL_S, end))
        return True

    def _run_to(self, end: float) -> None:
        heap = self._heap
        while heap and heap[0][0] <= end:
            self.time, _, run, args = heappop(heap)
            run(*args)
        self.time = end
