"""Discovery v4: pings answered a second, from one endpoint and from many.

The load is :mod:`benchmarks.pinger`, the same for all. A node of each implementation answers it, in
turn with the others, several times in a round.
"""

from __future__ import annotations

from contextlib import ExitStack

from benchmarks.discovery import MANY, TURNS
from benchmarks.peers.process import Program
from benchmarks.peers.scale import Scale
from benchmarks.process import Process

ENDPOINTS = (1, MANY)


class Pings:
    """A node of each implementation, and the processes that ping it."""

    def __init__(self, processes: ExitStack, kinds: list[str]) -> None:
        self._pingers: dict[tuple[str, int], Process] = {}
        for kind in kinds:
            url = processes.enter_context(Program(kind, "discover")).url
            for count in ENDPOINTS:
                pinger = processes.enter_context(Process("ping", url, str(count)))
                self._pingers[kind, count] = pinger

    def measure(self, scale: Scale) -> dict[tuple[str, str], float]:
        """Return the pings answered a second, by measure and implementation."""
        seconds = dict.fromkeys(self._pingers, 0.0)
        pongs = dict.fromkeys(self._pingers, 0)
        for _ in range(TURNS):
            for (kind, count), pinger in self._pingers.items():
                part = scale.node_share if kind == "node" else 1.0
                answer = pinger.ask("ping", count=max(count, int(scale.pings * part) // TURNS))
                seconds[kind, count] += answer["seconds"]
                pongs[kind, count] += answer["pongs"]
        return {
            (f"pings {count}", kind): pongs[kind, count] / seconds[kind, count]
            for kind, count in self._pingers
        }
