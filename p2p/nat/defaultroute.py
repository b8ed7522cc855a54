"""The addresses of routers: where our packets to the Internet go first.

Linux tells the default routes in ``/proc/net/route``. Elsewhere the router is guessed to be the
first address of our network, as in go-ethereum. Any thread; sends nothing.
"""

from __future__ import annotations

import socket
import sys
from ipaddress import IPv4Address, IPv4Network

from p2p.netutil import IPAddress, Scope, scope_of

#: Routers that are asked, if there are several default routes.
MAX_ROUTERS = 4
#: Bytes of the table that are read; a line has 128.
_MAX_TABLE = 1 << 20
_TABLE = "/proc/net/route"
_UP, _GATEWAY = 0x1, 0x2
# An address outside, to find out which of ours is used for it. No packet is sent.
_OUTSIDE = ("192.0.2.1", 9)


def routers() -> list[IPAddress]:
    """Return the routers to ask, the likeliest first; none without a network."""
    found: list[IPAddress] = []
    try:
        with open(_TABLE, encoding="ascii", errors="replace") as table:
            found += read_routes(table.read(_MAX_TABLE))
    except OSError:
        pass  # another system
    ours = _our_address()
    if not found and ours is not None:
        found += guess_routers(ours)
    return found


def read_routes(table: str) -> list[IPv4Address]:
    """Return the gateways of the default routes in a table of Linux, by their metric.

    The columns are interface, destination, gateway, flags, use counts, metric, mask, ...; addresses
    are numbers in the byte order of the machine. Other lines are ignored.
    """
    routes: list[tuple[int, IPv4Address]] = []
    for line in table.splitlines()[1:]:
        fields = line.split()
        try:
            destination, gateway, flags, mask = (int(fields[n], 16) for n in (1, 2, 3, 7))
            metric = int(fields[6])
            address = IPv4Address(gateway.to_bytes(4, sys.byteorder))
        except (ValueError, IndexError, OverflowError):
            continue
        if destination == mask == 0 and gateway and flags & (_UP | _GATEWAY) == _UP | _GATEWAY:
            routes.append((metric, address))
    return list(dict.fromkeys(address for _, address in sorted(routes)))[:MAX_ROUTERS]


def guess_routers(ours: IPv4Address) -> list[IPv4Address]:
    """Return the first address of the /24 of ours, if that is a private one."""
    network = IPv4Network((int(ours), 24), strict=False)
    first = network.network_address + 1
    return [first] if scope_of(ours) is Scope.SITE and first != ours else []


def _our_address() -> IPv4Address | None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(_OUTSIDE)
        except OSError:
            return None
        return IPv4Address(sock.getsockname()[0])
