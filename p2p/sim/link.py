"""Link model for datagrams: latency, jitter, loss, bandwidth, reordering and duplication.

Pure: values, and functions of them, of the time and of random numbers that are given to them. A
:class:`Link` is the quality of the connection between two addresses. Its base latency is fixed for
a pair of addresses, the same in both directions and in every run with the same seed, as for two
places of the world; each datagram has some jitter on top. So datagrams on one link are sometimes
reordered even without ``reordering``.

:class:`LinkModel` has the random numbers of :mod:`p2p.sim`, :mod:`p2p.lab.links` those of a lab.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from dataclasses import dataclass

from p2p.arguments import NUMBER, check_type, wrong
from p2p.netutil import IPAddress

#: Largest random addition to the latency of a datagram, as a fraction of it, unless another is set.
JITTER = 0.1
#: Longest queue of datagrams at a link with a bandwidth, in seconds: it drops what comes beyond, as
#: a router does whose memory is full.
MAX_QUEUE_S = 1.0
#: Largest extra delay of a reordered or duplicate datagram, as a multiple of its latency.
_DETOUR = 3.0

_MASK = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Link:
    """The quality of a link. Probabilities are from 0.0 to 1.0, independent for each datagram.

    ``latency_s`` is the time from one end to the other, in seconds, or the shortest and the longest
    time: each pair of addresses has its own within this range. It is kept as a pair. ``jitter`` is
    the largest random addition to it, as a fraction. ``bandwidth`` is in bytes a second, for each
    direction; None is no limit. Raises ArgumentError for values out of range.
    """

    latency_s: float | tuple[float, float] = (0.02, 0.2)
    loss: float = 0.0
    duplication: float = 0.0
    reordering: float = 0.0
    jitter: float = JITTER
    bandwidth: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "latency_s", _span_of(self.latency_s))
        for name in ("loss", "duplication", "reordering"):
            check_type(name, getattr(self, name), NUMBER, "a probability, from 0 to 1")
            if not 0 <= getattr(self, name) <= 1:
                raise wrong(name, getattr(self, name), "a probability, from 0 to 1")
        check_type("jitter", self.jitter, NUMBER, _FRACTION)
        if not 0 <= self.jitter <= sys.float_info.max:
            raise wrong("jitter", self.jitter, _FRACTION)
        check_type("bandwidth", self.bandwidth, (*NUMBER, type(None)), _RATE)
        if self.bandwidth is not None and not 0 < self.bandwidth <= sys.float_info.max:
            raise wrong("bandwidth", self.bandwidth, _RATE)

    @property
    def latency_span(self) -> tuple[float, float]:
        """The shortest and the longest latency, in seconds."""
        assert isinstance(self.latency_s, tuple)
        return self.latency_s


_SPAN = "seconds, or the shortest and the longest, from 0 up"
_FRACTION = "a fraction of the latency, from 0 up"
_RATE = "bytes a second, or None for no limit"


def _span_of(given: float | tuple[float, float]) -> tuple[float, float]:
    span = given if isinstance(given, tuple) else (given, given)
    for seconds in span:
        check_type("latency_s", seconds, NUMBER, _SPAN)
    if len(span) != 2 or not 0 <= span[0] <= span[1] <= sys.float_info.max:
        raise wrong("latency_s", given, _SPAN)
    return span


class Transmission:
    """The bytes that one direction of a link is busy with, if it has a bandwidth."""

    __slots__ = ("_busy_until",)

    def __init__(self) -> None:
        self._busy_until = 0.0

    def wait(self, now: float) -> float:
        """Return the seconds until the link is free."""
        return max(0.0, self._busy_until - now)

    def send(self, size_bytes: int, bandwidth: float, now: float) -> float:
        """Queue bytes; return the seconds until the last of them has left."""
        self._busy_until = max(now, self._busy_until) + size_bytes / bandwidth
        return self._busy_until - now


def base_latency(link: Link, place: Callable[[], float]) -> float:
    """Return the latency of a pair of addresses; ``place`` gives its number from 0 to 1."""
    shortest, longest = link.latency_span
    return shortest if longest == shortest else shortest + (longest - shortest) * place()


def delays_of(link: Link, base: float, draw: Callable[[], float]) -> list[float]:
    """Return the latencies of a datagram, beside its transmission: none if lost, two if doubled."""
    if link.loss and draw() < link.loss:
        return []
    delays = [base * (1 + link.jitter * draw())]
    if link.reordering and draw() < link.reordering:
        delays[0] += base * _DETOUR * draw()
    if link.duplication and draw() < link.duplication:
        delays.append(base * (1 + _DETOUR * draw()))
    return delays


def place_of(a: int, b: int, salt: int) -> float:
    """Return a pseudorandom number from 0 to 1 that is fixed for the pair, in either order."""
    low, high = (a, b) if a < b else (b, a)
    mixed = (low * 0x9E3779B97F4A7C15 ^ high * 0xC2B2AE3D27D4EB4F ^ salt) & _MASK
    mixed = (mixed ^ mixed >> 31) * 0xD6E8FEB86659FD93 & _MASK
    return (mixed >> 11) / (1 << 53)


class LinkModel:
    """The random part of all links of a simulation, and what they are busy with."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(f"link {seed}")
        self._salt = self._random.getrandbits(64)
        self._busy: dict[tuple[IPAddress, IPAddress], Transmission] = {}

    def delays(
        self, link: Link, a: IPAddress, b: IPAddress, size_bytes: int = 0, now: float = 0.0
    ) -> list[float]:
        """Return the latencies of a datagram from ``a`` to ``b``: none if lost, two if doubled."""
        sending_s = 0.0
        if link.bandwidth is not None:
            queue = self._busy.setdefault((a, b), Transmission())
            if queue.wait(now) > MAX_QUEUE_S:
                return []
            sending_s = queue.send(size_bytes, link.bandwidth, now)
        base = base_latency(link, lambda: place_of(int(a), int(b), self._salt))
        delays = delays_of(link, base, self._random.random)
        return [sending_s + delay for delay in delays] if sending_s else delays
