"""Addresses of simulated hosts.

Pure. A network in memory looks addresses up several times for each datagram, and their hash, which
:mod:`ipaddress` computes anew each time, would be a good part of the cost of a large one.
"""

from __future__ import annotations

from ipaddress import IPv4Address, ip_address

from p2p.netutil import IPAddress

# Numbers of the first network outside, and of the first host inside.
_OUTSIDE = int(IPv4Address("20.0.0.1"))
_INSIDE = int(IPv4Address("192.168.0.1"))
_NETWORK = 256


class PlainIP(IPv4Address):
    """An IPv4 address like any other, that knows its hash."""

    __slots__ = ("_known_hash",)

    def __init__(self, address: object) -> None:
        super().__init__(address)
        self._known_hash = super().__hash__()

    @staticmethod
    def of(ip: IPAddress | str) -> IPAddress:
        """The same address. Raises ValueError for text that is none."""
        ip = ip_address(ip)
        return PlainIP(int(ip)) if isinstance(ip, IPv4Address) else ip

    def __hash__(self) -> int:
        return self._known_hash


def outside_ip(number: int) -> IPAddress:
    """An address in a network (/24) of its own."""
    return PlainIP(_OUTSIDE + number * _NETWORK)


def inside_ip(number: int) -> IPAddress:
    """An address of a home network."""
    return PlainIP(_INSIDE + number)
