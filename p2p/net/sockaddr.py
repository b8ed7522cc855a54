"""Conversion of endpoints to and from the tuples of ``bind``, ``accept`` and ``recvfrom``.

An IPv4 peer of a dual-stack socket, which the kernel calls ``::ffff:192.0.2.1``, has its IPv4
address in our endpoints: one host, one address. The zones of addresses from the kernel
(``fe80::1%eth0``) are left out: they are local to this machine. A zone in an address to bind or to
connect to names the interface (RFC 4007, section 11).

Any thread; nothing here does I/O. No names of hosts are resolved.
"""

from __future__ import annotations

import errno
import socket
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, TypeAlias

from p2p.net.sockets import Socket, StreamSocket
from p2p.netutil import Endpoint, IPAddress, canonical, is_unspecified, unmap

#: Placeholder for an endpoint that the kernel no longer has, as after a reset.
UNKNOWN_ENDPOINT = Endpoint(IPv4Address(0), 0)

#: The tuple of an ``AF_INET`` or ``AF_INET6`` socket; the long form has the flow and the scope id.
Sockaddr: TypeAlias = tuple[str, int] | tuple[str, int, int, int]

#: Size of the cache of parsed addresses, in texts: a connection asks for its two ends three times,
#: and the same nodes send datagrams again and again. A flood from new addresses evicts the others,
#: which costs a few microseconds for each.
_KNOWN_TEXTS = 4096


def endpoint_of(sockaddr: Any) -> Endpoint:
    """Return the endpoint in a result of ``accept``, ``getsockname`` or ``recvfrom``.

    ``sockaddr`` is the tuple of an ``AF_INET`` or ``AF_INET6`` socket. Raises ValueError when its
    host is not an IP address.
    """
    return Endpoint(_ip_of(sockaddr[0]), sockaddr[1])


@lru_cache(maxsize=_KNOWN_TEXTS)
def _ip_of(host: str) -> IPAddress:
    return canonical(ip_address(host))


def ends_of(sock: StreamSocket) -> tuple[Endpoint, Endpoint]:
    """Return the remote and the local endpoint of a connected socket.

    Both are UNKNOWN_ENDPOINT if it is not an IP socket, or was reset already, as the first read
    will tell.
    """
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return UNKNOWN_ENDPOINT, UNKNOWN_ENDPOINT
    try:
        return endpoint_of(sock.getpeername()), endpoint_of(sock.getsockname())
    except OSError:
        return UNKNOWN_ENDPOINT, UNKNOWN_ENDPOINT


def served_version(sock: Socket) -> int | None:
    """Return the IP version of a bound socket, 4 or 6; None for one that serves both."""
    if sock.family == socket.AF_INET:
        return 4
    is_for_all = is_unspecified(endpoint_of(sock.getsockname()).ip)
    return None if is_for_all and not _is_for_ipv6_only(sock) else 6


def _is_for_ipv6_only(sock: Socket) -> bool:
    return sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) != 0


def family_of(endpoint: tuple[IPAddress, int]) -> socket.AddressFamily:
    """Return ``AF_INET`` or ``AF_INET6``, as for the address of ``endpoint``."""
    return socket.AF_INET if unmap(endpoint[0]).version == 4 else socket.AF_INET6


def sockaddr_of(endpoint: tuple[IPAddress, int]) -> Sockaddr:
    """Return the tuple for ``bind``, ``connect``, ``sendto`` of a :func:`family_of` socket.

    Raises OSError for a zone that is no interface of this machine.
    """
    ip, port = unmap(endpoint[0]), endpoint[1]
    scope = scope_of_zone(ip)
    return (str(canonical(ip)), port, 0, scope) if scope else (str(ip), port)


def scope_of_zone(ip: IPAddress) -> int:
    """Return the number of the interface that the zone of ``ip`` names, 0 without a zone.

    Raises OSError for a zone that is no interface of this machine.
    """
    zone = ip.scope_id if isinstance(ip, IPv6Address) else None
    return 0 if zone is None else _interface_of(zone)


def _interface_of(zone: str) -> int:
    """Return the number of an interface, by its name or by its number as text."""
    if zone.isascii() and zone.isdigit():
        return int(zone)
    try:
        return socket.if_nametoindex(zone)
    except (OSError, ValueError) as error:  # ValueError: a null character
        raise OSError(errno.ENODEV, f"no network interface {zone!r}") from error
