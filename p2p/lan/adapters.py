"""The interfaces of this machine: their list, and whether they can be used.

The list is by ifaddr, the library that zeroconf uses itself. This is the only module that imports
it, and only for a server with ``lan_discovery``. Any thread.
"""

from __future__ import annotations

import socket
import struct
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_interface
from typing import Any

from p2p.lan.announcement import Checks
from p2p.lan.interfaces import Interface, chosen
from p2p.net import ListeningSocket, endpoint_of
from p2p.netutil import canonical, is_unspecified

#: Group and port of multicast DNS (RFC 6762, section 3).
GROUP, GROUP6 = IPv4Address("224.0.0.251"), IPv6Address("ff02::fb")
PORT = 5353


class LocalInterfaces:
    """The interfaces at which a server that listens at ``tcp`` is reached; None: it does not."""

    def __init__(self, tcp: ListeningSocket | None, checks: Checks) -> None:
        at = None if tcp is None else endpoint_of(tcp.getsockname())
        self.port = None if at is None else at.port
        self.is_address = at is not None and is_unspecified(at.ip)
        self._ip = None if at is None else at.ip
        self._has_ipv6 = tcp is None or tcp.family == socket.AF_INET6
        self._checks = checks

    def interfaces(self) -> list[Interface]:
        """Return the interfaces to use. Raises OSError."""
        own, restrict = self._checks.own, self._checks.net_restrict
        return chosen(read_interfaces(), self._ip, self._has_ipv6, own, restrict)


def read_interfaces() -> list[Interface]:
    """Return all interfaces with their addresses, by index. Raises OSError."""
    import ifaddr

    return sorted(map(_interface_of, ifaddr.get_adapters()), key=lambda one: one.index)


def check_multicast(interface: Interface) -> None:
    """Join the groups of multicast DNS for a moment. Raises OSError if that is not possible.

    zeroconf ignores some of these errors and leaves its sockets open after others.
    """
    for ip in interface.ips:
        family = socket.AF_INET if ip.version == 4 else socket.AF_INET6
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if hasattr(socket, "SO_REUSEPORT"):  # not on all systems
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if isinstance(ip, IPv4Address):
                member = GROUP.packed + ip.packed
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
            else:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                member = GROUP6.packed + struct.pack("@I", interface.index)
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, member)
            sock.bind(("", PORT))


def _interface_of(adapter: Any) -> Interface:
    """Return an adapter of ifaddr, of which an IPv6 address is (text, flow, scope)."""
    addresses = []
    for one in adapter.ips:
        text = one.ip[0] if isinstance(one.ip, tuple) else one.ip
        ip = canonical(ip_address(text))
        addresses.append(ip_interface((str(ip), one.network_prefix)))
    return Interface(str(adapter.name), adapter.index or 0, tuple(addresses))
