"""Announcements of nodes by other hosts, and the checks that make a node of one.

Pure. An announcement is not signed, only the node record in it is: any host of the network can
repeat a record with other addresses. So a node is used only at an address

- of a local network, or of ``own_networks``;
- in a network of the interface by which the announcement came, or of ``own_networks``;
- that ``net_restrict`` allows;

and the addresses of its record, which are signed, come before those that are only announced. The
latter are needed where a node has several interfaces, or its record an address outside: a record
has one address for each IP version. A record with an address outside that a dial would try next is
refused: no announcement leads out of the local network.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from p2p.enode.node import Node
from p2p.enode.nodeid import NodeID
from p2p.errors import InvalidNode
from p2p.lan.interfaces import Interface
from p2p.lan.txt import record_of
from p2p.netutil import (
    IPAddress,
    Netlist,
    NodeEndpoint,
    OwnNetworks,
    canonical,
    is_link_local,
    is_loopback,
)

#: Limit on the addresses of an announcement that are looked at.
MAX_ADDRESSES = 16


@dataclass(frozen=True)
class Announcement:
    """An announcement in its parts: the TXT record, the TCP port and the addresses."""

    txt: bytes
    port: int
    ips: tuple[IPAddress, ...]


@dataclass(frozen=True)
class Checks:
    """The checks of announcements, by the options of the server."""

    own_id: NodeID
    own: OwnNetworks
    net_restrict: Netlist | None

    def node_of(self, announcement: Announcement, interface: Interface) -> Node | None:
        """Return the node that was announced at ``interface``; None for our own.

        Raises InvalidNode with the reason to refuse it.
        """
        node = Node.from_record(record_of(announcement.txt))
        if node.id == self.own_id:
            return None
        for ip, udp, tcp in _endpoints(node, announcement):
            if ip is not None and tcp and self._is_usable(ip, interface):
                return self._checked(node.with_endpoint(ip, tcp, udp))
        raise InvalidNode(f"no TCP endpoint in the networks of {interface.name}")

    def _is_usable(self, ip: IPAddress, interface: Interface) -> bool:
        if not self.own.contains(ip) or (ip.version == 6 and is_link_local(ip)):
            return False
        if self.net_restrict is not None and not self.net_restrict.contains(ip):
            return False
        is_near = any(ip in network for network in interface.networks)
        return is_near or (self.own.is_named(ip) and not is_loopback(ip))

    def _checked(self, node: Node) -> Node:
        for ip, _, _ in node.endpoints:
            if ip is not None and not self.own.contains(ip):
                raise InvalidNode(f"its second address, {ip}, is not of a local network")
        return node


def _endpoints(node: Node, announcement: Announcement) -> Iterator[NodeEndpoint]:
    """Return the endpoints to try: those of the record, then those announced."""
    yield from node.endpoints
    for ip in announcement.ips[:MAX_ADDRESSES]:
        yield NodeEndpoint(canonical(ip), node.udp, announcement.port)
