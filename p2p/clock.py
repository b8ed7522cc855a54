"""Clocks as arguments: the system's clock, or one that a test moves.

Durations and deadlines are float seconds on the monotonic scale; names of wall-clock values end in
``_unix``. Any thread may read a clock. Loops get the time to sleep from it, so that a simulated
clock wakes them when it is moved and never makes them wait in real time.
"""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Callable
from typing import Protocol

from p2p.arguments import NUMBER, check_type, wrong, wrong_type

# Threads wait no longer than threading.TIMEOUT_MAX, which is 49 days on some systems.
_MAX_WAIT_S = threading.TIMEOUT_MAX / 2


def checked_timeout(timeout: object, name: str = "timeout") -> float | None:
    """Return a caller's timeout in seconds that a thread can wait; None, or infinity, is no limit.

    Negative counts as 0. Raises ArgumentError for anything but a number; ``name`` is that of the
    argument.
    """
    if timeout is None or timeout == math.inf:
        return None
    if not isinstance(timeout, NUMBER) or isinstance(timeout, bool):
        raise wrong_type(name, timeout, "a number of seconds")
    if timeout != timeout:
        raise wrong(name, timeout, "a number of seconds")
    return float(min(timeout, _MAX_WAIT_S))


def finite_timeout(timeout: object, name: str = "timeout") -> float:
    """Return the same for a timeout that must be finite. Raises ArgumentError for None, too."""
    seconds = checked_timeout(timeout, name)
    if seconds is not None:
        return seconds
    error = wrong_type if timeout is None else wrong
    raise error(name, timeout, "a finite number of seconds")


def nonnegative_timeout(timeout: object, name: str = "timeout") -> float:
    """Return the same for one that must be from 0 up. Raises ArgumentError if negative, too."""
    seconds = finite_timeout(timeout, name)
    if seconds < 0:
        raise wrong(name, timeout, "at least 0 seconds")
    return seconds


def _check_finite(name: str, value: object, wanted: str) -> None:
    """Raise ArgumentError unless the value is a finite number; ``wanted`` describes it."""
    check_type(name, value, NUMBER, wanted)
    assert isinstance(value, NUMBER)
    if not abs(value) <= sys.float_info.max:
        raise wrong(name, value, f"{wanted}, finite")


class Deadline:
    """The end of a wait in real time, ``timeout_s`` seconds from now; None is no limit."""

    __slots__ = ("_when",)

    def __init__(self, timeout_s: float | None) -> None:
        self._when = None if timeout_s is None else time.monotonic() + timeout_s

    @property
    def left_s(self) -> float | None:
        """Seconds left, at least 0; None for no limit."""
        return None if self._when is None else max(0.0, self._when - time.monotonic())

    def left_at_least(self, least_s: float) -> float:
        """Seconds that are left, but ``least_s`` at least; the deadline has an end."""
        assert self._when is not None
        return max(least_s, self._when - time.monotonic())

    def left_at_most(self, most_s: float) -> float:
        """Seconds that are left, but ``most_s`` at most."""
        left_s = self.left_s
        return most_s if left_s is None else min(left_s, most_s)

    def part(self, fraction: float) -> Deadline:
        """Return the end of a part of the time that is left, such as 1/2."""
        left_s = self.left_s
        return Deadline(None if left_s is None else left_s * fraction)

    @property
    def is_over(self) -> bool:
        """Whether no time is left."""
        return self._when is not None and time.monotonic() >= self._when


class Clock(Protocol):
    """Interface of a clock, as the package uses it."""

    def monotonic(self) -> float:
        """Return seconds that never go backwards, from an arbitrary start."""

    def time_unix(self) -> float:
        """Return the seconds since 1970 by the wall clock, which may jump."""

    def sleep_for(self, deadline: float) -> float | None:
        """Return the real seconds that a loop may sleep to wake at ``deadline``.

        None: until it is woken by a function given to :meth:`on_advance`.
        """

    def on_advance(self, wake: Callable[[], None]) -> None:
        """Call ``wake``, from any thread, whenever the time is moved by a test."""

    def off_advance(self, wake: Callable[[], None]) -> None:
        """Remove a function given to :meth:`on_advance`."""


class SystemClock:
    """The system's clock."""

    monotonic = staticmethod(time.monotonic)
    time_unix = staticmethod(time.time)

    def sleep_for(self, deadline: float) -> float | None:
        return max(0.0, deadline - time.monotonic())

    def on_advance(self, wake: Callable[[], None]) -> None:
        """Do nothing: this clock is never moved by a test."""

    def off_advance(self, wake: Callable[[], None]) -> None:
        """Do nothing, as :meth:`on_advance` does."""

    def __repr__(self) -> str:
        return "SystemClock()"


#: The default clock; it has no state.
SYSTEM_CLOCK = SystemClock()


class SimulatedClock:
    """A clock that stands still until :meth:`advance` moves it.

    ``start`` and ``start_unix`` are the first readings, in seconds.
    """

    def __init__(self, start: float = 1000.0, start_unix: float = 1_600_000_000.0) -> None:
        _check_finite("start", start, "a number of seconds")
        _check_finite("start_unix", start_unix, "a number of seconds since 1970")
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
        """Move both scales forward by ``seconds``, and wake every loop that uses this clock.

        Raises ArgumentError for anything but a finite number from 0 up. Any thread.
        """
        _check_finite("seconds", seconds, "a number of seconds")
        if seconds < 0:
            raise wrong("seconds", seconds, "at least 0: a clock does not go backwards")
        with self._lock:
            self._elapsed += seconds
            wakers = list(self._wakers)
        for wake in wakers:
            wake()

    def __repr__(self) -> str:
        return f"<SimulatedClock at {self.monotonic():g} s>"
