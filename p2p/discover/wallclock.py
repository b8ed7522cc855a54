"""A wall clock that may jump, made harmless.

Pure. Packets carry an expiration in wall-clock time, and bonds are remembered in it, but a machine
may have its clock set at any moment: by hand, by NTP, or after a sleep. Which of the two readings
was right, the one before the jump or the one after, cannot be known.

So both count. Next to the wall clock runs a second one, set from the first reading and driven by
the monotonic clock. What expires is judged by the earlier of the two, what is promised for the
future counts from the later, and a proof counts by either (see :mod:`p2p.discover.bond`). The price
is that after a jump an old packet passes as fresh for as long as the jump was; that gains a
stranger nothing, since no packet but the answer to a ping of ours proves anything.

Not for ever: when the two have been apart for a day, the second clock is set anew from the wall
clock. By then nothing that was remembered before the jump would count any more, so that nobody
live is lost; and suspends, in which the monotonic clock stands still, do not add up.
"""

from __future__ import annotations

from p2p.discover.now import Now

#: How far apart the two clocks may be without anybody having set one, in seconds.
MAX_APART_S = 60.0
#: After how long apart the wall clock is believed, in seconds: as long as a proof lasts.
SETTLE_S = 24 * 3600.0


class WallClock:
    """Wall-clock time in seconds, with the readings before and after a jump both in force."""

    def __init__(self, now: Now) -> None:
        self._offset = now.unix - now.monotonic
        self._apart_since: float | None = None

    def readings(self, now: Now) -> tuple[float, float]:
        """Both of what the time may be."""
        return now.unix, now.monotonic + self._offset

    def settle(self, now: Now) -> bool:
        """Whether the wall clock is beyond doubt. To be called about every hour.

        It is not for a day after a call has found it set: until then nothing should be forgotten,
        or written anew, because of the time it shows.
        """
        wall, other = self.readings(now)
        if abs(wall - other) > MAX_APART_S:
            if self._apart_since is None:
                self._apart_since = now.monotonic
            if now.monotonic - self._apart_since < SETTLE_S:
                return False
            self._offset = now.unix - now.monotonic
        self._apart_since = None
        return True

    def earliest(self, now: Now) -> float:
        """The earlier of what the time may be: for telling what is too old."""
        return min(self.readings(now))

    def latest(self, now: Now) -> float:
        """The later of what the time may be: for telling others until when a packet is valid."""
        return max(self.readings(now))
