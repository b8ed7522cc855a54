"""Recognition of a restart of a router by the epochs of its answers. Pure.

The epoch is the time since the router's mapping table was reset, in seconds. NAT-PMP and PCP differ
in the deviation of the router's clock that is no restart (RFC 6886, section 3.6; RFC 6887, section
8.5).
"""

from __future__ import annotations

from collections.abc import Callable


class RestartDetector:
    """The last epoch of a router.

    ``is_restart`` is the rule of the protocol: a function of the seconds that have passed since the
    last answer, by the router's clock and by ours.
    """

    def __init__(self, is_restart: Callable[[float, float], bool]) -> None:
        self._is_restart = is_restart
        self._last: tuple[int, float] | None = None

    def has_restarted(self, epoch: int, now: float) -> bool:
        """Whether the router has restarted since the last call."""
        last, self._last = self._last, (epoch, now)
        return last is not None and self._is_restart(epoch - last[0], now - last[1])
