"""A wall clock that tolerates jumps.

Pure. Packets carry an expiration in wall-clock time, and bonds are stored in it, but the clock of a
machine may be set at any moment: by hand, by NTP, or after a sleep. It cannot be known which of the
two readings was right, the one before the jump or the one after.

So both count. A second clock runs next to the wall clock, set from the first reading and driven by
the monotonic clock. The expiration of a packet is compared with the earlier of the two, our own
expirations count from the later, and a proof is valid by either (see
:mod:`p2p.discover.v4.bonds`). The cost is that after a jump an old packet is accepted for as long
as the jump was. That gains an attacker nothing, since only the answer to a ping of ours proves
anything.

This ends: when the two have been apart for a day, the second clock is set again from the wall
clock. By then no proof from before the jump would be valid any more, so no live node is lost; and
suspends, in which the monotonic clock stands still, do not add up.
"""

from __future__ import annotations

from p2p.inputs import Now

#: Largest difference of the two clocks that is not taken as a jump, in seconds.
MAX_APART_S = 60.0
#: Time after a jump until the wall clock alone is used, in seconds: as long as a proof lasts.
SETTLE_S = 24 * 3600.0


class WallClock:
    """Wall-clock time in seconds, with the readings before and after a jump both valid."""

    def __init__(self, now: Now) -> None:
        self._offset = now.unix - now.monotonic
        self._apart_since: float | None = None

    def readings(self, now: Now) -> tuple[float, float]:
        """Return the two possible times: the wall clock's, and the second clock's."""
        return now.unix, now.monotonic + self._offset

    def settle(self, now: Now) -> bool:
        """Whether the wall clock can be relied on. To be called about every hour.

        The result is False for a day after a call has noticed a jump. Until then, nothing should be
        dropped or written again because of the time that the clock shows.
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
        """Return the earlier of the two possible times, to decide what is too old."""
        return min(self.readings(now))

    def latest(self, now: Now) -> float:
        """Return the later of the two possible times, for the expiration of our packets."""
        return max(self.readings(now))
