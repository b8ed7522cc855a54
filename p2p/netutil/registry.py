"""The special address blocks, and the scope of each.

Pure. One row for each block of IANA's special-purpose registries (RFC 6890, RFC 8190) as of
:data:`REGISTRY_DATE`, and for two kinds of blocks outside of them that no node can be in: multicast
and IPv4-compatible addresses. The most specific block decides; an address in no block is global.
IPv4-mapped addresses (``::ffff:0:0/96``) count as the IPv4 addresses inside, see
:func:`p2p.netutil.unmap`. docs/design/special-addresses.md gives the reasons.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from enum import IntEnum
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import NamedTuple

#: The last update of both registries that the rows below include.
REGISTRY_DATE = "2025-10-09"


class Scope(IntEnum):
    """The reach of an address."""

    #: No node can have it: not relayed, and not dialed unless the user names the node.
    NONE = 0
    #: This host.
    HOST = 1
    #: One link.
    LINK = 2
    #: The networks of one organization.
    SITE = 3
    #: The Internet.
    GLOBAL = 4


class Block(NamedTuple):
    """A row of the table."""

    network: IPv4Network | IPv6Network
    scope: Scope
    name: str
    source: str


def _block(text: str, scope: Scope, name: str, source: str) -> Block:
    return Block(ip_network(text), scope, name, source)


_NONE, _HOST, _LINK, _SITE = Scope.NONE, Scope.HOST, Scope.LINK, Scope.SITE

BLOCKS: tuple[Block, ...] = (
    _block("0.0.0.0/8", _NONE, "this network", "RFC 791"),
    _block("0.0.0.0/32", _NONE, "this host on this network", "RFC 1122"),
    _block("10.0.0.0/8", _SITE, "private use", "RFC 1918"),
    _block("100.64.0.0/10", _SITE, "shared address space", "RFC 6598"),
    _block("127.0.0.0/8", _HOST, "loopback", "RFC 1122"),
    _block("169.254.0.0/16", _LINK, "link-local", "RFC 3927"),
    _block("172.16.0.0/12", _SITE, "private use", "RFC 1918"),
    _block("192.0.0.0/24", _NONE, "IETF protocol assignments", "RFC 6890"),
    _block("192.0.0.0/29", _NONE, "IPv4 service continuity", "RFC 7335"),
    _block("192.0.0.8/32", _NONE, "IPv4 dummy address", "RFC 7600"),
    _block("192.0.0.9/32", _NONE, "PCP anycast", "RFC 7723"),
    _block("192.0.0.10/32", _NONE, "TURN anycast", "RFC 8155"),
    _block("192.0.0.170/32", _NONE, "NAT64 discovery", "RFC 7050"),
    _block("192.0.0.171/32", _NONE, "NAT64 discovery", "RFC 7050"),
    _block("192.0.2.0/24", _NONE, "documentation 1", "RFC 5737"),
    _block("192.31.196.0/24", _NONE, "AS112", "RFC 7535"),
    _block("192.52.193.0/24", _NONE, "AMT", "RFC 7450"),
    _block("192.88.99.0/24", _NONE, "6to4 relay anycast, deprecated", "RFC 7526"),
    _block("192.88.99.2/32", _NONE, "6a44 relay anycast", "RFC 6751"),
    _block("192.168.0.0/16", _SITE, "private use", "RFC 1918"),
    _block("192.175.48.0/24", _NONE, "AS112 direct delegation", "RFC 7534"),
    _block("198.18.0.0/15", _NONE, "benchmarks", "RFC 2544"),
    _block("198.51.100.0/24", _NONE, "documentation 2", "RFC 5737"),
    _block("203.0.113.0/24", _NONE, "documentation 3", "RFC 5737"),
    _block("224.0.0.0/4", _NONE, "multicast", "RFC 1112"),
    _block("240.0.0.0/4", _NONE, "reserved", "RFC 1112"),
    _block("255.255.255.255/32", _NONE, "limited broadcast", "RFC 919"),
    _block("::/96", _NONE, "IPv4-compatible, deprecated", "RFC 4291"),
    _block("::/128", _NONE, "unspecified", "RFC 4291"),
    _block("::1/128", _HOST, "loopback", "RFC 4291"),
    _block("64:ff9b::/96", _NONE, "IPv4/IPv6 translation", "RFC 6052"),
    _block("64:ff9b:1::/48", _NONE, "IPv4/IPv6 translation, local use", "RFC 8215"),
    _block("100::/64", _NONE, "discard only", "RFC 6666"),
    _block("100:0:0:1::/64", _NONE, "dummy prefix", "RFC 9780"),
    _block("2001::/23", _NONE, "IETF protocol assignments", "RFC 2928"),
    _block("2001::/32", _NONE, "Teredo", "RFC 4380"),
    _block("2001:1::1/128", _NONE, "PCP anycast", "RFC 7723"),
    _block("2001:1::2/128", _NONE, "TURN anycast", "RFC 8155"),
    _block("2001:1::3/128", _NONE, "DNS-SD registration anycast", "RFC 9665"),
    _block("2001:2::/48", _NONE, "benchmarks", "RFC 5180"),
    _block("2001:3::/32", _NONE, "AMT", "RFC 7450"),
    _block("2001:4:112::/48", _NONE, "AS112", "RFC 7535"),
    _block("2001:10::/28", _NONE, "ORCHID, deprecated", "RFC 4843"),
    _block("2001:20::/28", _NONE, "ORCHIDv2", "RFC 7343"),
    _block("2001:30::/28", _NONE, "drone remote ID", "RFC 9374"),
    _block("2001:db8::/32", _NONE, "documentation", "RFC 3849"),
    _block("2002::/16", _NONE, "6to4", "RFC 3056"),
    _block("2620:4f:8000::/48", _NONE, "AS112 direct delegation", "RFC 7534"),
    _block("3fff::/20", _NONE, "documentation", "RFC 9637"),
    _block("5f00::/16", _NONE, "SRv6 SIDs", "RFC 9602"),
    _block("fc00::/7", _SITE, "unique local", "RFC 4193"),
    _block("fe80::/10", _LINK, "link-local", "RFC 4291"),
    _block("ff00::/8", _NONE, "multicast", "RFC 4291"),
)


class ScopeMap:
    """The blocks of one IP version as consecutive ranges, so that a look-up is one bisection."""

    def __init__(self, blocks: Iterable[Block]) -> None:
        narrow = [  # the most specific first
            (int(block.network.network_address), int(block.network.broadcast_address), block.scope)
            for block in sorted(blocks, key=lambda block: -block.network.prefixlen)
        ]
        ends = {last + 1 for _, last, _ in narrow}
        self._starts = sorted({0, *ends, *(first for first, _, _ in narrow)})
        self._scopes = [
            next((scope for first, last, scope in narrow if first <= start <= last), Scope.GLOBAL)
            for start in self._starts
        ]

    def __getitem__(self, number: int) -> Scope:
        """Return the scope of an address, given as an integer."""
        return self._scopes[bisect_right(self._starts, number) - 1]


SCOPES = {
    version: ScopeMap(block for block in BLOCKS if block.network.version == version)
    for version in (4, 6)
}
