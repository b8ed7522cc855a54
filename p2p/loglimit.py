"""Rate limit for log lines that remotes can cause, so that no remote can fill the log.

A :class:`LogLimit` decides, :func:`log_limited` writes a line by its decision. Any thread may use
both.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict, deque
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

from p2p.clock import Clock

#: Limit on the lines of one kind in any minute.
LINES_PER_MINUTE = 5
PERIOD_S = 60.0
#: Limit on the peers that are kept as having had their line, the newest ones. At the rate above it
#: takes hours until one is dropped.
MAX_PEERS = 1000
#: Limit on the kinds that are kept: ample for the error classes of a program.
MAX_KINDS = 100


@dataclass
class _Kind:
    admitted_at: deque[float] = field(default_factory=lambda: deque(maxlen=LINES_PER_MINUTE))
    left_out: int = 0


class LogLimit:
    """A rate limit: a few lines a minute of each kind, and one for each peer."""

    def __init__(self, clock: Clock) -> None:
        # fixed after __init__
        self._clock = clock
        # guarded by _lock; the newest come last
        self._lock = threading.Lock()
        self._kinds: OrderedDict[Hashable, _Kind] = OrderedDict()
        self._peers: OrderedDict[Hashable, None] = OrderedDict()

    def admit(self, kind: Hashable, peer: Hashable) -> int | None:
        """Decide about a line of ``kind`` about ``peer``.

        Returns None to leave it out, else the number of lines of the kind left out since the last
        one that was admitted.
        """
        with self._lock:
            state = self._kinds.setdefault(kind, _Kind())
            _trim(self._kinds, MAX_KINDS)
            if peer in self._peers or self._is_exhausted_locked(state):
                state.left_out += 1
                return None
            self._peers[peer] = None
            _trim(self._peers, MAX_PEERS)
            state.admitted_at.append(self._clock.monotonic())
            left_out, state.left_out = state.left_out, 0
            return left_out

    def _is_exhausted_locked(self, state: _Kind) -> bool:
        if len(state.admitted_at) < LINES_PER_MINUTE:
            return False
        return self._clock.monotonic() - state.admitted_at[0] < PERIOD_S


def _trim(entries: OrderedDict[Hashable, Any], limit: int) -> None:
    while len(entries) > limit:
        entries.popitem(last=False)


def log_limited(
    log: logging.Logger | logging.LoggerAdapter[logging.Logger],
    level: int,
    left_out: int | None,
    text: str,
    *args: object,
    error: BaseException | None = None,
) -> None:
    """Log a line at ``level``, or at DEBUG if the limit did not admit it (``left_out`` is None).

    ``left_out`` is the result of :meth:`LogLimit.admit`; a number of more lines is added.
    """
    level = logging.DEBUG if left_out is None else level
    more = f" (and {left_out} more like this)" if left_out else ""
    log.log(level, f"{text}%s", *args, more, exc_info=error)
