"""Times that handlers take for their messages, by protocol and code.

The time runs from the return of ``read_msg`` to the handler's next call of it, or to its end. Only
the first message of each batch that came from the socket is timed: all are when messages come one
by one, and one in hundreds when they come fast, where two looks at the clock would cost 3 % of a
message (``docs/design/metrics.md``).

Handlers' threads start and stop; any thread reads.
"""

from __future__ import annotations

from collections.abc import Iterable

from p2p.clock import Clock
from p2p.metrics.catalog import MAX_CODES
from p2p.metrics.recorder import Recorder
from p2p.rlpx import Cap


class HandleTimes:
    """The times of all handlers of a server."""

    def __init__(self, clock: Clock, caps: Iterable[Cap]) -> None:
        # fixed after __init__
        self._clock = clock
        #: By capability and code; ``MAX_CODES`` for all codes from there.
        self.recorders: dict[Cap, dict[int, Recorder]] = {cap: {} for cap in caps}

    def stopwatch(self, cap: Cap) -> Stopwatch:
        """Return a stopwatch for the handler of one connection."""
        return Stopwatch(self._clock, self.recorders[cap])


class Stopwatch:
    """Stopwatch for the messages of one handler.

    If several threads read for it, the next call of any of them stops the time.
    """

    __slots__ = ("_clock", "_recorders", "_started")

    def __init__(self, clock: Clock, recorders: dict[int, Recorder]) -> None:
        # fixed after __init__
        self._clock = clock
        self._recorders = recorders
        # owned by the handler's thread
        self._started: tuple[int, float] | None = None

    def start(self, code: int) -> None:
        """Begin with a message of ``code``."""
        self._started = (code, self._clock.monotonic())

    def stop(self) -> None:
        """End the time of the message, if one is being timed."""
        started, self._started = self._started, None
        if started is None:
            return
        code, since = started
        code = min(code, MAX_CODES)
        recorder = self._recorders.get(code) or self._recorders.setdefault(code, Recorder())
        recorder.record(self._clock.monotonic() - since)
