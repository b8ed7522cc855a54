"""Messages between two processes over loopback, one way and round trips, by handlers on both ends.

One way, the time runs from the first ``write_msg`` of the sender's handler until the receiver's has
read all messages, checked their order, and confirmed it. The same is measured while other handlers
of the receiving or of the sending process compute in pure Python.
"""

from __future__ import annotations

from contextlib import ExitStack

from benchmarks.process import Process
from benchmarks.scale import LARGE, MEDIUM, SMALL, Scale

#: Numbers of other handlers that compute.
BUSY = (1, 3)


class Messages:
    """A pair of connected processes, kept for all rounds."""

    def __init__(self, processes: ExitStack) -> None:
        listener = processes.enter_context(Process("listen"))
        self._dialer = processes.enter_context(Process("dial", listener.greeting["url"]))

    def measure(self, scale: Scale) -> dict[str, float]:
        """Return the seconds for one message or round trip."""
        seconds = {}
        for size in (SMALL, MEDIUM, LARGE):
            seconds[f"one-way {size}"] = self._send(scale.messages(size), size)
        for busy in BUSY:
            seconds[f"busy receiver {busy}"] = self._send(scale.busy, SMALL, busy_there=busy)
            seconds[f"busy sender {busy}"] = self._send(scale.busy, SMALL, busy_here=busy)
        return {**seconds, **self._ping_pong(scale.round_trips)}

    def _send(self, count: int, size: int, **busy: int) -> float:
        answer = self._dialer.ask("send", count=count, size=size, **busy)
        return float(answer["seconds"]) / count

    def _ping_pong(self, count: int) -> dict[str, float]:
        answer = self._dialer.ask("ping_pong", count=count, size=SMALL)
        return {
            "round trip": answer["seconds"] / count,
            "round trip p50": answer["p50_s"],
            "round trip p99": answer["p99_s"],
        }
