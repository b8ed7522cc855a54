"""A wall clock that may jump, made harmless.

Pure. Packets carry an expiration in wall-clock time, and bonds are remembered in it, but a machine
may have its clock set at any moment: by hand, by NTP, or after a sleep. Which of the two readings
was right, the one before the jump or the one after, cannot be known.

So both count. Next to the wall clock runs a second one, set once from the first reading and driven
by the monotonic clock. What is judged by its age is judged by the earlier of the two, what is
promised for the future counts from the later. The price is that after a jump an old packet passes
as fresh for as long as the jump was; that gains a stranger nothing, since no packet but the answer
to a ping of ours proves anything (see :mod:`p2p.discover.bond`).
"""

from __future__ import annotations

from p2p.discover.now import Now


class WallClock:
    """Wall-clock time in seconds, with the readings before and after a jump both in force."""

    def __init__(self, now: Now) -> None:
        self._offset = now.unix - now.monotonic

    def earliest(self, now: Now) -> float:
        """The earlier of what the time may be: for telling what is too old."""
        return min(now.unix, now.monotonic + self._offset)

    def latest(self, now: Now) -> float:
        """The later of what the time may be: for telling others until when a packet is valid."""
        return max(now.unix, now.monotonic + self._offset)
