"""The order in which a server takes itself down.

::

    what                                        why then
    no more connections, dials; peers are told  what was written before still goes out: half the time
    discovery and its database                  it wakes those that wait for its answers
    handlers and blocking jobs                  they have heard of the end, and may take the other half
    the I/O thread                              it has served all of them

The thread that stops the server runs it; the first line happens on ``p2p-io``. What is not done in
time is given up, and however a shutdown ends, it has told the I/O thread to end.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

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
        try:
            left = self._end_peers_and_helpers(deadline)
        finally:
            self.loop.post(self.peer_set.abort)
            self.loop.stop()
        if not self.loop.join(max(LAST_MOMENT_S, deadline - time.monotonic())):
            left.append(self.loop.name)
        return left

    def _end_peers_and_helpers(self, deadline: float) -> list[str]:
        closed = threading.Event()
        if self.loop.post(self._begin, deadline, closed):
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
