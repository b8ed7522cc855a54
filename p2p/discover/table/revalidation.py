"""Revalidation: the choice of the node of the table to ping next.

Pure. Each node of a bucket is in one of two lists. The *fast* list holds nodes that are new, have
failed, or have moved; the *slow* list holds those whose last ping was answered. One random node of
each list is pinged at random times: on average every 1.5 s and every 4.5 s, for any size of the
table, so that neither our traffic nor the time of a ping reveals much about the table.

A node that answers gets one more check. A node that does not answer loses two thirds of its checks,
and is dropped when none are left: at once if it was never alive for long, after several failures in
a row otherwise.
"""

from __future__ import annotations

from p2p.discover.observer import DiscoveryObserver
from p2p.discover.table.bucket import Entry
from p2p.discover.timers import NEVER
from p2p.inputs import RandomSource

#: Longest time between two pings to nodes of the list, in seconds.
FAST_INTERVAL_S = 3.0
SLOW_INTERVAL_S = 9.0

#: Divisor of the checks of a node that did not answer.
FAILURE_DIVISOR = 3


class _List:
    """Nodes, and the time of the next ping to one of them."""

    def __init__(self, interval_s: float, random: RandomSource) -> None:
        self._interval_s = interval_s
        self._random = random
        self._entries: list[Entry] = []
        self.next_time = NEVER

    def add(self, entry: Entry, now: float) -> None:
        self._entries.append(entry)
        if self.next_time == NEVER:
            self.schedule(now)

    def remove(self, entry: Entry) -> None:
        if entry in self._entries:
            self._entries.remove(entry)
        if not self._entries:
            self.next_time = NEVER

    def schedule(self, now: float) -> None:
        self.next_time = now + self._random.random() * self._interval_s

    def pick(self) -> Entry | None:
        """Return a random node that is not being pinged; None if there is none."""
        idle = [entry for entry in self._entries if not entry.being_checked]
        return idle[self._random.randrange(len(idle))] if idle else None

    def __len__(self) -> int:
        return len(self._entries)


class Revalidation:
    """The two lists. A due entry is marked as being checked until it has passed or failed."""

    def __init__(self, random: RandomSource, observer: DiscoveryObserver | None = None) -> None:
        self._observer = observer
        self._fast = _List(FAST_INTERVAL_S, random)
        self._slow = _List(SLOW_INTERVAL_S, random)

    @property
    def deadline(self) -> float:
        """Time of the next ping, in monotonic seconds; infinity if the table is empty."""
        return min(self._fast.next_time, self._slow.next_time)

    @property
    def sizes(self) -> tuple[int, int]:
        """Numbers of nodes on the fast and on the slow list."""
        return len(self._fast), len(self._slow)

    def take_due(self, now: float) -> list[Entry]:
        """Return the nodes to ping at ``now``, at most one of each list."""
        due = []
        for one in (self._fast, self._slow):
            if one.next_time > now:
                continue
            entry = one.pick()
            if entry is not None:
                entry.being_checked = True
                due.append(entry)
            one.schedule(now)
        return due

    def add(self, entry: Entry, now: float) -> None:
        """Add a new node of a bucket."""
        self._fast.add(entry, now)

    def remove(self, entry: Entry) -> None:
        """Remove a node that has left its bucket."""
        self._fast.remove(entry)
        self._slow.remove(entry)

    def passed(self, entry: Entry, now: float) -> None:
        """Note that a node has answered."""
        entry.being_checked = False
        entry.has_moved = False
        entry.checks += 1
        self._set_live(entry, True)
        self._move(entry, self._fast, self._slow, now)

    def failed(self, entry: Entry, now: float) -> bool:
        """Note that a node has not answered. Return whether it must be dropped."""
        entry.being_checked = False
        entry.checks //= FAILURE_DIVISOR
        if entry.checks == 0:
            return True
        self._move(entry, self._slow, self._fast, now)
        return False

    def moved(self, entry: Entry, now: float) -> None:
        """Note that a node has a new endpoint, which is not proven yet."""
        self._set_live(entry, False)
        self._move(entry, self._slow, self._fast, now)

    def _set_live(self, entry: Entry, live: bool) -> None:
        old, entry.live = entry.state, live
        if self._observer is not None and entry.state is not old:
            self._observer.state(entry.node, old, entry.state)

    def _move(self, entry: Entry, source: _List, target: _List, now: float) -> None:
        size = len(source)
        source.remove(entry)
        if len(source) < size:
            target.add(entry, now)
