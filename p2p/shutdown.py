"""The order in which a server takes itself down.

::

    what                            why then
    listener, dials, connections    what was written still goes out, within half of the time
    discovery and its database      it wakes those that wait for its answers
    handlers and blocking jobs      they have heard of the end; theirs is the other half
    the I/O thread                  it has served all of them

The thread that stops the server runs it; the first line happens on ``p2p-io``. What is not done in
time is given up, and however a shutdown ends, it has told the I/O thread to end. When the I/O
thread dies, it wakes all waiters itself; a shutdown may follow.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from p2p.dialing import Dialing
from p2p.finder import Finder
from p2p.net import Listener, Loop
from p2p.peerset import PeerSet
from p2p.session import LINGER_S
from p2p.worker import Launcher

#: What the I/O thread gets to end with when all else has used up the time.
LAST_MOMENT_S = 1.0


@dataclass(frozen=True)
class Shutdown:
    """What is to be taken down; ``None`` for what did not come to be."""

    loop: Loop
    launcher: Launcher
    peer_set: PeerSet
    dialing: Dialing
    finder: Finder | None
    listener: Listener | None

    def run(self, deadline: float) -> list[str]:
        """Take everything down; returns the names of threads that go on at ``deadline``.

        The time is that of ``time.monotonic()``. May be interrupted, and may be run twice.
        """
        left: list[str] = []
        try:
            left += self._end_peers_and_helpers(deadline)
        except BaseException:  # Ctrl-C: tell everybody, and wait for nobody
            self._end_peers_and_helpers(time.monotonic())
            raise
        finally:
            try:
                self.loop.post(self.peer_set.abort)
            finally:  # another Ctrl-C
                self.loop.stop()
        if not self.loop.join(max(LAST_MOMENT_S, deadline - time.monotonic())):
            left.append(self.loop.name)
        return left

    def crash(self, cause: BaseException, *wake: Callable[[], object]) -> None:
        """On ``p2p-io``, which is dying of ``cause``: wake whoever waits, and leave nothing open.

        Waiters come first. A step that fails, too, holds up none of the others; the last of such
        errors is raised.
        """
        steps: list[Callable[[], object]] = [partial(self.peer_set.crash, cause), *wake]
        steps += [self.dialing.stop, self.launcher.stop]
        if self.listener is not None:
            steps.append(self.listener.close)
        with ExitStack() as last_to_first:
            for step in reversed(steps):
                last_to_first.callback(step)

    def _end_peers_and_helpers(self, deadline: float) -> list[str]:
        closed = threading.Event()
        # A loop that was never started would take it, and never run it.
        if not self.loop.can_start and self.loop.post(self._begin, deadline, closed):
            closed.wait(max(0.0, deadline - time.monotonic()) / 2)
        self.launcher.stop()
        left = [] if self.finder is None else self.finder.stop(deadline)
        return left + self.launcher.join(deadline)

    def _begin(self, deadline: float, closed: threading.Event) -> None:
        if self.listener is not None:
            self.listener.close()
        self.dialing.stop()
        # Half of the time for what was written to go out, the other half for the handlers.
        linger_s = min(LINGER_S, max(0.0, deadline - time.monotonic()) / 2)
        self.peer_set.stop(linger_s, closed.set)
