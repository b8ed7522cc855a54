"""Messages from one peer to another, and round trips, with their cost in CPU at both ends.

The time runs as in :mod:`benchmarks.messages`: from the sender's first message until the receiver's
handler has read all, checked their order, and confirmed it. With busy handlers, other handlers of
one end, ours only, compute in Python meanwhile.
"""

from __future__ import annotations

from benchmarks.messages import BUSY
from benchmarks.peers.process import Ends, Pair, Program
from benchmarks.peers.scale import Scale
from benchmarks.scale import LARGE, MEDIUM, SMALL

Figures = dict[str, float]
MILLION = 1e6


def share(count: int, pair: Pair, scale: Scale, least: int = 4) -> int:
    """Return a pair's share of ``count``, at least ``least``."""
    return max(least, int(count * scale.node_share)) if pair.is_slow else count


def small(ends: Ends, pair: Pair, scale: Scale) -> Figures:
    """Return messages of 100 bytes a second one way, and seconds of CPU for a million."""
    count = share(scale.small, pair, scale)
    sender, receiver = ends.dialer(pair, "dial"), ends.listener(pair)
    before = sender.cpu_s(), receiver.cpu_s()
    rate = send(sender, count, SMALL)
    sending, receiving = sender.cpu_s() - before[0], receiver.cpu_s() - before[1]
    return {
        "one way": rate,
        "message CPU": (sending + receiving) / count * MILLION,
        "message CPU to send": sending / count * MILLION,
        "message CPU to receive": receiving / count * MILLION,
    }


def large(ends: Ends, pair: Pair, scale: Scale) -> Figures:
    """Return the MB a second of messages of 64 KiB and 1 MiB one way."""
    sender = ends.dialer(pair, "dial")
    return {
        f"one way {size}": send(sender, share(scale.messages(size), pair, scale), size) * size / 1e6
        for size in (MEDIUM, LARGE)
    }


def ping_pong(ends: Ends, pair: Pair, scale: Scale) -> Figures:
    """Return the round trips of 100 bytes a second, and the microseconds of one."""
    count = share(scale.round_trips, pair, scale, 20)
    answer = ends.dialer(pair, "dial").ask("ping_pong", count=count, size=SMALL)
    return {
        "round trips": count / answer["seconds"],
        "round trip p50": answer["p50_s"] * 1e6,
        "round trip p99": answer["p99_s"] * 1e6,
        "round trip p99 / p50": answer["p99_s"] / answer["p50_s"],
    }


def busy(ends: Ends, pair: Pair, scale: Scale) -> Figures:
    """Return messages of 100 bytes a second one way while handlers of one end compute.

    Each rate is also given as a part of the rate without them.
    """
    sender = ends.dialer(pair, "dial")
    figures = {}
    for count in BUSY:
        for end, argument in (("receiver", "busy_there"), ("sender", "busy_here")):
            quiet = send(sender, scale.busy, SMALL)
            rate = send(sender, scale.busy, SMALL, **{argument: count})
            figures[f"busy {end} {count}"] = rate
            figures[f"busy {end} {count} / quiet"] = rate / quiet
    return figures


def send(sender: Program, count: int, size: int, **busy: int) -> float:
    """Send messages, and return their number a second."""
    return count / float(sender.ask("send", count=count, size=size, **busy)["seconds"])
