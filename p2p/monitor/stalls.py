"""Handlers that have not read for a while, with the line at which they stand.

``p2p-monitor`` only; it compares the numbers of messages read from one look to the next.
"""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from p2p.monitor.shown import text
from p2p.observe import HandlerState, where_is

if TYPE_CHECKING:
    from p2p.peers.peer import Peer

#: Seconds without a read after which a handler is shown.
STALL_S = 1.0
#: Lines of a thread's stack that are shown, the innermost ones.
MAX_LINES = 8
_MAX_PLACE = 160


class Stalls:
    """The reads of each handler, and since when there was none."""

    def __init__(self) -> None:
        self._reads: dict[str, tuple[int, float, float]] = {}

    def rows(self, peers: Iterable[Peer], now: float, now_unix: float) -> dict[str, Any]:
        """Return the rows of the handlers that stall; ``now`` is monotonic, in seconds."""
        before, self._reads = self._reads, {}
        rows: dict[str, Any] = {}
        for peer in peers:
            for state in peer.handlers:
                key = f"{peer.connection_id}/{state.cap}"
                reads, since, since_unix = before.get(key, (-1, now, now_unix))
                if state.reads != reads or not _is_busy(state):
                    since, since_unix = now, now_unix
                self._reads[key] = state.reads, since, since_unix
                if now - since >= STALL_S:
                    rows[key] = _row(peer, state, since_unix)
        return rows


def _is_busy(state: HandlerState) -> bool:
    """Whether a handler has a message, and does not wait for one.

    One that has read nothing, and that nothing waits for, may only write.
    """
    return state.thread is not None and not state.is_waiting and state.reads + state.unread > 0


def _row(peer: Peer, state: HandlerState, since_unix: float) -> dict[str, Any]:
    return {
        "peer": str(peer.connection_id),
        "id": str(peer.id),
        "short": peer.id.short,
        "name": peer.name,
        "cap": str(state.cap),
        "since_t": since_unix,
        "waiting": state.unread,
        "waiting_bytes": state.unread_bytes,
        "where": text(where_is(state.thread), _MAX_PLACE),
        "stack": _stack_of(state.thread),
    }


def _stack_of(thread: threading.Thread | None) -> list[str]:
    """Return the lines of a thread's stack, the innermost first."""
    frame = sys._current_frames().get(thread.ident or 0) if thread is not None else None
    if frame is None:
        return []
    found = traceback.StackSummary.extract(
        traceback.walk_stack(frame), limit=MAX_LINES, lookup_lines=False
    )
    return [text(f"{line.filename}:{line.lineno} in {line.name}", _MAX_PLACE) for line in found]
