"""Fair shares of a rate of bytes: a token bucket for all members, and one for each.

Pure: time is an argument, in monotonic seconds. A member asks before it moves bytes, and is granted
a turn of some bytes, or waits in a queue for the next one. Turns are given in order, each of the
same size, so members that want as much as they can get move the same number of bytes, and a member
that wants less is never behind more than one turn of each other. Nothing is dropped.

Over any time of t seconds no more than ``rate * t`` bytes and one burst are granted.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable

#: Seconds of a rate that make a turn: short enough for twenty members to have theirs in a second.
TURN_S = 0.05
#: Limits of a turn in bytes: fewer make the system calls dear, more gain nothing.
MIN_TURN_BYTES, MAX_TURN_BYTES = 512, 65_536
#: Seconds of a rate that may pass at once after a pause.
BURST_S = 0.25
# Tokens are sums of floats.
_TOLERANCE = 1e-6


class TokenBucket:
    """Tokens that come in at ``rate`` a second, up to ``burst``. It begins full."""

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._at = now

    def has(self, number: float, now: float) -> bool:
        """Whether there are so many tokens at ``now``."""
        self._refill(now)
        return self._tokens >= number - _TOLERANCE

    def take(self, number: float, now: float) -> None:
        """Remove tokens."""
        self._refill(now)
        self._tokens -= number

    def give_back(self, number: float) -> None:
        """Return tokens that were removed and not used."""
        self._tokens += number

    def ready_at(self, number: float) -> float:
        """Return the time at which there are so many tokens, if none is taken until then."""
        return self._at + max(0.0, number - self._tokens) / self._rate

    def _refill(self, now: float) -> None:
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now


class Member:
    """A user of the rate. ``on_turn`` is for the owner of the shares, who calls it."""

    __slots__ = ("_bucket", "_has_left", "_has_waited", "granted", "is_waiting", "on_turn")

    def __init__(self, on_turn: Callable[[], object], bucket: TokenBucket | None) -> None:
        self.on_turn = on_turn
        #: Bytes of its turn, until it is settled.
        self.granted = 0
        #: Whether it waits for a turn.
        self.is_waiting = False
        self._bucket = bucket
        self._has_waited = False
        self._has_left = False

    def take_waited(self) -> bool:
        """Return whether it waits now, or has waited for a turn since the last call."""
        waited, self._has_waited = self._has_waited or self.is_waiting, False
        return waited


class FairShares:
    """Shares ``rate`` among all members, each with at most ``rate_each``; None is no limit."""

    def __init__(self, rate: float | None, rate_each: float | None, now: float) -> None:
        rates = [each for each in (rate, rate_each) if each is not None]
        self.turn_bytes = int(min(max(min(rates) * TURN_S, MIN_TURN_BYTES), MAX_TURN_BYTES))
        self._rate_each = rate_each
        self._bucket = None if rate is None else self._new_bucket(rate, now)
        # Members that wait for the rate of all, and those that wait for their own before.
        self._queue: deque[Member] = deque()
        self._sleeping: list[tuple[float, int, Member]] = []
        self._slept = 0
        # Members among these that have left: never more than half, or each connection that ends
        # would be kept until its turn, at a low rate for minutes.
        self._gone = 0

    def add(self, on_turn: Callable[[], object], now: float) -> Member:
        """Return a new member."""
        each = self._rate_each
        return Member(on_turn, None if each is None else self._new_bucket(each, now))

    def remove(self, member: Member) -> None:
        """Give up a member and its turn."""
        self.settle(member, 0)
        self._gone += member.is_waiting
        member._has_left, member.is_waiting = True, False
        if 2 * self._gone > len(self._queue) + len(self._sleeping):
            self._drop_gone()

    def ask(self, member: Member, now: float) -> int:
        """Return the bytes that the member may move now, which it settles then.

        With 0 it waits: :meth:`poll` returns it when it may ask again, and gets its turn.
        """
        if member.granted or member.is_waiting:
            return member.granted
        own = member._bucket
        if own is not None and not own.has(self.turn_bytes, now):
            self._slept += 1
            entry = (own.ready_at(self.turn_bytes), self._slept, member)
            heapq.heappush(self._sleeping, entry)
        elif self._queue or not self._has_turn(now):
            self._queue.append(member)
        else:
            return self._grant(member, now)
        member.is_waiting = True
        return 0

    def settle(self, member: Member, used: int) -> None:
        """End the turn of a member that has moved ``used`` bytes; the rest is returned."""
        rest, member.granted = member.granted - used, 0
        for bucket in (self._bucket, member._bucket):
            if bucket is not None:
                bucket.give_back(rest)

    def poll(self, now: float) -> list[Member]:
        """Return the members whose turn it is; each has its grant."""
        while self._sleeping and self._sleeping[0][0] <= now:
            self._queue.append(heapq.heappop(self._sleeping)[2])
        turns = []
        while self._queue and self._has_turn(now):
            member = self._queue.popleft()
            if member._has_left:
                self._gone -= 1
            else:
                member.is_waiting, member._has_waited = False, True
                self._grant(member, now)
                turns.append(member)
        return turns

    @property
    def deadline(self) -> float | None:
        """Time of the next :meth:`poll`; None if no member waits."""
        times = [self._sleeping[0][0]] if self._sleeping else []
        if self._queue and self._bucket is not None:
            times.append(self._bucket.ready_at(self.turn_bytes))
        return min(times, default=None)

    def _drop_gone(self) -> None:
        self._queue = deque(member for member in self._queue if not member._has_left)
        self._sleeping = [entry for entry in self._sleeping if not entry[2]._has_left]
        heapq.heapify(self._sleeping)
        self._gone = 0

    def _new_bucket(self, rate: float, now: float) -> TokenBucket:
        return TokenBucket(rate, max(rate * BURST_S, self.turn_bytes), now)

    def _has_turn(self, now: float) -> bool:
        return self._bucket is None or self._bucket.has(self.turn_bytes, now)

    def _grant(self, member: Member, now: float) -> int:
        member.granted = self.turn_bytes
        for bucket in (self._bucket, member._bucket):
            if bucket is not None:
                bucket.take(self.turn_bytes, now)
        return member.granted
