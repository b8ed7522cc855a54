"""Resolution of host names to addresses.

Blocks for seconds, and nothing can end it: :class:`p2p.net.lookups.NameLookups` has the threads
for it.
"""

from __future__ import annotations

import errno
import socket
from ipaddress import ip_address
from itertools import chain, zip_longest

from p2p.netutil import IPAddress, read_ip, read_zoned_ip, unmap

#: Limit on the addresses of a name that are used; the others are dropped.
MAX_ADDRESSES = 8


def look_up(name: str) -> list[IPAddress]:
    """Return the addresses of a host, at least one, in the order in which to try them.

    IPv4 and IPv6 take turns, so that a network without one of them costs one attempt (RFC 8305,
    section 4). IPv4 is first, since more networks can reach that. Within a family the order is the
    resolver's. An IPv4-mapped address is one of IPv4. Asks the resolver of the system; not for an
    address with a zone, which is kept. Raises OSError with the host in its ``strerror``, also for a
    host that looks like an IPv4 address but is not one.
    """
    zoned = read_zoned_ip(name)
    if zoned is not None:
        return [zoned]
    try:
        read_ip(name)
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:
        code = error.errno if isinstance(error, OSError) else None
        raise OSError(code or errno.EINVAL, f"cannot look up {name}: {error}") from error
    addresses = [unmap(ip_address(str(info[4][0]))) for info in found]
    if not addresses:
        raise OSError(errno.ENOENT, f"{name} has no address")
    return _in_turns(list(dict.fromkeys(addresses)))[:MAX_ADDRESSES]


def _in_turns(addresses: list[IPAddress]) -> list[IPAddress]:
    """Return addresses with IPv4 and IPv6 in turns."""
    ip4 = [ip for ip in addresses if ip.version == 4]
    ip6 = [ip for ip in addresses if ip.version == 6]
    return [ip for ip in chain(*zip_longest(ip4, ip6)) if ip is not None]
