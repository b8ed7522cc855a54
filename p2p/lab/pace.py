"""The time of a lab: waits on the clock of the system, or simulated time that the lab moves.

A lab waits in two ways: for a condition, or just a time, and for calls in other threads.
:class:`RealPace` just waits. The thread that waits is the caller's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait

from p2p.clock import Deadline
from p2p.lab.reports import Reports

#: Longest time between two looks at a condition, in real seconds: not all changes are reported.
LOOK_S = 0.02


class RealPace:
    """Time that passes by itself."""

    def __init__(self, reports: Reports) -> None:
        self._reports = reports

    def wait_until(self, condition: Callable[[], object], timeout_s: float) -> bool:
        """Wait until ``condition()`` is true, or the time is over. Returns whether it is true."""
        deadline = Deadline(timeout_s)
        version = self._reports.version
        while not condition():
            if deadline.is_over:
                return False
            self._reports.wait(version, deadline.left_at_most(LOOK_S))
            version = self._reports.version
        return True

    def finish(self, calls: Sequence[Future[object]]) -> None:
        """Wait until all calls have ended."""
        wait(calls)
