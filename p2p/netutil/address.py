"""The scope of an IP address: this host, a local network, the Internet, or none.

Pure. The scopes come from one table, :mod:`p2p.netutil.registry`. The predicates of
:mod:`ipaddress` are used nowhere: their lists differ between Python releases, and most of them
treat ``::ffff:127.0.0.1`` as IPv6.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import TypeAlias

from p2p.netutil.registry import SCOPES, Scope

IPAddress: TypeAlias = IPv4Address | IPv6Address
IPNetwork: TypeAlias = IPv4Network | IPv6Network

_LINK_LOCAL = {4: ip_network("169.254.0.0/16"), 6: ip_network("fe80::/10")}
_MULTICAST = {4: ip_network("224.0.0.0/4"), 6: ip_network("ff00::/8")}


def unmap(ip: IPAddress) -> IPAddress:
    """Return the IPv4 address inside an IPv4-mapped one (``::ffff:a.b.c.d``), or else ``ip``."""
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    return ip


def canonical(ip: IPAddress) -> IPAddress:
    """Return ``ip`` as :func:`unmap` does, and without a zone, which is local to a machine."""
    ip = unmap(ip)
    return IPv6Address(int(ip)) if isinstance(ip, IPv6Address) else ip


def scope_of(ip: IPAddress) -> Scope:
    """Return the scope of ``ip``; :attr:`Scope.NONE` for an address that no node can have."""
    ip = unmap(ip)
    return SCOPES[ip.version][int(ip)]


def is_lan(ip: IPAddress) -> bool:
    """Whether ``ip`` is on a local network: loopback, link-local, private or shared addresses."""
    return Scope.NONE < scope_of(ip) < Scope.GLOBAL


def is_special_network(ip: IPAddress) -> bool:
    """Whether no node can have ``ip``: broadcast, multicast, documentation, ...

    Local networks are not special; see :func:`is_lan`.
    """
    return scope_of(ip) is Scope.NONE


def is_loopback(ip: IPAddress) -> bool:
    """Whether ``ip`` is a loopback address, of this host."""
    return scope_of(ip) is Scope.HOST


def is_link_local(ip: IPAddress) -> bool:
    """Whether ``ip`` is an address of one link only; that of IPv6 needs a zone to be used."""
    ip = unmap(ip)
    return ip in _LINK_LOCAL[ip.version]


def is_multicast(ip: IPAddress) -> bool:
    """Whether ``ip`` is the address of a group of hosts."""
    ip = unmap(ip)
    return ip in _MULTICAST[ip.version]


def is_unspecified(ip: IPAddress) -> bool:
    """Whether ``ip`` is the zero address."""
    return int(unmap(ip)) == 0
