"""The lower bound of a waiting time, which falls as time passes.

Pure. Specification: discv5-theory, "Waiting-Time Lower Bound": a new waiting time must not improve
on an earlier one by more than the elapsed time, or it would pay to ask for new tickets again and
again until the cache happens to look favorable.
"""

from __future__ import annotations

import math
from typing import NamedTuple

#: Fall of a bound, in seconds for each second. A waiting time is the sum of two bounded components,
#: which may fall at the same time; at half the speed each, the sum keeps to the rule.
FALL_PER_S = 0.5


class LowerBound(NamedTuple):
    """A component of a waiting time, ``wait_s`` seconds, as computed at ``since`` (monotonic)."""

    wait_s: float
    since: float

    def at(self, now: float) -> float:
        """Return the bound at ``now``, in seconds; 0 or less if there is none any more."""
        return self.wait_s - (now - self.since) * FALL_PER_S

    def raised(self, wait_s: float, now: float) -> LowerBound:
        """Return the bound after ``wait_s`` was computed at ``now``."""
        return LowerBound(wait_s, now) if wait_s > self.at(now) else self


#: Bound of a service, or of an address, without an earlier request.
NO_BOUND = LowerBound(0.0, -math.inf)
