"""What happens to a datagram on its way: how long it takes, and whether it gets there at all.

Values, and one source of chance. A :class:`Link` says how good the way between two addresses is.
The base of its latency belongs to the pair of addresses, the same in both directions and in every
run with the same seed, as if they stood in two places of the world; to it comes some jitter for
each datagram. So datagrams on one way overtake each other now and then even without ``reordering``.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from p2p.netutil import IPAddress

#: Added to the latency of a datagram at random, as a part of it.
JITTER = 0.1
#: How much longer a datagram takes that is to be overtaken, as a part of its latency.
_DETOUR = 3.0

_MASK = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Link:
    """The quality of a way. Probabilities are from 0.0 to 1.0, for each datagram alone.

    ``latency_s`` is the shortest and the longest time from one end to the other, in seconds: each
    pair of addresses has its own between them. Raises ValueError for what cannot be.
    """

    latency_s: tuple[float, float] = (0.02, 0.2)
    loss: float = 0.0
    duplication: float = 0.0
    reordering: float = 0.0

    def __post_init__(self) -> None:
        shortest, longest = self.latency_s
        if not 0 <= shortest <= longest:
            raise ValueError(f"latency from {shortest} to {longest} s")
        for name in ("loss", "duplication", "reordering"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} {getattr(self, name)} is no probability")


class Chance:
    """Everything that is left to chance between nodes."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(f"link {seed}")
        self._salt = self._random.getrandbits(64)

    def delays(self, link: Link, a: IPAddress, b: IPAddress) -> list[float]:
        """How long a datagram takes from ``a`` to ``b``: nothing if lost, twice if doubled."""
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
        """A number from 0 to 1 that belongs to the pair; looks as if it were random."""
        low, high = (a, b) if a < b else (b, a)
        mixed = (low * 0x9E3779B97F4A7C15 ^ high * 0xC2B2AE3D27D4EB4F ^ self._salt) & _MASK
        mixed = (mixed ^ mixed >> 31) * 0xD6E8FEB86659FD93 & _MASK
        return (mixed >> 11) / (1 << 53)
