"""The interfaces of this machine: their list, and whether they can be used.

The list is by ifaddr, the library that zeroconf uses itself. This is the only module that imports
it, and only for a server with ``lan_discovery``. Any thread.
"""

from __future__ import annotations

import socket
import struct
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_interface
from typing import Any

from p2p.lan.interfaces import Interface
from p2p.netutil import canonical

#: Group and port of multicast DNS (RFC 6762, section 3).
GROUPS = {4: IPv4Address("224.0.0.251"), 6: IPv6Address("ff02::fb")}
PORT = 5353


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
            if ip.version == 4:
                member = GROUPS[4].packed + ip.packed
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
            else:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                member = GROUPS[6].packed + struct.pack("@I", interface.index)
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
