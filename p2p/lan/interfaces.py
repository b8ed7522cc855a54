"""The choice of the interfaces at which nodes are announced and looked for.

Pure. An interface counts with its addresses of a local network, within ``net_restrict``, at which
the server can be reached. Loopback counts only for a server that listens there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface
from typing import TypeAlias

from p2p.netutil import (
    IPAddress,
    IPNetwork,
    Netlist,
    OwnNetworks,
    canonical,
    is_link_local,
    is_loopback,
    is_unspecified,
)

#: Limit on the interfaces in use, the first by their index: each takes two threads. Machines with
#: more have bridges of containers.
MAX_INTERFACES = 8
#: Limit on the addresses of one interface that are announced.
MAX_ADDRESSES = 4

IPInterface: TypeAlias = IPv4Interface | IPv6Interface


@dataclass(frozen=True)
class Interface:
    """An interface with some of its addresses, each with its network."""

    name: str
    index: int
    addresses: tuple[IPInterface, ...]

    @property
    def ips(self) -> tuple[IPAddress, ...]:
        """The addresses."""
        return tuple(canonical(address.ip) for address in self.addresses)

    @property
    def networks(self) -> tuple[IPNetwork, ...]:
        """The networks of the addresses."""
        return tuple(address.network for address in self.addresses)


def chosen(
    interfaces: Iterable[Interface],
    listening: IPAddress | None,
    has_ipv6: bool,
    own: OwnNetworks,
    net_restrict: Netlist | None,
) -> list[Interface]:
    """Return the interfaces to use, with the addresses to announce there.

    ``listening`` is the address that the server listens on: one of an interface, or the zero
    address for all of them, for IPv6 only with ``has_ipv6``. None: nothing is announced, and every
    interface of a local network is used.
    """
    found = []
    for interface in interfaces:
        kept = [
            address
            for address in interface.addresses
            if _is_local(address, own)
            and _is_reached(address, listening, has_ipv6)
            and (net_restrict is None or net_restrict.contains(address.ip))
        ]
        if kept:
            found.append(Interface(interface.name, interface.index, tuple(kept[:MAX_ADDRESSES])))
    return found[:MAX_INTERFACES]


def _is_local(address: IPInterface, own: OwnNetworks) -> bool:
    """Whether other hosts of a local network can have an address beside this one.

    A link-local address of IPv6 cannot be in a node record: it means nothing without a zone.
    """
    if address.version == 6 and is_link_local(address.ip):
        return False
    has_others = address.network.prefixlen < address.max_prefixlen
    return own.contains(address.ip) and has_others or is_loopback(address.ip)


def _is_reached(address: IPInterface, listening: IPAddress | None, has_ipv6: bool) -> bool:
    if listening is not None and not is_unspecified(listening):
        return canonical(address.ip) == listening
    return not is_loopback(address.ip) and (has_ipv6 or address.version == 4)
