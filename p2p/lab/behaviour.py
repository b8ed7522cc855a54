"""Ready scripts: churn, partitions, links of changing quality. Values; their steps are pure.

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
from typing import TYPE_CHECKING, Any

from p2p.arguments import wrong
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


@dataclass(frozen=True, slots=True)
class Partitions:
    """Script: the network falls into two parts, heals, and its edges are connected again.

    ``interval_s`` is the time without a partition, ``duration_s`` that of each, the least and the
    most or one time; ``share`` of the nodes, chosen at random, are on one side. Raises
    ArgumentError for values out of range.
    """

    interval_s: Span = (5.0, 15.0)
    duration_s: Span = (5.0, 15.0)
    share: float = 0.5

    def __post_init__(self) -> None:
        span("interval_s", self.interval_s)
        span("duration_s", self.duration_s)
        probability("share", self.share)

    def __call__(self, lab: Lab, random: random.Random) -> Iterator[float]:
        """Return the steps."""
        interval_s = span("interval_s", self.interval_s)
        duration_s = span("duration_s", self.duration_s)
        while True:
            yield random.uniform(*interval_s)
            nodes = lab.nodes
            lab.partition(random.sample(nodes, round(self.share * len(nodes))))
            yield random.uniform(*duration_s)
            lab.heal()
            with suppress(LabError):
                lab.reconnect()


@dataclass(frozen=True, slots=True)
class LinkNoise:
    """Script: every ``interval_s`` seconds the link of a random edge gets random qualities.

    ``latency_s`` and ``loss`` are the least and the most of its values, or one; None leaves it.
    ``bandwidth`` likewise, in bytes a second. Raises ArgumentError for values out of range.
    """

    interval_s: float = 1.0
    latency_s: Span | None = (0.01, 0.2)
    loss: Span | None = None
    bandwidth: Span | None = None

    def __post_init__(self) -> None:
        positive("interval_s", self.interval_s)
        for name, least in (("latency_s", 0.0), ("loss", 0.0), ("bandwidth", 1.0)):
            value = getattr(self, name)
            if value is not None and span(name, value)[0] < least:
                raise wrong(name, value, f"at least {least:g}")
        if self.loss is not None:
            probability("loss", span("loss", self.loss)[1])

    def __call__(self, lab: Lab, random: random.Random) -> Iterator[float]:
        """Return the steps."""
        while True:
            yield self.interval_s
            edges = lab.wanted_edges or lab.edges
            if edges:
                lab.set_link(*random.choice(edges), **self._qualities(random))

    def _qualities(self, random: random.Random) -> dict[str, Any]:
        spans = {name: getattr(self, name) for name in ("latency_s", "loss", "bandwidth")}
        return {
            name: random.uniform(*span(name, value))
            for name, value in spans.items()
            if value is not None
        }
