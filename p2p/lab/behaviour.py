"""Ready scripts, such as churn. Values; their steps are pure.

Their choices come from the random source of the script, and depend on the nodes and edges that
they find. So with the same seed and no other change of the lab they make the same choices.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from heapq import heappop, heappush
from math import inf
from typing import TYPE_CHECKING

from p2p.errors import ArgumentError, LabError
from p2p.lab.numbers import positive, probability, span

if TYPE_CHECKING:
    from p2p.lab.lab import Lab

Span = float | tuple[float, float]


@dataclass(frozen=True, slots=True)
class Churn:
    """Script: nodes stop at random, and start again later, with their edges.

    ``rate`` is the mean number of stops a second, at random times (a Poisson process).
    ``downtime_s`` is the least and the most time until the start, or one time. ``share`` of the
    nodes may be stopped by it at a time; the first node, the bootnode, is never. Raises
    ArgumentError for values out of range.
    """

    rate: float = 1.0
    downtime_s: Span = (1.0, 5.0)
    share: float = 0.5

    def __post_init__(self) -> None:
        positive("rate", self.rate)
        span("downtime_s", self.downtime_s)
        probability("share", self.share)

    def __call__(self, lab: Lab, random: random.Random) -> Iterator[float]:
        """Return the steps."""
        downtime_s = span("downtime_s", self.downtime_s)
        now, next_stop = 0.0, random.expovariate(self.rate)
        down: list[tuple[float, int]] = []  # times of the starts, and indexes
        while True:
            next_start = down[0][0] if down else inf
            due = min(next_stop, next_start)
            yield due - now
            now = due
            if next_start <= next_stop:
                _, index = heappop(down)
                # an edge that cannot be connected now is kept; a node may have been removed
                with suppress(LabError, ArgumentError):
                    lab.start_node(index)
                continue
            next_stop += random.expovariate(self.rate)
            running = lab.running[1:]
            if running and len(down) < self.share * len(lab):
                node = random.choice(running)
                lab.stop_node(node)
                heappush(down, (now + random.uniform(*downtime_s), node.index))
