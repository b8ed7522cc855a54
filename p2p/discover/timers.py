"""Timers of an engine: functions and the times at which they run.

Pure: a heap of functions by their time, in monotonic seconds. The engine owns one, reads its
``deadline``, and runs the functions that are due. Functions of the same time run in the order in
which they were added.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from heapq import heappop, heappush

from p2p.inputs import Now

NEVER = math.inf


class Timer:
    """A function that runs once, unless :meth:`cancel` is called before."""

    __slots__ = ("_run",)

    def __init__(self, run: Callable[[Now], None]) -> None:
        self._run: Callable[[Now], None] | None = run

    @property
    def pending(self) -> bool:
        """Whether the function is still to run."""
        return self._run is not None

    def cancel(self) -> None:
        """Do not run the function. No effect once it has run."""
        self._run = None

    def run(self, now: Now) -> None:
        """Run the function, unless it has run or is cancelled."""
        run, self._run = self._run, None
        if run is not None:
            run(now)


class Timers:
    """A heap of timers by their time."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timer]] = []
        self._entered = 0

    def at(self, time: float, run: Callable[[Now], None]) -> Timer:
        """Call ``run(now)`` when the monotonic clock has reached ``time``. Return its timer."""
        timer = Timer(run)
        self._entered += 1
        heappush(self._heap, (time, self._entered, timer))
        return timer

    @property
    def deadline(self) -> float:
        """Time at which the next timer is due; infinity if there is none."""
        heap = self._heap
        while heap and not heap[0][2].pending:
            heappop(heap)
        return heap[0][0] if heap else NEVER

    def run_due(self, now: Now) -> None:
        """Run the timers that are due at ``now``, also those that are added meanwhile."""
        while self.deadline <= now.monotonic:
            heappop(self._heap)[2].run(now)

    def __len__(self) -> int:
        """Return the number of timers, including cancelled ones until their time."""
        return len(self._heap)
