"""Limits on dials: their time, the backoff of searches for a node, and the nodes per network.

Pure; the server's I/O thread owns them. ``now`` is in monotonic seconds.

Identities cost nothing, addresses in many networks do. An attacker with thousands of identities in
a few networks appears in every lookup near them; if all were dialed, most dials would go to the
attacker (an eclipse attack). So of each network of the Internet, a /24 or with IPv6 a /48, only
``NETWORK_LIMIT`` candidates are dialed in ``NETWORK_WINDOW_S``. Nodes that the user named are not
counted.
"""

from __future__ import annotations

from collections import Counter, deque
from ipaddress import IPv4Address, IPv6Address

from p2p.netutil import LAN, Network, OwnNetworks, network_of

#: Longest time from the first packet to the TCP connection. Also how long ``connect`` waits for a
#: peer if the caller gives no timeout.
DIAL_TIMEOUT_S = 15.0

#: First and longest pause before discovery is asked again for a node that it did not find.
INITIAL_RESOLVE_DELAY_S = 60.0
MAX_RESOLVE_DELAY_S = 3600.0
#: Nodes of one network dialed in NETWORK_WINDOW_S, as many as share a bucket of the node table.
NETWORK_LIMIT = 2
#: Window of the limit. A node that keeps its slots filled dials 60 others in that time.
NETWORK_WINDOW_S = 300.0
#: Limit on the dials that are kept; far more than can happen within the window.
MAX_DIALS = 10_000


class ResolveBackoff:
    """The earliest time, per node, at which discovery may be asked for it again.

    The pause is a minute after the node was found, or was not found for the first time. It doubles
    after each further failure, up to an hour.
    """

    def __init__(self) -> None:
        self._next: dict[bytes, tuple[float, float]] = {}  # ID -> (time, delay after that)

    def may_ask(self, node_id: bytes, now: float) -> bool:
        """Whether discovery may be asked for the node now."""
        return now >= self._next.get(node_id, (now, 0.0))[0]

    def asked(self, node_id: bytes, found: bool, now: float) -> None:
        """Note a search for the node, and whether it was ``found``."""
        delay = self._next.get(node_id, (now, INITIAL_RESOLVE_DELAY_S))[1]
        if found:
            # Wait here, too: the address may be unchanged, and the node just refuses us.
            self._next[node_id] = (now + INITIAL_RESOLVE_DELAY_S, INITIAL_RESOLVE_DELAY_S)
        else:
            self._next[node_id] = (now + delay, min(delay * 2, MAX_RESOLVE_DELAY_S))

    def drop(self, node_id: bytes) -> None:
        """Drop the node: it is not static any more, or has a new address."""
        self._next.pop(node_id, None)


class NetworkLimit:
    """Limit of dials per network: counts those within the window; ``own`` networks have none."""

    def __init__(self, own: OwnNetworks = LAN) -> None:
        self._own = own
        self._dials: deque[tuple[float, Network]] = deque()  # (end of the window, network), sorted
        self._counts: Counter[Network] = Counter()

    def is_full(self, ip: IPv4Address | IPv6Address, now: float) -> bool:
        """Whether enough nodes of the network of ``ip`` have been dialed for now."""
        while self._dials and self._dials[0][0] <= now:
            self._drop_oldest()
        return self._counts[network_of(ip)] >= NETWORK_LIMIT and not self._own.contains(ip)

    def add(self, ip: IPv4Address | IPv6Address, now: float) -> None:
        """Count a dial of a node at ``ip``."""
        network = network_of(ip)
        self._dials.append((now + NETWORK_WINDOW_S, network))
        self._counts[network] += 1
        if len(self._dials) > MAX_DIALS:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        _, network = self._dials.popleft()
        self._counts[network] -= 1
        if not self._counts[network]:
            del self._counts[network]
