"""The first searches of nodes for each other: only some at a time.

A search takes a tenth of a second of a processor, and a network comes together by one search of
each node. If all searched at once, answers would come after their time limits, the bootnode's first
of all, and would be asked for again: the network would take minutes. On simulated time nothing is
late, so there is no limit.

A runner tells on its thread, ``p2p-disc``, that its search is over, and begins that of another.
"""

from __future__ import annotations

import threading

from p2p.clock import Clock, SimulatedClock
from p2p.discover.engine import Engine
from p2p.discover.runner import Runner
from p2p.inputs import Now
from p2p.lab.topology import MAX_NODES

#: Searches at a time; each asks three nodes at a time.
AT_ONCE = 16


class Searches:
    """The first searches of the nodes of a lab, by the runners of their protocols. Any thread."""

    def __init__(self, clock: Clock) -> None:
        # fixed after __init__
        self._limit = 2 * MAX_NODES if isinstance(clock, SimulatedClock) else AT_ONCE
        # guarded by _lock
        self._lock = threading.Lock()
        self._waiting: dict[Runner, None] = {}
        self._running: set[Runner] = set()

    def add(self, runner: Runner) -> None:
        """Have a runner search soon, unless it has no need to, or has ended."""
        with self._lock:
            if runner.is_ready:
                return
            self._waiting[runner] = None
        self._begin()

    def over(self, runner: Runner) -> None:
        """Note that a runner needs no search: it has ended one, knows many nodes, or is stopped."""
        with self._lock:
            self._waiting.pop(runner, None)
            self._running.discard(runner)
        self._begin()

    def _begin(self) -> None:
        begun = []
        with self._lock:
            while self._waiting and len(self._running) < self._limit:
                runner = next(iter(self._waiting))
                del self._waiting[runner]
                self._running.add(runner)
                begun.append(runner)
        for runner in begun:
            runner.post(_search)


def _search(engine: Engine, now: Now) -> None:
    engine.refresh(now)
