"""Addresses of simulated hosts.

Pure. Hosts are in 240.0.0.0/8, which RFC 1112 reserves and routers do not forward: a node of a
simulation that is given to a socket of the system leads nowhere.

A network in memory looks addresses up several times for each datagram, and their hash, which
:mod:`ipaddress` computes each time, would be a good part of the cost of a large one.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from p2p.netutil import IPAddress, Netlist, ip_of

#: The network of simulated hosts. They treat its addresses as those of the Internet.
SIMULATED = Netlist((IPv4Network("240.0.0.0/8"),))

# First address outside of routers, and first address inside of one; size of a /24.
_OUTSIDE = int(IPv4Address("240.0.0.1"))
_INSIDE = int(IPv4Address("192.168.0.1"))
_NETWORK = 256


class HashedIPv4(IPv4Address):
    """An IPv4 address that caches its hash."""

    __slots__ = ("_cached_hash",)

    def __init__(self, address: object) -> None:
        super().__init__(address)
        self._cached_hash = super().__hash__()

    @staticmethod
    def of(ip: IPAddress | str) -> IPAddress:
        """Return the same address. Raises ArgumentError unless it is an address or its text."""
        ip = ip_of(ip)
        return HashedIPv4(int(ip)) if isinstance(ip, IPv4Address) else ip

    def __hash__(self) -> int:
        return self._cached_hash


def outside_ip(number: int) -> IPAddress:
    """Return the address of host ``number``, in a network (/24) of its own."""
    return HashedIPv4(_OUTSIDE + number * _NETWORK)


def inside_ip(number: int) -> IPAddress:
    """Return the address of host ``number`` of a home network."""
    return HashedIPv4(_INSIDE + number)
