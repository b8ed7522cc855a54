"""Timers, in a heap whose cancelled entries are deleted later.

Owned by one loop and used by its thread only; has no clock, the time is an argument. Cancelling is
cheap, as most timers are timeouts that never fire: the entry loses its function at once, and its
place in the heap when it comes to the top or when half of the heap is such garbage.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any

# A heap smaller than this is not worth a clean-up.
_MIN_GARBAGE = 64


class Timer:
    """One pending call. ``when`` is its time on the loop's clock, in seconds."""

    __slots__ = ("_args", "_fn", "_queue", "when")

    def __init__(
        self, when: float, fn: Callable[..., object], args: tuple[Any, ...], queue: TimerQueue
    ) -> None:
        self.when = when
        self._fn: Callable[..., object] | None = fn
        self._args = args
        # None once the timer is no longer in the heap
        self._queue: TimerQueue | None = queue

    @property
    def pending(self) -> bool:
        """Whether the call is still to come."""
        return self._fn is not None

    def cancel(self) -> None:
        """Cancel the call; no effect after it was made. Loop thread only."""
        if self._fn is None:
            return
        self._fn, self._args = None, ()
        if self._queue is not None:
            self._queue.count_garbage()

    def fire(self) -> None:
        """Call the function, once, unless it was cancelled. For the loop."""
        fn, args = self._fn, self._args
        self._fn, self._args = None, ()
        if fn is not None:
            fn(*args)

    def leave_queue(self) -> None:
        """Drop the reference to the heap, which the timer has just left. For the queue."""
        self._queue = None


class TimerQueue:
    """Timers in the order of their times; those of the same time in the order they were made."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timer]] = []
        self._made = 0
        self._garbage = 0

    def __len__(self) -> int:
        """Return the number of entries in the heap, cancelled ones included."""
        return len(self._heap)

    def push(self, when: float, fn: Callable[..., object], args: tuple[Any, ...]) -> Timer:
        """Add a call of ``fn(*args)`` at ``when``, in seconds, and return its timer."""
        timer = Timer(when, fn, args, self)
        self._made += 1
        heapq.heappush(self._heap, (when, self._made, timer))
        return timer

    def next_when(self) -> float | None:
        """Return the time of the first timer that was not cancelled, None if there is none."""
        while self._heap:
            when, _, timer = self._heap[0]
            if timer._fn is not None:  # pending, inlined: every pass comes here
                return when
            heapq.heappop(self._heap)
            self._garbage -= 1
        return None

    def pop_due(self, now: float) -> list[Timer]:
        """Remove and return the timers that are due at ``now``, in seconds.

        A timer that is made while these fire is not among them, so one that sets itself again with
        no delay cannot hold up its loop.
        """
        due = []
        while (when := self.next_when()) is not None and when <= now:
            timer = heapq.heappop(self._heap)[2]
            timer.leave_queue()
            due.append(timer)
        return due

    def count_garbage(self) -> None:
        """Count a cancelled entry; clean up when half of the heap is cancelled."""
        self._garbage += 1
        if self._garbage < _MIN_GARBAGE or self._garbage * 2 < len(self._heap):
            return
        self._heap = [entry for entry in self._heap if entry[2].pending]
        heapq.heapify(self._heap)
        self._garbage = 0
