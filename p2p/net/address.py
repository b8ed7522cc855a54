"""IP addresses and ports as the network layer hands them out.

An :data:`Address` is an ``ipaddress`` object with a port. An IPv4 peer of a dual-stack socket,
which the kernel calls ``::ffff:192.0.2.1``, has its IPv4 address here: one host, one address.
Scope ids (``fe80::1%eth0``) are left out: they mean something on this machine only.

Any thread; nothing here does I/O. No names are looked up, here or anywhere in ``p2p.net``.
"""

from __future__ import annotations

import socket
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

IPAddress = IPv4Address | IPv6Address

#: An IP address and a port (0 to 65535).
Address = tuple[IPv4Address | IPv6Address, int]

#: Stands for an address that the kernel does not tell any more, as after a reset.
UNKNOWN_ADDRESS: Address = (IPv4Address(0), 0)


def address_of(sockaddr: Any) -> Address:
    """The address in what ``accept``, ``getsockname`` or ``recvfrom`` returned.

    ``sockaddr`` is the tuple of an ``AF_INET`` or ``AF_INET6`` socket. Raises ``ValueError`` when
    its host is no IP address. Any thread.
    """
    return _ip_of(sockaddr[0]), sockaddr[1]


@lru_cache(maxsize=1024)
def _ip_of(host: str) -> IPAddress:
    # Kept, because few addresses come again and again: a connection asks for its two ends thrice.
    return _unmapped(ip_address(host.partition("%")[0]))


def _unmapped(ip: IPAddress) -> IPAddress:
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    return ip


def family_of(address: Address) -> socket.AddressFamily:
    """``AF_INET`` or ``AF_INET6``. Any thread."""
    return socket.AF_INET if _unmapped(address[0]).version == 4 else socket.AF_INET6


def sockaddr_of(address: Address) -> tuple[str, int]:
    """What ``bind``, ``connect`` and ``sendto`` want, for a socket of :func:`family_of`."""
    return str(_unmapped(address[0])), address[1]


def format_address(address: Address) -> str:
    """``192.0.2.1:30303`` or ``[2001:db8::1]:30303``. Any thread."""
    ip, port = address
    return f"{ip}:{port}" if ip.version == 4 else f"[{ip}]:{port}"
