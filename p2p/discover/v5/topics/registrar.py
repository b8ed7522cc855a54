"""The registrar: keeps ads for others, and decides when to admit one.

Pure: requests and ``now`` go in, decisions come out. The engine owns a registrar, receives and
answers the messages (REGTOPIC, TOPICQUERY), and chooses auxiliary records. Specification:
discv5-theory, "Registrar Behaviour".

An ad is admitted once its advertiser has waited long enough. The time it takes follows from the ads
in the cache at each attempt (:mod:`.waiting`); the time that has passed is in the ticket, which the
advertiser brings back (:mod:`.ticket`). So nothing is kept for an ad before it is admitted, and the
memory of a registrar is bounded by the capacity of its cache.

A request for an ad in the cache is a renewal: it waits like any other, and in the end takes the
place of the old ad. Until then the old ad stays until it expires.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import ceil
from typing import TypeAlias

from p2p.crypto import Entropy
from p2p.discover.v5.topics.adcache import Ad, AdCache
from p2p.discover.v5.topics.ticket import Ticket, TicketError, Tickets, ad_digest
from p2p.discover.v5.topics.waiting import RegistrarConfig, WaitingTime
from p2p.enode.node import Node
from p2p.inputs import Now, RandomSource
from p2p.netutil import LAN, IPAddress, OwnNetworks, canonical

TOPIC_SIZE = 32
#: F_return: ads in the response to a query (discv5-theory, "Parameters").
MAX_RETURNED = 10

DEFAULT_CONFIG = RegistrarConfig()


@dataclass(frozen=True, slots=True)
class Admitted:
    """The ad is in the cache: REGCONFIRMATION with an empty ticket.

    ``lifetime_ms``, in milliseconds, is its time there: the message's wait-time.
    """

    lifetime_ms: int


@dataclass(frozen=True, slots=True)
class Wait:
    """The ad must wait: REGCONFIRMATION with a ``ticket``, for the next attempt.

    ``wait_ms``, in milliseconds and at least 1, is the message's wait-time. A retry before it is
    over counts as a first attempt, and so does one that comes later than the window after it.
    """

    ticket: bytes
    wait_ms: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The request can never be admitted, and gets no answer: the wire has none for it.

    ``reason`` is "record" for a node without a record, or "address" if the record does not state
    the source address of the request.
    """

    reason: str


Decision: TypeAlias = Admitted | Wait | Refused


class Registrar:
    """A registrar. One thread, that of its engine, with a clock that never goes backwards.

    ``entropy`` makes its secret key, so tickets of another registrar, or of an earlier run, are not
    valid. ``own`` are the user's own networks. Work per request and memory are bounded.
    """

    def __init__(
        self,
        entropy: Entropy,
        config: RegistrarConfig = DEFAULT_CONFIG,
        own: OwnNetworks = LAN,
    ) -> None:
        self._config = config
        self._own = own
        self._cache = AdCache(config.capacity)
        self._waiting = WaitingTime(self._cache, config, own)
        self._tickets = Tickets(entropy, config.window_s)
        #: Requests by decision: "admitted", "renewed", "waiting", "refused"; tickets that were not
        #: valid: "early", "late", "invalid"; and "expired" ads, "queries".
        self.counters: Counter[str] = Counter()

    def register(
        self, node: Node, source_ip: IPAddress, topic: bytes, ticket: bytes, now: Now
    ) -> Decision:
        """Decide about a REGTOPIC request (discv5-theory, "Admission Control").

        ``node`` is made of the record in the request, whose key the sender has proven; the engine
        checks that. ``source_ip`` is the source address of the request, ``topic`` is 32 bytes,
        ``ticket`` is b"" in a first attempt. A ticket that is not valid for this request counts as
        none. Never raises for anything that a remote can send; ValueError for a topic of another
        size.
        """
        if len(topic) != TOPIC_SIZE:
            raise ValueError(f"a topic of {len(topic)} bytes, expected {TOPIC_SIZE}")
        self.handle_timeout(now)
        if node.record is None:
            return self._refuse("record")
        ip = self._address_of(node, source_ip)
        if ip is None:
            return self._refuse("address")
        digest = ad_digest(topic, node.record)
        first = self._first_request(ticket, digest, ip, now.monotonic)
        return self._decide(Ad(topic, node, ip, self._expiry(now)), digest, first, now.monotonic)

    def query(
        self, topic: bytes, random: RandomSource, now: Now, limit: int = MAX_RETURNED
    ) -> list[Node]:
        """Return up to ``limit`` advertisers of a topic, in random order, as they registered.

        Each has a record. Specification: discv5-theory, "Lookup Responses".
        """
        self.handle_timeout(now)
        self.counters["queries"] += 1
        return self._cache.choose(topic, limit, random)

    def handle_timeout(self, now: Now) -> None:
        """Remove expired ads. The other methods do so first; this one frees memory in time."""
        while (ad := self._cache.expired(now.monotonic)) is not None:
            self._cache.remove(ad)
            self._waiting.removed(ad)
            self.counters["expired"] += 1

    @property
    def deadline(self) -> float:
        """The monotonic time at which the next ad expires; infinity without ads."""
        return self._cache.next_expiry

    @property
    def topics(self) -> int:
        """The number of topics with an ad in the cache."""
        return self._cache.topics

    def __len__(self) -> int:
        """Return the number of ads in the cache."""
        return len(self._cache)

    def _address_of(self, node: Node, source_ip: IPAddress) -> IPAddress | None:
        """The address that an ad counts for: the source, if the record states it.

        The source is proven by the session, the record is not: any address can stand there. From a
        host on our own network the record's counts, which others reach it by.
        """
        source, record = canonical(source_ip), node.record
        assert record is not None
        if source == node.ip:
            return source
        stated = [canonical(ip) for ip in (record.ip, record.ip6) if ip is not None]
        if source in stated:
            return source
        return node.ip if self._own.contains(source) else None

    def _first_request(self, data: bytes, digest: bytes, ip: IPAddress, now: float) -> float:
        """The time from which an ad has waited: its ticket's, or now (discv5-theory, "Tickets")."""
        if not data:
            return now
        ticket = self._tickets.open(data, digest, ip, now)
        if isinstance(ticket, TicketError):
            self.counters[ticket.value] += 1
            return now
        return ticket.first

    def _decide(self, ad: Ad, digest: bytes, first: float, now: float) -> Decision:
        """Admit an ad that has waited since ``first``, or issue a ticket."""
        renewed = self._cache.get(ad.topic, ad.node.id)
        quote = self._waiting.quote(ad.topic, ad.ip, renewed, now)
        remaining_s = quote.wait_s - (now - first)
        if remaining_s <= 0.0:
            return self._admit(ad, renewed)
        self._waiting.issued(ad.topic, quote, now)
        wait_ms = ceil(min(remaining_s, self._config.ad_lifetime_s) * 1000)
        self.counters["waiting"] += 1
        return Wait(self._tickets.seal(Ticket(first, now, wait_ms), digest, ad.ip), wait_ms)

    def _expiry(self, now: Now) -> float:
        return now.monotonic + self._config.ad_lifetime_s

    def _admit(self, ad: Ad, renewed: Ad | None) -> Admitted:
        if renewed is not None:
            self._cache.remove(renewed)
        self._cache.add(ad)
        self._waiting.admitted(ad)
        if renewed is not None:  # last, so that the bounds of its service and address stay
            self._waiting.removed(renewed)
        self.counters["admitted" if renewed is None else "renewed"] += 1
        return Admitted(int(self._config.ad_lifetime_s * 1000))

    def _refuse(self, reason: str) -> Refused:
        self.counters["refused"] += 1
        return Refused(reason)
