"""The latest dials with their outcomes, from what the server reports.

``p2p-io`` adds to a bounded list, ``p2p-monitor`` makes rows of it.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from p2p.clock import Clock
from p2p.enode import Node
from p2p.monitor.shown import text

if TYPE_CHECKING:
    from p2p.dial.attempts import DialAttempt

#: Dials that the page has, the latest ones.
MAX_DIALS = 100
#: Reports that wait for p2p-monitor; later ones are dropped.
_MAX_WAITING = 4096


class Dials:
    """The rows of dials, by number."""

    def __init__(self, clock: Clock) -> None:
        # fixed after __init__
        self._clock = clock
        # added to by p2p-io
        self._reports: deque[tuple[Node, DialAttempt | None, float]] = deque()
        # owned by p2p-monitor
        self.rows: dict[str, dict[str, Any]] = {}
        self._last = 0

    def report(self, node: Node, attempt: DialAttempt | None) -> None:
        """Note the beginning of a dial, or its end with an attempt. ``p2p-io``."""
        if len(self._reports) < _MAX_WAITING:
            self._reports.append((node, attempt, self._clock.time_unix()))

    def update(self) -> None:
        """Use the reports since the last call. ``p2p-monitor``."""
        for _ in range(len(self._reports)):
            node, attempt, t = self._reports.popleft()
            if attempt is None:
                self._begin(node, t)
            else:
                row = self._under_way(node) or self._begin(node, t)
                row |= _end_of(attempt)

    def _under_way(self, node: Node) -> dict[str, Any] | None:
        own = [row for row in self.rows.values() if row["id"] == str(node.id)]
        return own[-1] if own and own[-1]["ended_t"] is None else None

    def _begin(self, node: Node, t: float) -> dict[str, Any]:
        self._last += 1
        row = self.rows[str(self._last)] = {
            "id": str(node.id),
            "short": node.id.short,
            "addr": _address_of(node),
            "begun_t": t,
            "ended_t": None,
            "outcome": "dialing",
            "step": "",
            "error": "",
            "text": "",
        }
        while len(self.rows) > MAX_DIALS:
            del self.rows[next(iter(self.rows))]
        return row


def _address_of(node: Node) -> str:
    if node.hostname:
        return f"{node.hostname}:{node.tcp}"
    return "" if node.tcp_endpoint is None else str(node.tcp_endpoint)


def _end_of(attempt: DialAttempt) -> dict[str, Any]:
    end: dict[str, Any] = {"ended_t": attempt.time_unix, "step": str(attempt.step)}
    if attempt.address is not None:
        end["addr"] = str(attempt.address)
    if attempt.error is None:
        return {**end, "outcome": "connected"}
    return {
        **end,
        "outcome": "failed",
        "error": type(attempt.error).__name__,
        "text": text(str(attempt.error)),
    }
