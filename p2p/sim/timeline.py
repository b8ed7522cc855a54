"""Simulated time: what is to happen when, and the moving of the time from one to the next.

Everything that happens in a network stands on one heap. What was entered for the same moment
happens in the order in which it was entered, so that a run can be repeated exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

#: How often ``run_until`` looks at its condition, in simulated seconds.
CHECK_INTERVAL_S = 0.05


class Timeline:
    """A clock that jumps to the next event. ``time`` is in simulated seconds, from 0."""

    def __init__(self) -> None:
        self.time = 0.0
        self._entered = 0
        self._heap: list[tuple[float, int, Callable[..., object], tuple[Any, ...]]] = []

    def at(self, time: float, run: Callable[..., object], *args: Any) -> None:
        """Have ``run(*args)`` called at ``time``, or at once when that is over."""
        self._entered += 1
        heappush(self._heap, (max(time, self.time), self._entered, run, args))

    def after(self, seconds: float, run: Callable[..., object], *args: Any) -> None:
        """Have ``run(*args)`` called so many seconds from now."""
        self.at(self.time + seconds, run, *args)

    def run_for(self, seconds: float) -> None:
        """Let time pass, and everything happen that is due in it.

        Raises ValueError for less than no time, and what a function given to :meth:`at` raises.
        """
        if seconds < 0:
            raise ValueError("time does not go backwards")
        self._run_to(self.time + seconds)

    def run_until(self, condition: Callable[[], bool], limit: float) -> bool:
        """Let time pass until ``condition()`` holds, at most ``limit`` seconds.

        It is looked at every 50 ms of simulated time. Returns whether it holds.
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
