"""Numbers a second of counts that grow. Pure; ``p2p-monitor`` uses it."""

from __future__ import annotations

from collections.abc import Mapping

#: Part of the latest rate in the one shown; the rest is the one before.
_WEIGHT = 0.5


class Rates:
    """The rates of any number of counts, by key; from one call to the next, smoothed a little."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._rates: dict[str, float] = {}
        self._at: float | None = None

    def update(self, counts: Mapping[str, int], now: float) -> None:
        """Take new counts, at ``now`` in monotonic seconds."""
        elapsed_s = 0.0 if self._at is None else now - self._at
        if elapsed_s > 0:
            self._rates = {
                key: self._rate(key, (count - self._counts.get(key, count)) / elapsed_s)
                for key, count in counts.items()
            }
        self._counts, self._at = dict(counts), now

    def of(self, key: str) -> float:
        """Return the rate of a key, in 1/s."""
        return round(self._rates.get(key, 0.0), 1)

    def _rate(self, key: str, latest: float) -> float:
        smooth = _WEIGHT * latest + (1 - _WEIGHT) * self._rates.get(key, latest)
        return smooth if smooth >= _LEAST else 0.0


#: Smaller rates are 0: what has ended fades out.
_LEAST = 0.05
