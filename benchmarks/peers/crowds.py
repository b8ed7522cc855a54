"""Many peers of one listener: the memory of idle ones, and messages that they send together.

The other ends are the same for all: bare connections of go-ethereum's ``rlpx`` in one process that
answer pings and cost little. Each measurement has a listener of its own.

The memory is that after garbage collection and the release of free memory (``gc.collect``,
``debug.FreeOSMemory``, V8's ``gc``), minus that of the listener without peers.

Spread: the crowd sends the same total number of messages of 100 bytes for any number of members:
one of the first in a ``send`` of its own, then one of the second, and so on; or 16 of each in one
``send``. Besides the rate, the CPU of the listener is measured, which does not depend on the speed
of the crowd.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from benchmarks.node import MAX_LANES
from benchmarks.peers.messages import Figures, share
from benchmarks.peers.process import Ends, Pair, Program
from benchmarks.peers.scale import Scale
from benchmarks.scale import SMALL

#: Messages of a member in one ``send``.
BURSTS = (1, 16)


@contextmanager
def crowd_at(kind: str) -> Iterator[tuple[Program, Program]]:
    """Start a listener, and a crowd that has not connected yet."""
    with Program(kind, "listen") as listener, Program("go", "crowd", listener.url) as crowd:
        yield listener, crowd


def sizes(counts: Sequence[int], pair: Pair, scale: Scale) -> list[int]:
    """Return the numbers of peers that are not too large for a pair."""
    return [count for count in counts if count <= scale.node_crowd or not pair.is_slow]


def grow(listener: Program, crowd: Program, count: int) -> float:
    """Connect until there are ``count`` peers. Return the seconds."""
    seconds = crowd.ask("grow", count=count, lanes=MAX_LANES)["seconds"]
    listener.ask("await_arrivals", count=count)
    return float(seconds)


def idle(ends: Ends, pair: Pair, scale: Scale) -> Figures:
    """Return the KiB of memory for an idle peer, and the seconds until the peers are connected."""
    figures = {}
    seconds = 0.0
    with crowd_at(pair.listener) as (listener, crowd):
        before = listener.ask("memory")
        for count in sizes(scale.crowds, pair, scale):
            seconds += grow(listener, crowd, count)
            if count == scale.connected:
                figures[f"connect {count}"] = seconds
            now = listener.ask("memory")
            for key, name in (("rss_bytes", "idle peer"), ("uncollected_bytes", "uncollected")):
                figures[f"{name} {count}"] = (now[key] - before[key]) / count / 1024
    return figures


def spread(ends: Ends, pair: Pair, scale: Scale) -> Figures:
    """Return the rate and the CPU of the listener by the number of peers.

    The rate is in messages a second in all, the CPU in microseconds for a message; both are also
    compared with those of the fewest peers.
    """
    figures: Figures = {}
    fewest, *more = sizes(scale.peers, pair, scale)
    total = share(scale.spread, pair, scale, scale.peers[-1])
    with crowd_at(pair.listener) as (listener, crowd):
        for peers in (fewest, *more):
            grow(listener, crowd, peers)
            for burst in BURSTS:
                rate, cpu_us = send_together(listener, crowd, total, burst)
                figures[f"spread {burst} {peers}"] = rate
                figures[f"spread CPU {burst} {peers}"] = cpu_us
    for burst in BURSTS:
        for name in (f"spread {burst}", f"spread CPU {burst}"):
            for peers in more:
                part = figures[f"{name} {peers}"] / figures[f"{name} {fewest}"]
                figures[f"{name} {peers} / {fewest}"] = part
    return figures


def send_together(
    listener: Program, crowd: Program, total: int, burst: int
) -> tuple[float, float]:
    """Return the messages a second, and the microseconds of CPU of the listener for one."""
    count = crowd.ask("prepare", count=total, size=SMALL)["count"]
    before = listener.cpu_s()
    seconds = crowd.ask("send", burst=burst)["seconds"]
    return count / seconds, (listener.cpu_s() - before) / count * 1e6
