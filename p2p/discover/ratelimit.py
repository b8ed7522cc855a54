"""Rate limit for signature recovery, per source network and for all unverified endpoints together.

Pure. Any host can send us datagrams under a forged source address, so no address is trusted: the
memory of each count is bounded, and a dropped count never allows more than the global limit.

A recovery takes 60 µs. A source is a network, since addresses within one are cheap. Nodes that we
know or wait for have only the limit of their own network; all others share a second limit, so that
a flood from forged addresses does not affect the nodes of the table. Our own networks have no
limit: many nodes may share one address there, and their hosts have simpler ways to disturb us.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Generic, TypeVar

from p2p.netutil import LAN, IPAddress, Network, OwnNetworks, network_of

K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class Limits:
    """Numbers of packets whose signature is recovered, per second and in a burst.

    ``source`` is the limit of each network (/24, or /48 of IPv6), ``unverified`` the limit of all
    packets together from addresses of no known node. ``max_sources`` is the largest number of
    networks kept. A node pings us a few times an hour, and sends perhaps a hundred queries in a
    lookup of its own.
    """

    source_per_s: float = 100.0
    source_burst: float = 200.0
    unverified_per_s: float = 1000.0
    unverified_burst: float = 2000.0
    max_sources: int = 4096


class TokenBuckets(Generic[K]):
    """A bucket of tokens for each key, filled with ``per_s`` tokens a second, up to ``burst``.

    It holds at most ``max_keys`` keys, and drops the one that was used least recently.
    """

    def __init__(self, per_s: float, burst: float, max_keys: int) -> None:
        self._per_s = per_s
        self._burst = burst
        self._max_keys = max_keys
        self._levels: OrderedDict[K, tuple[float, float]] = OrderedDict()  # (tokens, time)

    def level(self, key: K, now: float) -> float:
        """Return the number of tokens in a key's bucket."""
        tokens, since = self._levels.get(key, (self._burst, now))
        return min(self._burst, tokens + (now - since) * self._per_s)

    def take(self, key: K, now: float) -> None:
        """Take a token, if there is one."""
        self._levels[key] = (max(0.0, self.level(key, now) - 1.0), now)
        self._levels.move_to_end(key)
        if len(self._levels) > self._max_keys:
            self._levels.popitem(last=False)

    def __len__(self) -> int:
        return len(self._levels)


class SourceLimits:
    """Rate limit for signature recovery: one for each network, one for unverified endpoints."""

    def __init__(self, limits: Limits, own: OwnNetworks = LAN) -> None:
        self._own = own
        self._sources: TokenBuckets[Network] = TokenBuckets(
            limits.source_per_s, limits.source_burst, limits.max_sources
        )
        self._unverified: TokenBuckets[None] = TokenBuckets(
            limits.unverified_per_s, limits.unverified_burst, 1
        )

    def allows(self, ip: IPAddress, known: bool, now: float) -> bool:
        """Whether the signature of a packet from ``ip`` may be recovered now.

        ``known`` says whether a known node has that address.
        """
        if self._own.contains(ip):
            return True
        if not known and self._unverified.level(None, now) < 1.0:
            return False
        return self._sources.level(network_of(ip), now) >= 1.0

    def spent(self, ip: IPAddress, known: bool, now: float) -> None:
        """Count a recovery for a packet from ``ip``; arguments as for :meth:`allows`."""
        if self._own.contains(ip):
            return
        self._sources.take(network_of(ip), now)
        if not known:
            self._unverified.take(None, now)

    def __len__(self) -> int:
        """Return the number of networks kept."""
        return len(self._sources)
