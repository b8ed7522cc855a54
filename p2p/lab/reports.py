"""Reports of a lab: its events with their time, and a wait for the next change.

Any thread may report and wait; nothing is kept but what subscribers have not read.
"""

from __future__ import annotations

from typing import Any

from p2p.clock import Clock
from p2p.feed import Feed, Subscription
from p2p.lab.event import LabEvent, LabEventType
from p2p.latch import Condition

#: Default limit on the events that a subscription keeps.
CAPACITY = 10_000


class Reports:
    """The events of one lab. Their times begin with its construction."""

    def __init__(self, clock: Clock) -> None:
        # fixed after __init__
        self._clock = clock
        self._start = clock.monotonic()
        self._feed: Feed[LabEvent] = Feed()
        # guarded by _changed
        self._changed = Condition()
        self._version = 0

    @property
    def time_s(self) -> float:
        """Seconds since the start, by the clock of the lab."""
        return self._clock.monotonic() - self._start

    @property
    def version(self) -> int:
        """Number of changes so far, for :meth:`wait`."""
        return self._version

    def begin(self) -> None:
        """Publish from this process, and from no fork of it."""
        self._feed.begin()

    def subscribe(self, capacity: int) -> Subscription[LabEvent]:
        """Return a subscription of all later events."""
        return self._feed.subscribe(capacity)

    def report(self, kind: LabEventType, **values: Any) -> None:
        """Publish an event of this moment, and wake all waits. ``values`` are its fields."""
        if self._feed.has_subscriptions:
            self._feed.publish(LabEvent(self.time_s, kind, **values))
        self.change()

    def change(self) -> None:
        """Wake all waits."""
        with self._changed:
            self._version += 1
            self._changed.notify_all()

    def wait(self, version: int, timeout_s: float) -> None:
        """Wait, for ``timeout_s`` real seconds at most, until :attr:`version` is another one."""
        with self._changed:
            self._changed.wait_for(lambda: self._version != version, timeout_s)

    def close(self) -> None:
        """End all subscriptions once their events have been read, and wake all waits."""
        self._feed.close()
        self.change()
