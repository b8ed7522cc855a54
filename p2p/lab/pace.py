"""The time of a lab: it passes by itself, or the lab moves it.

A lab waits in two ways: for a condition, or just a time, and for calls in other threads. On
the clock of the system, :class:`RealPace` just waits, and scripts have a thread of their own. On
simulated time, :class:`SimulatedPace` moves the clock, from one event to the next, only while one
of these waits is on: when all servers are quiet, the time jumps to the next timer, byte or script.

The thread that waits is the caller's; one at a time moves the clock.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait

from p2p.clock import Clock, Deadline
from p2p.lab.reports import Reports
from p2p.lab.scripts import Scripts
from p2p.lab.underlay.clock import LabClock

#: Longest time between two looks at a condition, in real seconds: not all changes are reported.
LOOK_S = 0.02
#: Longest step of simulated time while calls in other threads are awaited.
STEP_S = 0.5
#: Least step of simulated time: a smaller one may be lost in the rounding of a large time.
LEAST_STEP_S = 1e-9

Calls = Sequence[Future[object]]


class RealPace:
    """Time that passes by itself."""

    #: Least real time for an operation, beside its timeout, in seconds.
    patience_s = 0.0

    def __init__(self, reports: Reports, scripts: Scripts) -> None:
        self._reports = reports
        self._scripts = scripts

    def start(self) -> None:
        """Run the scripts, in their own thread."""
        self._scripts.start()

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

    def finish(self, calls: Calls) -> None:
        """Wait until all calls have ended."""
        wait(calls)


class SimulatedPace:
    """Time that the lab moves, on a :class:`~p2p.lab.LabClock`."""

    patience_s = 120.0  # its timeout is in simulated time, which may be slower than real time

    def __init__(self, reports: Reports, clock: LabClock, scripts: Scripts) -> None:
        # fixed after __init__
        self._reports = reports
        self._clock = clock
        self._scripts = scripts
        # held by the thread that moves the clock; a script that waits takes it again
        self._moving = threading.RLock()
        # guarded by _moving
        self._in_script = False

    def start(self) -> None:
        """Do nothing: the scripts run while the time is moved."""

    def wait_until(self, condition: Callable[[], object], timeout_s: float) -> bool:
        """Let time pass until ``condition()`` is true, or the time is over."""
        end_s = self._reports.time_s + timeout_s
        with self._moving:
            self._clock.settle()
            while not condition():
                if self._reports.time_s >= end_s - LEAST_STEP_S:
                    return False
                self._step(end_s)
        return True

    def finish(self, calls: Calls) -> None:
        """Let time pass until all calls have ended."""
        with self._moving:
            self._clock.settle()
            while not all(call.done() for call in calls):
                self._step(self._reports.time_s + STEP_S)

    def _step(self, end_s: float) -> None:
        """Go to the next event, but not beyond ``end_s``, and let all of it happen.

        Only one step of a script is run, since it may let time pass, and others come due in it.
        """
        step_s = min(end_s - self._reports.time_s, self._jump_s())
        if step_s > 0:
            self._clock.advance(max(step_s, LEAST_STEP_S))
        if not self._in_script:
            self._in_script = True
            try:
                self._scripts.run_next()
            finally:
                self._in_script = False
        self._clock.settle()

    def _jump_s(self) -> float:
        """Return the seconds until the next event."""
        due, script = self._clock.next_due(), self._scripts.next_due
        times = [] if due is None else [due - self._clock.monotonic()]
        if script is not None and not self._in_script:
            times.append(script - self._reports.time_s)
        return max(0.0, min(times, default=float("inf")))


def new_pace(reports: Reports, clock: Clock, scripts: Scripts) -> RealPace | SimulatedPace:
    """Return the pace of a clock."""
    if isinstance(clock, LabClock):
        return SimulatedPace(reports, clock, scripts)
    return RealPace(reports, scripts)
