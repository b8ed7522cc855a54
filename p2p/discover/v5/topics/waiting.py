"""The waiting time: how long an ad must have waited to be admitted.

Pure. Specification: discv5-theory, "Waiting-Time Function"::

    w(ad) = E * 1 / (1 - c/C)^Pocc * ( c(ad.service)/c + score(ad.IP) + G )

    E       lifetime of an ad                    c              ads in the cache
    C       capacity of the cache                c(ad.service)  of these, with the same service
    Pocc    occupancy exponent                   score(ad.IP)   IP similarity (iptree)
    G       safety constant

A lower bound ("Waiting-Time Lower Bound") is kept for each service in the cache and for each prefix
in the trees of addresses, and for nothing else. The service's is that of the first term; that of
the address includes G, so that no term is without one. Nothing above E is kept: no ticket tells to
wait longer (:mod:`.registrar`), and after a burst of ads, which may raise a waiting time to years,
the service would else stay closed for as long.

An ad that is to be renewed does not count: neither for its service, nor for its address, nor as one
of all. Otherwise an advertiser that renews would wait longer than one that lets its ad expire.

Addresses of the user's own networks are in no tree and have the score 0, as in the fork of
go-ethereum by the authors of TopDisc: they are similar by nature, and no host outside can send
from there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from p2p.discover.v5.topics.adcache import Ad, AdCache
from p2p.discover.v5.topics.iptree import IPTree, Match, Vertex
from p2p.discover.v5.topics.lowerbound import NO_BOUND, LowerBound
from p2p.netutil import LAN, IPAddress, OwnNetworks


@dataclass(frozen=True, slots=True)
class RegistrarConfig:
    """Parameters of a registrar (discv5-theory, "Parameters").

    ``ad_lifetime_s`` is E, ``capacity`` is C, ``occupancy_exponent`` is Pocc, ``safety`` is G.
    ``window_s`` is δ, which the specification leaves open: how late a ticket may come back. The
    fork of go-ethereum by the authors of TopDisc has 5 s; here an advertiser that gets no answer
    has the time to send its request again.
    """

    ad_lifetime_s: float = 900.0
    capacity: int = 1000
    occupancy_exponent: float = 10.0
    safety: float = 1e-7
    window_s: float = 10.0


class Quote(NamedTuple):
    """A waiting time of ``wait_s`` seconds, and the computed terms that the bounds are raised to.

    ``vertex`` has the bound of the address; None for an address of an own network.
    """

    wait_s: float
    service_s: float
    address_s: float
    vertex: Vertex | None


class WaitingTime:
    """The waiting-time function of a registrar with the ads in ``cache``."""

    def __init__(self, cache: AdCache, config: RegistrarConfig, own: OwnNetworks = LAN) -> None:
        self._cache = cache
        self._config = config
        self._own = own
        self._trees = {4: IPTree(32), 6: IPTree(128)}
        self._services: dict[bytes, LowerBound] = {}

    def quote(self, topic: bytes, ip: IPAddress, renewed: Ad | None, now: float) -> Quote:
        """Return the waiting time of an ad at ``ip``; ``renewed`` is the one that it replaces."""
        match = self._match(ip, renewed)
        score, vertex = match if match is not None else (0.0, None)
        scale_s = self._scale_s(len(self._cache) - (renewed is not None))
        service_s = _product(scale_s, self._share(topic, renewed))
        address_s = _product(scale_s, score + self._config.safety)
        wait_s = max(service_s, self._services.get(topic, NO_BOUND).at(now)) + max(
            address_s, (NO_BOUND if vertex is None else vertex.bound).at(now)
        )
        return Quote(wait_s, service_s, address_s, vertex)

    def issued(self, topic: bytes, quote: Quote, now: float) -> None:
        """Raise the lower bounds to a quote, for which a ticket is issued."""
        limit_s = self._config.ad_lifetime_s
        if topic in self._services:
            bound = self._services[topic]
            self._services[topic] = bound.raised(min(quote.service_s, limit_s), now)
        if quote.vertex is not None:
            quote.vertex.bound = quote.vertex.bound.raised(min(quote.address_s, limit_s), now)

    def admitted(self, ad: Ad) -> None:
        """Count an ad that the cache has got."""
        self._services.setdefault(ad.topic, NO_BOUND)
        if not self._own.contains(ad.ip):
            self._trees[ad.ip.version].add(ad.ip)

    def removed(self, ad: Ad) -> None:
        """Count an ad no more that the cache has lost; after :meth:`admitted` of a new one."""
        if not self._cache.count(ad.topic):
            self._services.pop(ad.topic, None)
        if not self._own.contains(ad.ip):
            self._trees[ad.ip.version].remove(ad.ip)

    def _match(self, ip: IPAddress, renewed: Ad | None) -> Match | None:
        if self._own.contains(ip):
            return None
        is_same = renewed is not None and renewed.ip == ip
        return self._trees[ip.version].match(ip, own=int(is_same))

    def _share(self, topic: bytes, renewed: Ad | None) -> float:
        """The part of the ads that have this service; 0 without ads."""
        others = 0 if renewed is None else 1
        total = len(self._cache) - others
        return (self._cache.count(topic) - others) / total if total else 0.0

    def _scale_s(self, count: int) -> float:
        """E times the occupancy term; infinity for a full cache."""
        room = 1.0 - count / self._cache.capacity
        if room <= 0.0:
            return math.inf
        return self._config.ad_lifetime_s * math.pow(room, -self._config.occupancy_exponent)


def _product(scale_s: float, part: float) -> float:
    """The product, where infinity times 0 is infinity: a full cache admits nothing."""
    return math.inf if scale_s == math.inf else scale_s * part
