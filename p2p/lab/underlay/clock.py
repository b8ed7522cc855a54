"""Simulated time for whole networks: a clock that knows when everything is at rest.

Every loop that runs on a clock is known to it, of servers and of the network beneath them. A loop
is at rest when it sleeps and nothing was posted to it; the time of its next timer says when it will
do something by itself. Bytes under way in a network in memory are timers, too. The other threads of
the library, handlers among them, are at rest when they wait for a message or for one another
(:mod:`p2p.lab.underlay.waiting`).

So time stands still while a handler computes. One that waits for something else, such as
``time.sleep`` or a socket of its own, is given ``GRACE_S`` of real time, and then left behind. What
the kernel has for a socket shows only when its loop has woken: servers over loopback may be left
behind, too. Any thread may ask; one moves the time.
"""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, TypeVar

from p2p.clock import Deadline, SimulatedClock, finite_timeout, nonnegative_timeout
from p2p.errors import Timeout
from p2p.lab.underlay.waiting import busy_threads
from p2p.net import Loop

#: Limit on the real time until a network is at rest, in seconds.
SETTLE_S = 30.0
#: Real time that is given to handlers which wait for something of their own, in seconds.
GRACE_S = 0.25
#: Looks that only let other threads run, and the real time between those after them, in seconds.
QUICK_LOOKS = 20
PAUSE_S = 0.0005
#: Real time that a blocking call has to end before the time moves on, in seconds.
CALL_PAUSE_S = 0.002

# No thread asks for the interpreter lock within this time, many times that of a look. Where it
# meets a lock that is taken, a thread that computes may keep the interpreter lock for as long.
_NO_SWITCH_S = 0.05

_T = TypeVar("_T")


class LabClock(SimulatedClock):
    """A clock that moves from event to event, for servers and the network beneath them::

        clock = LabClock()
        with MemoryNetwork(link=Link(0.1), clock=clock) as network:
            server = p2p.Server(underlay=network.host(), clock=clock, ...)
            ...
            clock.run_for(60)

    ``start`` and ``start_unix`` are the first readings, in seconds.
    """

    def __init__(self, start: float = 1000.0, start_unix: float = 1_600_000_000.0) -> None:
        super().__init__(start, start_unix)
        # guarded by _loops_lock
        self._loops_lock = threading.Lock()
        self._loops: tuple[Loop, ...] = ()

    def on_advance(self, wake: Callable[[], None]) -> None:
        super().on_advance(wake)
        loop = getattr(wake, "__self__", None)
        if isinstance(loop, Loop):
            with self._loops_lock:
                self._loops += (loop,)

    def off_advance(self, wake: Callable[[], None]) -> None:
        super().off_advance(wake)
        loop = getattr(wake, "__self__", None)
        with self._loops_lock:
            self._loops = tuple(other for other in self._loops if other is not loop)

    def is_quiet(self) -> bool:
        """Return whether everything is at rest, and nothing is due. Does not wait."""
        interval = sys.getswitchinterval()
        sys.setswitchinterval(_NO_SWITCH_S)  # what is seen first still holds at the end
        try:
            passes = self._rest()
            if passes is None:
                return False
            loops = [loop._ident for loop in self._loops]
            return not busy_threads(loops) and not busy_threads(loops) and passes == self._rest()
        finally:
            sys.setswitchinterval(interval)

    def next_due(self) -> float | None:
        """Return the time of the next timer of a loop, or None if there is none."""
        times = [loop.sleeps_until for loop in self._loops]
        due = min((when for when in times if when is not None), default=math.inf)
        return None if due == math.inf else due

    def settle(self, timeout: float = SETTLE_S) -> None:
        """Wait until everything is at rest. Raises Timeout after ``timeout`` real seconds."""
        deadline, grace = Deadline(finite_timeout(timeout)), Deadline(GRACE_S)
        looks, before = 0, None
        while not self.is_quiet():
            passes = self._rest()
            if passes is None or passes != before:
                before, grace = passes, Deadline(GRACE_S)
            elif grace.is_over:
                return
            if deadline.is_over:
                raise Timeout(f"the network is not at rest within {timeout:g} s")
            looks += 1
            time.sleep(0.0 if looks < QUICK_LOOKS else PAUSE_S)

    def run_for(self, seconds: float) -> None:
        """Move the time by ``seconds``, from event to event, and settle at each.

        Raises Timeout as :meth:`settle` does, and ArgumentError for a negative time.
        """
        end = self.monotonic() + nonnegative_timeout(seconds, "seconds")
        self.settle()
        while self._step(end):
            self.settle()

    def run_until(self, condition: Callable[[], object], limit: float) -> bool:
        """Move the time until ``condition()`` is true, at most by ``limit`` seconds.

        It is asked at each event. Returns whether it is true.
        """
        end = self.monotonic() + nonnegative_timeout(limit, "limit")
        self.settle()
        while not condition():
            if not self._step(end):
                return False
            self.settle()
        return True

    def call(self, fn: Callable[..., _T], *args: Any) -> _T:
        """Make a call that blocks, such as ``server.stop``, and move the time until it has ended.

        It runs in a thread of its own. Returns its result, or raises its error. How far the time
        has come then depends on the threads.
        """
        with ThreadPoolExecutor(1, "p2p-lab-call") as pool:
            future = pool.submit(fn, *args)
            while not future.done():
                self.settle()
                due = self.next_due()
                if not wait([future], CALL_PAUSE_S).done and due is not None:
                    self._step(due)
            return future.result()

    def _step(self, end: float) -> bool:
        """Move to the next event, or to the end. Returns whether there was time left."""
        left = end - self.monotonic()
        if left <= 0:
            return False
        due = self.next_due()
        wanted = left if due is None else min(due - self.monotonic(), left)
        # The sum of floats may be a little short of the event, which must be due.
        self.advance(max(wanted, math.ulp(self.monotonic()) * 2))
        return True

    def _rest(self) -> Sequence[int] | None:
        """Return the passes of all loops if all are at rest, or None."""
        now, passes = self.monotonic(), []
        for loop in self._loops:
            until = loop.sleeps_until
            if until is None or until <= now:
                return None
            passes.append(loop.passes)
        return passes
