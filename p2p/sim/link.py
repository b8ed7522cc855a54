"""Link model for datagrams: latency, loss, reordering and duplication.

Values, and one source of randomness. A :class:`Link` is the quality of the connection between two
addresses. Its base latency is fixed for a pair of addresses, the same in both directions and in
every run with the same seed, as for two places of the world; each datagram has some jitter on top.
So datagrams on one link are sometimes reordered even without ``reordering``.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from p2p.arguments import wrong
from p2p.netutil import IPAddress

#: Largest random addition to the latency of a datagram, as a fraction of it.
JITTER = 0.1
#: Largest extra delay of a reordered or duplicate datagram, as a multiple of its latency.
_DETOUR = 3.0

_MASK = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Link:
    """The quality of a link. Probabilities are from 0.0 to 1.0, independent for each datagram.

    ``latency_s`` is the shortest and the longest time from one end to the other, in seconds: each
    pair of addresses has its own within this range. Raises ArgumentError for values out of range.
    """

    latency_s: tuple[float, float] = (0.02, 0.2)
    loss: float = 0.0
    duplication: float = 0.0
    reordering: float = 0.0

    def __post_init__(self) -> None:
        shortest, longest = self.latency_s
        if not 0 <= shortest <= longest:
            raise wrong("latency_s", self.latency_s, "the shortest and the longest, from 0 up")
        for name in ("loss", "duplication", "reordering"):
            if not 0 <= getattr(self, name) <= 1:
                raise wrong(name, getattr(self, name), "a probability, from 0 to 1")


class LinkModel:
    """The random part of all links: latencies, loss, reordering and duplication."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(f"link {seed}")
        self._salt = self._random.getrandbits(64)

    def delays(self, link: Link, a: IPAddress, b: IPAddress) -> list[float]:
        """Return the latencies of a datagram from ``a`` to ``b``: none if lost, two if doubled."""
        draw = self._random.random
        if link.loss and draw() < link.loss:
            return []
        shortest, longest = link.latency_s
        base = shortest
        if longest > shortest:
            base += (longest - shortest) * self._place(int(a), int(b))
        delays = [base * (1 + JITTER * draw())]
        if link.reordering and draw() < link.reordering:
            delays[0] += base * _DETOUR * draw()
        if link.duplication and draw() < link.duplication:
            delays.append(base * (1 + _DETOUR * draw()))
        return delays

    def _place(self, a: int, b: int) -> float:
        """Return a pseudorandom number from 0 to 1 that is fixed for the pair."""
        low, high = (a, b) if a < b else (b, a)
        mixed = (low * 0x9E3779B97F4A7C15 ^ high * 0xC2B2AE3D27D4EB4F ^ self._salt) & _MASK
        mixed = (mixed ^ mixed >> 31) * 0xD6E8FEB86659FD93 & _MASK
        return (mixed >> 11) / (1 << 53)
