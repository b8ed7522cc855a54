"""Admission control: the rules for accepting connections and peers.

It owns the checks of a peer once its claimed identity is known, the check of an address against
``net_restrict``, and the throttle that lets one host of the Internet connect once in 30 s. It does
not own the peer set or any connection: numbers and sets go in, a decision comes out.

Pure. The rules and their order are those of go-ethereum, so that both refuse the same peer for the
same reason; RLPx, "Disconnect (0x01)" names the reasons.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Container
from ipaddress import IPv4Address, IPv6Address

from p2p.errors import DiscReason
from p2p.netutil import LAN, Netlist, Network, OwnNetworks, host_of

#: Seconds in which an address outside our own networks may connect once.
INBOUND_WINDOW_S = 30.0

#: Most addresses that the throttle keeps, a few MiB. Beyond that the oldest is dropped: an
#: attacker with this many addresses has no need to use one of them twice.
MAX_THROTTLED_ADDRESSES = 16_384


def check_peer(
    node_id: bytes,
    *,
    self_id: bytes,
    inbound: bool,
    trusted: bool,
    connected: Container[bytes],
    peer_count: int,
    inbound_count: int,
    max_peers: int,
    max_inbound: int,
) -> DiscReason | None:
    """Return the reason why the node with the ID ``node_id`` cannot be a peer, or None if it can.

    ``connected`` holds the IDs of the present peers. There are ``peer_count`` of them, and
    ``inbound_count`` of those dialed us. A trusted node is exempt from the two limits, but from no
    other check. Call it after the encryption handshake, and again after the hello, which proves the
    ID: the peers may have changed by then.
    """
    if not trusted and peer_count >= max_peers:
        return DiscReason.TOO_MANY_PEERS
    if not trusted and inbound and inbound_count >= max_inbound:
        return DiscReason.TOO_MANY_PEERS
    if node_id in connected:
        return DiscReason.ALREADY_CONNECTED
    if node_id == self_id:
        return DiscReason.SELF
    return None


def is_allowed_address(ip: IPv4Address | IPv6Address, net_restrict: Netlist | None) -> bool:
    """Whether ``net_restrict`` allows connections with ``ip``; None allows every address."""
    return net_restrict is None or net_restrict.contains(ip)


class InboundThrottle:
    """Limit of one connection in ``window_s`` seconds from an address outside ``own`` networks.

    The IPv6 addresses of a /64 count as one: the smallest network that a site gets has 2**64 of
    them.

    A handshake costs us a signature recovery and a key agreement; the throttle bounds the work that
    one unverified remote can cause. A refused attempt does not lengthen the wait.
    """

    def __init__(
        self,
        window_s: float = INBOUND_WINDOW_S,
        max_addresses: int = MAX_THROTTLED_ADDRESSES,
        own: OwnNetworks = LAN,
    ) -> None:
        self._own = own
        self._window_s = window_s
        self._max_addresses = max_addresses
        # time of the last admission of each host, oldest first
        self._admitted: OrderedDict[Network, float] = OrderedDict()

    def __len__(self) -> int:
        """Return the number of hosts kept."""
        return len(self._admitted)

    def check(self, ip: IPv4Address | IPv6Address, now: float) -> bool:
        """Whether ``ip`` may connect at ``now`` (monotonic seconds); if so, record it."""
        self._expire(now)
        if self._own.contains(ip):
            return True
        host = host_of(ip)
        if host in self._admitted:
            return False
        if len(self._admitted) >= self._max_addresses:
            self._admitted.popitem(last=False)
        self._admitted[host] = now
        return True

    def _expire(self, now: float) -> None:
        while self._admitted:
            oldest = next(iter(self._admitted.values()))
            if now - oldest < self._window_s:
                return
            self._admitted.popitem(last=False)
