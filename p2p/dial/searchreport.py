"""The log line "looking for peers", for users whose server has few peers.

:class:`p2p.dial.dials.Dials` owns the report, on ``p2p-io``. It counts the dials and the refused
candidates, and logs the counts since the last line while few peers are dialed ones.
"""

from __future__ import annotations

import logging
from collections import Counter

from p2p.dial.scheduler import DialScheduler
from p2p.net import Loop, Timer
from p2p.peers.peerset import PeerSet

#: Interval of the line, and the number of dialed peers that ends it.
SEARCH_REPORT_INTERVAL_S = 10.0
SEARCH_REPORT_PEERS = 3


class SearchReport:
    """Logs "looking for peers" every SEARCH_REPORT_INTERVAL_S, while peers are few."""

    def __init__(
        self, loop: Loop, peer_set: PeerSet, scheduler: DialScheduler, log: logging.Logger
    ) -> None:
        # fixed after __init__
        self._loop = loop
        self._peer_set = peer_set
        self._scheduler = scheduler
        self._log = log
        # owned by p2p-io
        self._timer: Timer | None = None
        # since the last report
        self.refused: Counter[str] = Counter()
        self._tried = 0

    def start(self) -> None:
        """Begin to report."""
        self._timer = self._loop.call_later(SEARCH_REPORT_INTERVAL_S, self._report)

    def stop(self) -> None:
        """End the reports."""
        if self._timer is not None:
            self._timer.cancel()

    def dial_done(self) -> None:
        """Count a dial that has ended."""
        self._tried += 1

    def candidate_refused(self, reason: str) -> None:
        """Count a candidate that is not dialed; ``reason`` is a short name, often of an error."""
        self.refused[reason] += 1

    def _report(self) -> None:
        self.start()
        scheduler = self._scheduler
        if scheduler.dialed_peers < SEARCH_REPORT_PEERS and scheduler.wants_more:
            refused = ", ".join(f"{name} {count}" for name, count in sorted(self.refused.items()))
            self._log.info(
                "looking for peers: %d connected, %d tried, %d static; candidates refused: %s",
                len(self._peer_set.peers),
                self._tried,
                scheduler.static_count,
                refused or "none",
            )
        self._tried = 0
        self.refused.clear()
