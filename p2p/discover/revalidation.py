"""Which node of the table to ping next, so that those in it are alive.

Pure. Each node of a bucket is in one of two lists. The *fast* one holds nodes that are new, have
failed, or have moved; the *slow* one those that answered last. Of each list one node, chosen at
random, is pinged at random times: on average every 1.5 s and every 4.5 s, whatever the table's
size, so that neither our traffic nor the moment of a ping tells much about the table.

A node that answers counts one more check; one that does not loses two thirds of them, and is
dropped when none are left: at once if it was never alive for long, after several failures in a row
if it was.
"""

from __future__ import annotations

from p2p.discover.agenda import NEVER
from p2p.discover.bucket import Entry
from p2p.randomsource import RandomSource

#: Longest time between two pings to nodes of the list, in seconds.
FAST_INTERVAL_S = 3.0
SLOW_INTERVAL_S = 9.0

#: What is left of the checks of a node that failed to answer.
FAILURE_DIVISOR = 3


class _List:
    """Nodes, and when the next of them is to be pinged."""

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
        """A node that is not being pinged, at random; None if there is none."""
        idle = [entry for entry in self._entries if not entry.being_checked]
        return idle[self._random.randrange(len(idle))] if idle else None

    def __len__(self) -> int:
        return len(self._entries)


class Revalidation:
    """The two lists. An entry that is due is marked as being checked until it passed or failed."""

    def __init__(self, random: RandomSource) -> None:
        self._fast = _List(FAST_INTERVAL_S, random)
        self._slow = _List(SLOW_INTERVAL_S, random)

    @property
    def deadline(self) -> float:
        """When the next node is due, in monotonic seconds; infinity when the table is empty."""
        return min(self._fast.next_time, self._slow.next_time)

    @property
    def sizes(self) -> tuple[int, int]:
        """How many nodes are on the fast and on the slow list."""
        return len(self._fast), len(self._slow)

    def take_due(self, now: float) -> list[Entry]:
        """The nodes to ping at ``now``, at most one of each list."""
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
        """A node has come into a bucket."""
        self._fast.add(entry, now)

    def remove(self, entry: Entry) -> None:
        """A node has left its bucket."""
        self._fast.remove(entry)
        self._slow.remove(entry)

    def passed(self, entry: Entry, now: float) -> None:
        """A node has answered."""
        entry.being_checked = False
        entry.checks += 1
        entry.live = True
        self._move(entry, self._fast, self._slow, now)

    def failed(self, entry: Entry, now: float) -> bool:
        """A node has not answered. Returns whether it is to be dropped."""
        entry.being_checked = False
        entry.checks //= FAILURE_DIVISOR
        if entry.checks == 0:
            return True
        self._move(entry, self._slow, self._fast, now)
        return False

    def moved(self, entry: Entry, now: float) -> None:
        """A node has a new endpoint, where nobody has seen it yet."""
        entry.live = False
        self._move(entry, self._slow, self._fast, now)

    def _move(self, entry: Entry, source: _List, target: _List, now: float) -> None:
        size = len(source)
        source.remove(entry)
        if len(source) < size:
            target.add(entry, now)
