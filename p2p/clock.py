"""Time as a thing that can be passed in: the machine's clock, or one that a test moves.

Durations and deadlines are float seconds on the monotonic scale; wall-clock values end in
``_unix``. Any thread may read a clock. Loops ask it how long to sleep, so that a simulated clock
wakes them when it is moved and never makes them wait in real time.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import Protocol

from p2p.errors import ConfigError

# Threads wait no longer than threading.TIMEOUT_MAX, which is 49 days on some systems.
_MAX_WAIT_S = threading.TIMEOUT_MAX / 2


def checked_timeout(timeout: object) -> float | None:
    """A caller's time-out as seconds that a thread can wait; None (or infinity) is without end.

    What is negative is no time at all. Raises ConfigError for what is no number.
    """
    if timeout is None or timeout == math.inf:
        return None
    if not isinstance(timeout, (int, float)) or timeout != timeout:
        raise ConfigError(f"timeout: wanted a number of seconds, not {timeout!r}")
    return float(min(timeout, _MAX_WAIT_S))


def finite_timeout(timeout: object) -> float:
    """The same for a time-out that has to have an end."""
    seconds = checked_timeout(timeout)
    if seconds is None:
        raise ConfigError(f"timeout: wanted a finite number of seconds, not {timeout!r}")
    return seconds


class Clock(Protocol):
    """What the package asks of a clock."""

    def monotonic(self) -> float:
        """Seconds that never go backwards, from an arbitrary start."""

    def time_unix(self) -> float:
        """Seconds since 1970, as the wall clock has them; may jump."""

    def sleep_for(self, deadline: float) -> float | None:
        """How long a loop may sleep, in real seconds, if it is to wake at ``deadline``."""

    def on_advance(self, wake: Callable[[], None]) -> None:
        """Have ``wake`` called, from any thread, whenever time is moved by hand."""

    def off_advance(self, wake: Callable[[], None]) -> None:
        """Forget a function given to :meth:`on_advance`."""


class SystemClock:
    """The machine's own clock."""

    monotonic = staticmethod(time.monotonic)
    time_unix = staticmethod(time.time)

    def sleep_for(self, deadline: float) -> float | None:
        return max(0.0, deadline - time.monotonic())

    def on_advance(self, wake: Callable[[], None]) -> None:
        """Nothing: this clock is never moved by hand."""

    def off_advance(self, wake: Callable[[], None]) -> None:
        """Nothing: see :meth:`on_advance`."""


class SimulatedClock:
    """A clock that stands still until :meth:`advance` moves it.

    ``start`` and ``start_unix`` are the first readings, in seconds.
    """

    def __init__(self, start: float = 1000.0, start_unix: float = 1_600_000_000.0) -> None:
        self._lock = threading.Lock()
        # guarded by _lock
        self._elapsed = 0.0
        self._wakers: list[Callable[[], None]] = []
        # fixed after __init__
        self._start = start
        self._start_unix = start_unix

    def monotonic(self) -> float:
        return self._start + self._elapsed

    def time_unix(self) -> float:
        return self._start_unix + self._elapsed

    def sleep_for(self, deadline: float) -> float | None:
        return 0.0 if deadline <= self.monotonic() else None

    def on_advance(self, wake: Callable[[], None]) -> None:
        with self._lock:
            self._wakers.append(wake)

    def off_advance(self, wake: Callable[[], None]) -> None:
        with self._lock:
            self._wakers = [other for other in self._wakers if other != wake]

    def advance(self, seconds: float) -> None:
        """Move both scales forward and wake every loop that runs on this clock."""
        if seconds < 0:
            raise ValueError("a clock does not go backwards")
        with self._lock:
            self._elapsed += seconds
            wakers = list(self._wakers)
        for wake in wakers:
            wake()
