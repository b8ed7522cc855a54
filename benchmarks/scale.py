"""Sizes of the workloads in a full and in a quick run.

A run goes through all workloads ``rounds`` times, so that other load of the machine affects all of
them alike. Counts are those of one round.
"""

from __future__ import annotations

from dataclasses import dataclass

SMALL = 100
MEDIUM = 64 * 1024
LARGE = 1024 * 1024


@dataclass(frozen=True)
class Scale:
    """Numbers of messages, handshakes, peers, and requests of discovery.

    ``busy`` is the number of messages with busy handlers. These are slower, but must last for many
    switches of the interpreter lock.
    """

    rounds: int
    small: int
    busy: int
    medium: int
    large: int
    round_trips: int
    handshakes: int
    crowds: tuple[int, ...] = (100, 500)
    pings: int = 4_000
    lookups: int = 10
    nodes: int = 50

    def messages(self, size_bytes: int) -> int:
        """Return the number of messages of this size in a round."""
        return {SMALL: self.small, MEDIUM: self.medium, LARGE: self.large}[size_bytes]


FULL = Scale(5, small=60_000, busy=25_000, medium=1_500, large=100,
             round_trips=4_000, handshakes=400)  # fmt: skip
QUICK = Scale(3, small=20_000, busy=10_000, medium=500, large=40,
              round_trips=1_500, handshakes=160, pings=1_500, lookups=5)  # fmt: skip
