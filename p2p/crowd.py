"""How many nodes of one network are dialed, so that no one network gets all dials.

Identities cost nothing, addresses in many networks do. Whoever has thousands of identities in a
few networks is named by every lookup near them; if all were dialed, most dials would go to that
party (an eclipse attack). So of each network of the Internet, a /24 or with IPv6 a /48, only a
few of the nodes that others have named are dialed in a while. Nodes that the user named are not
counted.

Pure; the server's I/O thread owns it. ``now`` is in monotonic seconds.
"""

from __future__ import annotations

from collections import Counter, deque
from ipaddress import IPv4Address, IPv6Address

from p2p.netutil import Network, is_lan, routed_network_of

#: Nodes of one network dialed in CROWD_WINDOW_S, as many as share a bucket of the node table.
CROWD_LIMIT = 2
#: Seconds. A node that keeps its slots filled dials 60 others in that time.
CROWD_WINDOW_S = 300.0
#: Dials remembered at most; far more than there can be in the time.
MAX_REMEMBERED = 10_000


class Crowd:
    """The networks dialed lately."""

    def __init__(self) -> None:
        self._dials: deque[tuple[float, Network]] = deque()  # when to forget it, the earliest first
        self._counts: Counter[Network] = Counter()

    def is_full(self, ip: IPv4Address | IPv6Address, now: float) -> bool:
        """Whether enough nodes of the network of ``ip`` have been dialed for now."""
        while self._dials and self._dials[0][0] <= now:
            self._forget_oldest()
        return self._counts[routed_network_of(ip)] >= CROWD_LIMIT and not is_lan(ip)

    def add(self, ip: IPv4Address | IPv6Address, now: float) -> None:
        """A node at ``ip`` is dialed."""
        network = routed_network_of(ip)
        self._dials.append((now + CROWD_WINDOW_S, network))
        self._counts[network] += 1
        if len(self._dials) > MAX_REMEMBERED:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        _, network = self._dials.popleft()
        self._counts[network] -= 1
        if not self._counts[network]:
            del self._counts[network]
