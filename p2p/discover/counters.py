"""Traffic counters of an engine.

Pure values, the same for every protocol. Counters are never reset.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, fields
from typing import Any


@dataclass(slots=True)
class Counters:
    """Traffic counters of an engine since its creation.

    Packets are counted by the name of their type ("ping", "findnode"), dropped datagrams by their
    reason (:mod:`p2p.discover.traffic`). ``unproven_bytes_in`` were received from nodes without an
    endpoint proof, ``unproven_bytes_out`` were sent to them in answer. ``uninvited_bytes_out`` were
    sent unasked to endpoints without a proof, such as the ping to a new node. ``topics`` has the
    decisions about ads of others, if topics are on (:mod:`p2p.discover.v5.topics.registrar`).
    """

    packets_in: Counter[str] = field(default_factory=Counter)
    bytes_in: Counter[str] = field(default_factory=Counter)
    packets_out: Counter[str] = field(default_factory=Counter)
    bytes_out: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    unproven_bytes_in: int = 0
    unproven_bytes_out: int = 0
    uninvited_bytes_out: int = 0
    timeouts: int = 0
    topics: Counter[str] = field(default_factory=Counter)

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle with any protocol: those below 2 do not support slots."""
        return Counters, tuple(getattr(self, counter.name) for counter in fields(self))
