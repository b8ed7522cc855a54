"""Requests under way on one connection: their ids, their deadlines, and counts of their ends.

Pure: ``now`` is an argument. :class:`~p2p.requests.front.Requests` holds the lock around it. Ids
are 1, 2, 3 and so on, in the order of the requests, so that a capture is easy to read; a reply is
only taken for a request of the same connection, so an id need not be hard to guess.
"""

from __future__ import annotations

import heapq
import math
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")

#: Limit on the ids of requests that ended without a reply, kept to tell late from unasked replies.
MAX_OVERDUE = 1024


@dataclass(frozen=True, slots=True)
class CodeCounters:
    """Requests of one message code: how many were started, and how they ended.

    ``lost`` are those whose connection ended first. ``mean_round_trip_s`` and
    ``max_round_trip_s`` are seconds from request to reply, of those answered; 0 if there are none.
    """

    started: int = 0
    answered: int = 0
    timed_out: int = 0
    cancelled: int = 0
    lost: int = 0
    mean_round_trip_s: float = 0.0
    max_round_trip_s: float = 0.0

    @property
    def pending(self) -> int:
        """Number of requests that wait for a reply."""
        return self.started - self.answered - self.timed_out - self.cancelled - self.lost


@dataclass(frozen=True, slots=True)
class RequestCounters:
    """Requests on one connection so far, and replies to none of them.

    ``late`` are replies to requests that had timed out or were cancelled, ``unasked`` replies with
    any other id: of no request, or of one that had its reply. ``by_code`` has the requests of each
    message code; the properties are sums over all codes.
    """

    late: int
    unasked: int
    by_code: Mapping[int, CodeCounters]

    @property
    def started(self) -> int:
        """Number of requests sent."""
        return sum(counters.started for counters in self.by_code.values())

    @property
    def answered(self) -> int:
        """Number of requests that had a reply in time."""
        return sum(counters.answered for counters in self.by_code.values())

    @property
    def timed_out(self) -> int:
        """Number of requests without a reply in time."""
        return sum(counters.timed_out for counters in self.by_code.values())

    @property
    def cancelled(self) -> int:
        """Number of requests that the program cancelled."""
        return sum(counters.cancelled for counters in self.by_code.values())

    @property
    def lost(self) -> int:
        """Number of requests whose connection ended first."""
        return sum(counters.lost for counters in self.by_code.values())

    @property
    def pending(self) -> int:
        """Number of requests that wait for a reply."""
        return sum(counters.pending for counters in self.by_code.values())


@dataclass(slots=True)
class _Tally:
    """The running counts of one code."""

    started: int = 0
    answered: int = 0
    timed_out: int = 0
    cancelled: int = 0
    lost: int = 0
    round_trips_s: float = 0.0
    max_round_trip_s: float = 0.0

    def counters(self) -> CodeCounters:
        mean_s = self.round_trips_s / self.answered if self.answered else 0.0
        return CodeCounters(self.started, self.answered, self.timed_out, self.cancelled, self.lost,
                            mean_s, self.max_round_trip_s)  # fmt: skip


@dataclass(slots=True)
class Entry(Generic[T]):
    """A request under way; ``owner`` is what the caller has begun it with."""

    owner: T
    code: int
    begun_at: float
    deadline: float


@dataclass
class Pending(Generic[T]):
    """The requests under way, by id."""

    entries: dict[int, Entry[T]] = field(default_factory=dict)
    _last_id: int = 0
    # (deadline, id), the first to expire at the front; those that have ended stay in until then
    _deadlines: list[tuple[float, int]] = field(default_factory=list)
    _overdue: OrderedDict[int, None] = field(default_factory=OrderedDict)
    _tallies: dict[int, _Tally] = field(default_factory=dict)
    _late: int = 0
    _unasked: int = 0

    def next_id(self) -> int:
        """Return an id that no request has had."""
        self._last_id += 1
        return self._last_id

    def begin(self, request_id: int, owner: T, code: int, now: float, deadline: float) -> None:
        """Note a request that is about to be sent; ``deadline`` may be infinity."""
        self.entries[request_id] = Entry(owner, code, now, deadline)
        if deadline < math.inf:
            self._drop_ended()
            heapq.heappush(self._deadlines, (deadline, request_id))
        self._tally(code).started += 1

    def withdraw(self, request_id: int) -> bool:
        """Undo :meth:`begin`: the request could not be sent; returns whether it was under way."""
        entry = self.entries.pop(request_id, None)
        if entry is not None:
            self._tally(entry.code).started -= 1
        return entry is not None

    def answer(self, request_id: int, now: float) -> Entry[T] | None:
        """Note a reply and return its request; None, and counted, if it is late or unasked."""
        entry = self.entries.pop(request_id, None)
        if entry is None:
            self._count_stray(request_id)
            return None
        tally, round_trip_s = self._tally(entry.code), now - entry.begun_at
        tally.answered += 1
        tally.round_trips_s += round_trip_s
        tally.max_round_trip_s = max(tally.max_round_trip_s, round_trip_s)
        return entry

    def cancel(self, request_id: int) -> bool:
        """End a request without a reply; returns whether it was under way."""
        entry = self.entries.pop(request_id, None)
        if entry is not None:
            self._tally(entry.code).cancelled += 1
            self._keep_overdue(request_id)
        return entry is not None

    def expire(self, now: float) -> list[Entry[T]]:
        """End the requests whose deadline has passed, and return them."""
        expired = []
        while self._deadlines and self._deadlines[0][0] <= now:
            _, request_id = heapq.heappop(self._deadlines)
            entry = self.entries.pop(request_id, None)
            if entry is not None:
                self._tally(entry.code).timed_out += 1
                self._keep_overdue(request_id)
                expired.append(entry)
        return expired

    def end(self) -> list[Entry[T]]:
        """End all requests, since the connection has ended, and return them."""
        ended = list(self.entries.values())
        for entry in ended:
            self._tally(entry.code).lost += 1
        self.entries.clear()
        self._deadlines.clear()
        return ended

    def counters(self) -> RequestCounters:
        """Return the counts at this moment."""
        by_code = {code: tally.counters() for code, tally in self._tallies.items()}
        return RequestCounters(self._late, self._unasked, by_code)

    def _tally(self, code: int) -> _Tally:
        return self._tallies.setdefault(code, _Tally())

    def _count_stray(self, request_id: int) -> None:
        if request_id in self._overdue:
            del self._overdue[request_id]  # a second reply to it is unasked
            self._late += 1
        else:
            self._unasked += 1

    def _keep_overdue(self, request_id: int) -> None:
        self._overdue[request_id] = None
        if len(self._overdue) > MAX_OVERDUE:
            self._overdue.popitem(last=False)

    def _drop_ended(self) -> None:
        """Keep the heap from growing by requests that are answered long before their deadline."""
        if len(self._deadlines) > 2 * len(self.entries) + 16:
            self._deadlines = [one for one in self._deadlines if one[1] in self.entries]
            heapq.heapify(self._deadlines)
