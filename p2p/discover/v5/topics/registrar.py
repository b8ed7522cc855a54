"""The registrar: keeps advertisements for others, and decides when to admit one.

Pure: requests and ``now`` go in, decisions come out. The engine owns a registrar, receives and
answers the messages (REGTOPIC, TOPICQUERY), and chooses auxiliary records. Specification:
discv5-theory, "Registrar Behaviour".

A registration is admitted once its advertiser has waited long enough. How long, follows from the
ads in the cache at each attempt; how long it has waited, is in the ticket that it brings back. So
nothing is kept for a registration until it is admitted, and the memory of a registrar is bounded by
the capacity of its cache.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TypeAlias

from p2p.crypto import Entropy
from p2p.enode.node import Node
from p2p.inputs import Now, RandomSource
from p2p.netutil import IPAddress


@dataclass(frozen=True, slots=True)
class RegistrarConfig:
    """Parameters of a registrar (discv5-theory, "Parameters").

    ``ad_lifetime_s`` is E, ``capacity`` is C, ``occupancy_exponent`` is Pocc, ``safety`` is G.
    ``window_s`` is δ, which the specification leaves open: how late a ticket may come back.
    """

    ad_lifetime_s: float = 900.0
    capacity: int = 1000
    occupancy_exponent: float = 10.0
    safety: float = 1e-7
    window_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Admitted:
    """The ad is in the cache: REGCONFIRMATION with an empty ticket.

    ``lifetime_ms``, in milliseconds, is how long it stays there: the message's wait-time.
    """

    lifetime_ms: int


@dataclass(frozen=True, slots=True)
class Wait:
    """The ad must wait: REGCONFIRMATION with a ``ticket``, for the next attempt.

    ``wait_ms``, in milliseconds and at least 1, is the message's wait-time. A retry before it is
    over begins anew, and so does one that comes later than the window after it.
    """

    ticket: bytes
    wait_ms: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The request can never be admitted, and gets no answer.

    ``reason`` is "record" for a node without a record, or "address" if the record does not state
    the source address of the request.
    """

    reason: str


Decision: TypeAlias = Admitted | Wait | Refused


class Registrar:
    """A registrar. ``entropy`` makes its secret key, so tickets of another registrar are invalid.

    One thread, that of the engine. Work per request and memory are bounded.
    """

    def __init__(self, entropy: Entropy, config: RegistrarConfig | None = None) -> None:
        #: Requests by their outcome: "admitted", "renewed", "first", "retry", "early", "late",
        #: "invalid" (tickets), "refused", "queries".
        self.counters: Counter[str] = Counter()

    def register(
        self, node: Node, source_ip: IPAddress, topic: bytes, ticket: bytes, now: Now
    ) -> Decision:
        """Decide about a REGTOPIC request (discv5-theory, "Admission Control").

        ``node`` is made of the record in the request, whose key the sender has proven; the engine
        checks that. ``source_ip`` is the source address of the request, ``topic`` is 32 bytes,
        ``ticket`` is b"" in a first attempt. A ticket that is not valid for this request counts as
        none. Never raises for what a remote can send.
        """
        raise NotImplementedError

    def query(self, topic: bytes, random: RandomSource, now: Now, limit: int = 10) -> list[Node]:
        """Return up to ``limit`` advertisers of a topic, in random order, as they registered.

        Each has a record. The default is F_return (discv5-theory, "Lookup Responses").
        """
        raise NotImplementedError

    def handle_timeout(self, now: Now) -> None:
        """Remove expired ads. Other methods do so first, too; this one frees memory in time."""
        raise NotImplementedError

    @property
    def deadline(self) -> float:
        """The monotonic time at which the next ad expires; infinity without ads."""
        raise NotImplementedError

    def __len__(self) -> int:
        """Return the number of ads in the cache."""
        raise NotImplementedError
