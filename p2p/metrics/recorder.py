"""Recorder of a distribution of times, for a histogram.

Threads of handlers record, any thread reads; one lock for both. No clock.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from itertools import accumulate

#: Bounds of the buckets in seconds: a handler takes some microseconds for a message, or blocks.
BOUNDS_S = (
    *(1e-5, 5e-5, 1e-4, 5e-4, 1e-3, 5e-3, 1e-2, 5e-2),
    *(0.1, 0.5, 1.0, 5.0, 10.0),
)


class Recorder:
    """Counts times by buckets."""

    __slots__ = ("_counts", "_lock", "_sum")

    def __init__(self) -> None:
        # guarded by _lock
        self._lock = threading.Lock()
        self._counts = [0] * (len(BOUNDS_S) + 1)
        self._sum = 0.0

    def record(self, seconds: float) -> None:
        """Count a time."""
        index = bisect_left(BOUNDS_S, seconds)
        with self._lock:
            self._counts[index] += 1
            self._sum += seconds

    def read(self) -> tuple[int, float, dict[float, int]]:
        """Return the number of times, their sum in seconds, and how many are up to each bound."""
        with self._lock:
            counts, total = list(self._counts), self._sum
        up_to = list(accumulate(counts))
        return up_to[-1], total, dict(zip(BOUNDS_S, up_to, strict=False))
