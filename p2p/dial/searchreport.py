"""The log line "looking for peers", for users whose server has few peers.

:class:`p2p.dial.dials.Dials` owns the report, on ``p2p-io``. It counts the dials and the refused
candidates, and logs the counts since the last line while few peers are dialed ones. A line that
tells nothing new comes after longer and longer pauses.
"""

from __future__ import annotations

import logging
from collections import Counter

from p2p.dial.scheduler import DialScheduler
from p2p.net import Loop, Timer
from p2p.peers.peerset import PeerSet

#: Interval of the line at least, and the number of dialed peers that ends it.
SEARCH_REPORT_INTERVAL_S = 10.0
SEARCH_REPORT_PEERS = 3
#: Longest pause between two lines without news, in intervals: ten minutes.
MAX_PAUSE = 60


class SearchReport:
    """Logs "looking for peers" every SEARCH_REPORT_INTERVAL_S with news, while peers are few.

    News are another number of peers or static nodes, the first dial, another reason of a refusal.
    """

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
        # since the last line
        self.refused: Counter[str] = Counter()
        self._tried = 0
        # since the beginning of the search
        self._seen: set[object] = set()
        self._pause = self._waited = 0  # in intervals

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
        if not self._is_searching:
            self._seen.clear()
        elif self._is_due():
            self._log_line()
        else:
            return
        self._tried = 0
        self.refused.clear()

    @property
    def _is_searching(self) -> bool:
        scheduler = self._scheduler
        return scheduler.dialed_peers < SEARCH_REPORT_PEERS and scheduler.wants_more

    def _is_due(self) -> bool:
        """Whether there are news, or the pause without them is over; it is doubled then."""
        numbers = (len(self._peer_set.peers), self._scheduler.static_count)
        news = {numbers, self._tried > 0, *self.refused} - self._seen
        self._waited += 1
        if not news and self._waited < self._pause:
            return False
        self._pause = min(2 * self._pause, MAX_PAUSE) if not news else 2
        self._waited = 0
        self._seen = {each for each in self._seen if not isinstance(each, tuple)} | news | {numbers}
        return True

    def _log_line(self) -> None:
        refused = ", ".join(f"{name} {count}" for name, count in sorted(self.refused.items()))
        self._log.info(
            "looking for peers: %d connected, %d tried, %d static; candidates refused: %s",
            len(self._peer_set.peers),
            self._tried,
            self._scheduler.static_count,
            refused or "none",
        )
