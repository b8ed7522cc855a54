"""What is to be done at what time.

Pure: a heap of functions by their time, in monotonic seconds. The engine owns one, asks for its
``deadline``, and runs what is due whenever time has passed. Functions of the same time run in the
order in which they were entered.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from heapq import heappop, heappush

from p2p.discover.now import Now

NEVER = math.inf


class Task:
    """Something on the agenda; :meth:`cancel` takes it off."""

    __slots__ = ("_run",)

    def __init__(self, run: Callable[[Now], None]) -> None:
        self._run: Callable[[Now], None] | None = run

    @property
    def pending(self) -> bool:
        """Whether it is still to be done."""
        return self._run is not None

    def cancel(self) -> None:
        """Do not do it. Harmless when it is done."""
        self._run = None

    def run(self, now: Now) -> None:
        """Do it, once."""
        run, self._run = self._run, None
        if run is not None:
            run(now)


class Agenda:
    """Tasks by their time."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Task]] = []
        self._entered = 0

    def at(self, time: float, run: Callable[[Now], None]) -> Task:
        """Have ``run(now)`` called when the monotonic clock has reached ``time``."""
        task = Task(run)
        self._entered += 1
        heappush(self._heap, (time, self._entered, task))
        return task

    @property
    def deadline(self) -> float:
        """When the next task is due; infinity when there is none."""
        heap = self._heap
        while heap and not heap[0][2].pending:
            heappop(heap)
        return heap[0][0] if heap else NEVER

    def run_due(self, now: Now) -> None:
        """Run what is due at ``now``. What a task enters runs as well if it is due already."""
        while self.deadline <= now.monotonic:
            heappop(self._heap)[2].run(now)

    def __len__(self) -> int:
        """How many entries there are, cancelled ones included until their time comes."""
        return len(self._heap)
