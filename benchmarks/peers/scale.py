"""Sizes of the workloads of a round, in a full and in a quick run.

A pair with @ethereumjs/devp2p does a fraction of the work, since it takes much longer; its figures
are also for one message or handshake.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from benchmarks.scale import LARGE, MEDIUM, SMALL


@dataclass(frozen=True)
class Scale:
    """Counts of one round.

    ``crowd_rounds`` is the number of rounds with the workloads of many peers, which take long; with
    @ethereumjs/devp2p they have at most ``node_crowd`` peers. ``crowds`` are numbers of idle peers,
    ``peers`` numbers of peers that send ``spread`` messages together.
    """

    rounds: int
    small: int
    busy: int
    medium: int
    large: int
    round_trips: int
    handshakes: int
    pings: int
    crowd_rounds: int
    crowds: tuple[int, ...]
    connected: int
    peers: tuple[int, ...]
    spread: int
    nodes: int = 50
    lookups: int = 40
    node_share: float = 0.1
    node_crowd: int = 1000

    def with_rounds(self, rounds: int | None) -> Scale:
        """Return a copy with another number of rounds; None: unchanged."""
        if rounds is None:
            return self
        return replace(self, rounds=rounds, crowd_rounds=min(rounds, self.crowd_rounds))

    def messages(self, size_bytes: int) -> int:
        """Return the number of messages of this size in a round."""
        return {SMALL: self.small, MEDIUM: self.medium, LARGE: self.large}[size_bytes]


FULL = Scale(5, small=60_000, busy=25_000, medium=1_500, large=100, round_trips=4_000,
             handshakes=400, pings=4_000, crowd_rounds=3, crowds=(100, 500, 1000), connected=500,
             peers=(1, 10, 100, 1000), spread=100_000)  # fmt: skip
QUICK = Scale(3, small=20_000, busy=10_000, medium=400, large=30, round_trips=1_500,
              handshakes=120, pings=1_500, crowd_rounds=1, crowds=(100, 500, 1000), connected=500,
              peers=(1, 10, 100, 1000), spread=40_000, node_share=0.05, node_crowd=100)  # fmt: skip
