"""The updates of the last minutes, numbered: every page reads them at its own pace.

Pure. It is the only queue between the monitor and its pages, and has two bounds, of time and of
bytes. An update that is dropped is first applied to ``base``, the state with which a page begins
that steps back.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable
from typing import Any, NamedTuple

from p2p.monitor.changes import Mutable, apply
from p2p.monitor.source import Entry, State

#: Seconds that a page can step back.
KEPT_S = 300.0
#: Bytes of all kept updates: at least some tens of seconds of the busiest server.
MAX_BYTES = 16 * 1024 * 1024


class _Kept(NamedTuple):
    t: float
    update: Entry  #: "set" and "remove" alone
    text: str


class History:
    """The state ``kept_s`` seconds ago, at most, and the updates since then.

    It begins at the Unix time ``begun_t`` with empty ``collections``; the first update is number 1.
    """

    def __init__(
        self,
        begun_t: float,
        collections: Iterable[str],
        kept_s: float = KEPT_S,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._kept_s = kept_s
        self._max_bytes = max_bytes
        self._base: Mutable = {name: {} for name in collections}
        self._base_t = begun_t
        self._present: Mutable = {name: {} for name in self._base}
        self._present_t = begun_t
        self._updates: deque[_Kept] = deque()
        self._size_bytes = 0
        #: Number of the update that led to the base, 0 at the beginning.
        self.base_n = 0

    @property
    def state(self) -> State:
        """The state after the latest update."""
        return self._present

    @property
    def last_n(self) -> int:
        """Number of the latest update."""
        return self.base_n + len(self._updates)

    @property
    def size_bytes(self) -> int:
        """Bytes of the kept updates, as JSON."""
        return self._size_bytes

    def add(self, t: float, update: Entry) -> None:
        """Add an update, of Unix time ``t``."""
        numbered = {"type": "update", "n": self.last_n + 1, "t": round(t, 3), **update}
        text = _json(numbered)
        changes = {part: update[part] for part in ("set", "remove") if part in update}
        self._updates.append(_Kept(t, changes, text))
        self._size_bytes += len(text)
        self._present_t = t
        apply(changes, self._present)
        while self._updates and self._is_too_much(t):
            self._drop_oldest()

    def update_after(self, n: int) -> str:
        """Return the update number ``n + 1`` as JSON; it must be one of the kept ones."""
        return self._updates[n - self.base_n].text

    def base(self, missed: int = 0) -> str:
        """Return the snapshot of the base as JSON."""
        return _snapshot(self.base_n, self._base_t, missed, self._base)

    def present(self, missed: int = 0) -> str:
        """Return the snapshot after the latest update as JSON."""
        return _snapshot(self.last_n, self._present_t, missed, self._present)

    def _is_too_much(self, t: float) -> bool:
        # An update that is later than now is from before the clock was set back.
        is_kept = t - self._kept_s <= self._updates[0].t <= t
        return self._size_bytes > self._max_bytes or not is_kept

    def _drop_oldest(self) -> None:
        oldest = self._updates.popleft()
        self._size_bytes -= len(oldest.text)
        self.base_n += 1
        self._base_t = oldest.t
        apply(oldest.update, self._base)


def _snapshot(n: int, t: float, missed: int, state: Mutable) -> str:
    head: dict[str, Any] = {"type": "snapshot", "n": n, "t": round(t, 3), "missed": missed}
    return _json({**head, "state": state})


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)
