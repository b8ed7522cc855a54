"""Who may connect and who may stay: the rules the server asks before it takes a peer.

It owns how the peer slots are shared between dialed and inbound connections, the checks of a peer
once it says who it is, the check of an address against ``net_restrict``, and the throttle that
lets one host of the Internet knock once in 30 s. It does not own the peer set or any
connection: numbers and sets go in, a verdict comes out.

Pure. The rules and their order are those of go-ethereum, so that both refuse the same peer for the
same reason; RLPx, "Disconnect (0x01)" names the reasons.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Container
from ipaddress import IPv4Address, IPv6Address

from p2p.errors import DiscReason
from p2p.netutil import Netlist, Network, is_lan, network_of

#: One connection out of this many peers is dialed, when the configuration does not say.
DEFAULT_DIAL_RATIO = 3

#: Seconds in which an address outside the LAN may connect once.
INBOUND_WINDOW_S = 30.0

#: Leading bits by which it tells addresses apart: all of an IPv4 address, a /64 of IPv6.
HOST_BITS = 64

#: Addresses the throttle remembers at most, a few MiB. Past it the oldest is forgotten: whoever
#: commands this many addresses has no need to come twice from one of them.
MAX_THROTTLED_ADDRESSES = 16_384


def max_dialed_conns(max_peers: int, dial_ratio: int = 0, no_dial: bool = False) -> int:
    """How many peers may be ones we dialed: ``max_peers / dial_ratio``, but at least one.

    A ratio of 0 stands for 3. With ``no_dial`` or without any peers it is 0.
    """
    if no_dial or max_peers == 0:
        return 0
    return max(1, max_peers // (dial_ratio or DEFAULT_DIAL_RATIO))


def max_inbound_conns(max_peers: int, dial_ratio: int = 0, no_dial: bool = False) -> int:
    """How many peers may be ones that dialed us: all that :func:`max_dialed_conns` leaves."""
    return max_peers - max_dialed_conns(max_peers, dial_ratio, no_dial)


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
    """Return why the node with the ID ``node_id`` cannot be a peer, or None if it can.

    ``connected`` holds the IDs of the peers there are, ``peer_count`` of them, of which
    ``inbound_count`` dialed us. A trusted node passes the two limits, but no other check. Ask
    after the encryption handshake, and again after the hello, which proves the ID: the peers may
    be others by then.
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
    """Whether ``net_restrict`` lets us talk to ``ip``; None allows every address."""
    return net_restrict is None or net_restrict.contains(ip)


class InboundThrottle:
    """Lets each address outside the LAN connect once in ``window_s`` seconds.

    Of IPv6 addresses all of a /64 count as one: the smallest network that is given to anybody has
    2**64 of them.

    A handshake costs us a signature recovery and a key agreement; this bounds what one stranger
    can make us compute. A refused attempt does not lengthen the wait.
    """

    def __init__(
        self, window_s: float = INBOUND_WINDOW_S, max_addresses: int = MAX_THROTTLED_ADDRESSES
    ) -> None:
        self._window_s = window_s
        self._max_addresses = max_addresses
        # when each address was last let in, oldest first
        self._admitted: OrderedDict[Network, float] = OrderedDict()

    def __len__(self) -> int:
        """How many addresses are remembered."""
        return len(self._admitted)

    def check(self, ip: IPv4Address | IPv6Address, now: float) -> bool:
        """Whether ``ip`` may connect at ``now`` (monotonic seconds); if so, remember it."""
        self._expire(now)
        if is_lan(ip):
            return True
        network = network_of(ip, HOST_BITS)  # of IPv4 the whole address
        if network in self._admitted:
            return False
        if len(self._admitted) >= self._max_addresses:
            self._admitted.popitem(last=False)
        self._admitted[network] = now
        return True

    def _expire(self, now: float) -> None:
        while self._admitted:
            oldest = next(iter(self._admitted.values()))
            if now - oldest < self._window_s:
                return
            self._admitted.popitem(last=False)
