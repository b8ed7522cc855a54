"""Which class an IP address belongs to.

Pure. The classes are those of go-ethereum's ``p2p/netutil``: the local network (loopback, private
use, link-local) and the special networks of the IANA registries (RFC 6890) that no node can be
reached at from elsewhere. The predicates of :mod:`ipaddress` are not used for this: their lists
differ between Python releases, and most of them look at ``::ffff:127.0.0.1`` as IPv6.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_network,
)
from typing import TypeAlias

IPAddress: TypeAlias = IPv4Address | IPv6Address
IPNetwork: TypeAlias = IPv4Network | IPv6Network


def _networks(*texts: str) -> tuple[IPNetwork, ...]:
    return tuple(ip_network(text) for text in texts)


_LAN = _networks(
    # loopback
    "127.0.0.0/8",
    "::1/128",
    # private use (RFC 1918, RFC 4193)
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "fc00::/7",
    # link-local (RFC 3927, RFC 4291)
    "169.254.0.0/16",
    "fe80::/10",
)

# The IANA special-purpose registries (RFC 6890), and multicast.
_SPECIAL = _networks(
    "0.0.0.0/8",  # this network
    "192.0.0.0/29",  # IPv4 service continuity
    "192.0.0.9/32",  # PCP anycast
    "192.0.0.170/32",  # NAT64 discovery
    "192.0.0.171/32",  # NAT64 discovery
    "192.0.2.0/24",  # documentation 1
    "192.31.196.0/24",  # AS112
    "192.52.193.0/24",  # AMT
    "192.88.99.0/24",  # 6to4 relay anycast
    "192.175.48.0/24",  # AS112
    "198.18.0.0/15",  # benchmarks
    "198.51.100.0/24",  # documentation 2
    "203.0.113.0/24",  # documentation 3
    "224.0.0.0/4",  # multicast
    "255.255.255.255/32",  # limited broadcast
    "100::/64",  # discard
    "2001::/32",  # Teredo
    "2001:1::1/128",  # PCP anycast
    "2001:2::/48",  # benchmarks
    "2001:3::/32",  # AMT
    "2001:4:112::/48",  # AS112
    "2001:5::/32",  # EID space of LISP
    "2001:10::/28",  # ORCHID
    "2001:20::/28",  # ORCHIDv2
    "2001:db8::/32",  # documentation
    "2002::/16",  # 6to4
    "ff00::/8",  # multicast
)


def unmap(ip: IPAddress) -> IPAddress:
    """The IPv4 address inside an IPv4-mapped IPv6 address (``::ffff:a.b.c.d``), or ``ip``."""
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    return ip


def is_lan(ip: IPAddress) -> bool:
    """Whether ``ip`` is on a local network: loopback, private use or link-local."""
    return _within(unmap(ip), _LAN)


def is_special_network(ip: IPAddress) -> bool:
    """Whether ``ip`` is set aside for a special use: broadcast, multicast, documentation, ...

    Local networks are not special; see :func:`is_lan`.
    """
    return _within(unmap(ip), _SPECIAL)


def _within(ip: IPAddress, networks: Iterable[IPNetwork]) -> bool:
    return any(ip in network for network in networks)
