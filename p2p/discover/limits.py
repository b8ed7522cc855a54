"""What strangers can make us do: packets to look at, keys to recover, bytes to send.

Pure. Anybody can send us datagrams under any source address, so nothing here trusts one: every
count is bounded in memory, and forgetting one never allows more than the global limit.

:class:`SourceLimits` bounds the packets whose signature is worth recovering (60 µs each). A source
is a network, since addresses within one are cheap. Nodes that we know or wait for have only the
limit of their own network; all others share a second one, so that a flood from forged addresses
leaves the nodes of the table undisturbed. Local networks have no limit: many nodes may share one
address there, and who is on them can disturb us in simpler ways.

:class:`Ledger` keeps the answers to an address that nobody has proved within three times of what
came from it, so that we are no amplifier (discovery v4, "Endpoint Proof").
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Generic, TypeVar

from p2p.netutil import IPAddress, is_lan

#: Bytes that may go to an unproven address for each byte that came from it.
MAX_AMPLIFICATION = 3

#: Addresses a ledger remembers. A forgotten one has to send something first before it is answered.
MAX_LEDGER = 4096

K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class Limits:
    """Packets whose signature is recovered, per second and at once.

    ``source`` holds for each network (/24, or /64 of IPv6), ``strangers`` for all packets together
    from addresses that no known node has. A node pings us a few times an hour, and asks us perhaps
    a hundred times in a lookup of its own.
    """

    source_per_s: float = 100.0
    source_burst: float = 200.0
    strangers_per_s: float = 1000.0
    strangers_burst: float = 2000.0
    max_sources: int = 4096


class TokenBuckets(Generic[K]):
    """A bucket of tokens for each key, filled at a constant rate. Bounded: the idle one goes."""

    def __init__(self, per_s: float, burst: float, max_keys: int) -> None:
        self._per_s = per_s
        self._burst = burst
        self._max_keys = max_keys
        self._levels: OrderedDict[K, tuple[float, float]] = OrderedDict()  # tokens, when

    def level(self, key: K, now: float) -> float:
        """How many tokens there are."""
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
    """Who may have a signature looked at now."""

    def __init__(self, limits: Limits) -> None:
        self._sources: TokenBuckets[tuple[int, int]] = TokenBuckets(
            limits.source_per_s, limits.source_burst, limits.max_sources
        )
        self._strangers: TokenBuckets[None] = TokenBuckets(
            limits.strangers_per_s, limits.strangers_burst, 1
        )

    def allows(self, ip: IPAddress, known: bool, now: float) -> bool:
        """Whether a packet from ``ip`` may cost us a recovery; ``known``: a node is there."""
        if is_lan(ip):
            return True
        if not known and self._strangers.level(None, now) < 1.0:
            return False
        return self._sources.level(_network(ip), now) >= 1.0

    def spent(self, ip: IPAddress, known: bool, now: float) -> None:
        """It has cost us one."""
        if is_lan(ip):
            return
        self._sources.take(_network(ip), now)
        if not known:
            self._strangers.take(None, now)

    def __len__(self) -> int:
        """How many networks are remembered."""
        return len(self._sources)


def _network(ip: IPAddress) -> tuple[int, int]:
    return (4, int(ip) >> 8) if ip.version == 4 else (6, int(ip) >> 64)


class Ledger:
    """Bytes from and to addresses that nobody has proved."""

    def __init__(self, max_addresses: int = MAX_LEDGER) -> None:
        self._max = max_addresses
        self._bytes: OrderedDict[IPAddress, tuple[int, int]] = OrderedDict()

    def received(self, ip: IPAddress, size_bytes: int) -> None:
        """So much came from there."""
        came, went = self._bytes.get(ip, (0, 0))
        self._bytes[ip] = came + size_bytes, went
        self._bytes.move_to_end(ip)
        if len(self._bytes) > self._max:
            self._bytes.popitem(last=False)

    def spend(self, ip: IPAddress, size_bytes: int) -> bool:
        """Whether so much may be sent there; if so, it is counted as sent."""
        came, went = self._bytes.get(ip, (0, 0))
        if went + size_bytes > MAX_AMPLIFICATION * came:
            return False
        self._bytes[ip] = came, went + size_bytes
        return True

    def of(self, ip: IPAddress) -> tuple[int, int]:
        """Bytes that came from there, and that went there in answer."""
        return self._bytes.get(ip, (0, 0))

    def __len__(self) -> int:
        return len(self._bytes)
