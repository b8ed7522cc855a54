"""Counts of the requests of one protocol, on all connections of a server, for its metrics.

The metrics are those of go-ethereum's ``p2p/tracker``. :class:`p2p.requests.Requests` counts, in
the threads that ask and deliver; any thread reads. One lock; no clock.
"""

from __future__ import annotations

import threading

from p2p.metrics.catalog import MAX_CODES
from p2p.metrics.recorder import Recorder


class RequestTotals:
    """Requests by message code; ``MAX_CODES`` is for all codes from there."""

    def __init__(self) -> None:
        # guarded by _lock; readers copy
        self._lock = threading.Lock()
        #: Requests under way.
        self.tracked: dict[int, int] = {}
        #: Requests without a reply: their time was over, or their connection has ended.
        self.lost: dict[int, int] = {}
        #: Times from a request to its reply.
        self.waits: dict[int, Recorder] = {}
        #: Replies that were late, or unasked.
        self.stale = 0

    def begun(self, code: int) -> None:
        """Count a request that is about to be sent."""
        self._track(code, 1)

    def ended(self, code: int) -> None:
        """Count the end of a request that was not sent, or was cancelled."""
        self._track(code, -1)

    def answered(self, code: int, seconds: float) -> None:
        """Count a reply, and its time."""
        self._track(code, -1)
        code = min(code, MAX_CODES)
        with self._lock:
            recorder = self.waits.setdefault(code, Recorder())
        recorder.record(seconds)

    def gave_up(self, code: int) -> None:
        """Count a request that has no reply and gets none."""
        self._track(code, -1)
        code = min(code, MAX_CODES)
        with self._lock:
            self.lost[code] = self.lost.get(code, 0) + 1

    def strayed(self) -> None:
        """Count a reply to no request under way."""
        with self._lock:
            self.stale += 1

    def _track(self, code: int, change: int) -> None:
        code = min(code, MAX_CODES)
        with self._lock:
            self.tracked[code] = self.tracked.get(code, 0) + change
