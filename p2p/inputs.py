"""Inputs of pure code: the time and a random source, so that a test decides both.

Timeouts and back-offs use the monotonic clock, which never jumps. Times that leave the process use
the wall clock: the expiration of packets (discv4, "Wire Protocol") and the times in the node
database. The wall clock may jump in either direction at any moment. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol


class Now(NamedTuple):
    """One point in time, as read from both clocks."""

    #: Seconds that never go backwards, from an arbitrary start.
    monotonic: float
    #: Seconds since 1970.
    unix: float


class RandomSource(Protocol):
    """A random source; ``random.Random`` is one."""

    def random(self) -> float:
        """Return a number from 0.0 up to, but not including, 1.0."""

    def randrange(self, stop: int, /) -> int:
        """Return an integer from 0 up to, but not including, ``stop``."""

    def sample(self, population: Sequence[Any], k: int) -> list[Any]:
        """Return ``k`` different members of ``population`` in random order."""
