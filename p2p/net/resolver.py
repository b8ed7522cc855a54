"""Resolution of host names to addresses.

Blocks, so not for the threads of loops; any other thread.
"""

from __future__ import annotations

import errno
import socket
from ipaddress import ip_address

from p2p.netutil import IPAddress, read_ip, read_zoned_ip


def look_up(name: str) -> IPAddress:
    """Return the address of a host, IPv4 if it has one, since more networks can reach that.

    Asks the resolver of the system, which may take seconds; not for an address with a zone, which
    is kept. Raises OSError with the host in its ``strerror``, also for a host that looks like an
    IPv4 address but is not one.
    """
    zoned = read_zoned_ip(name)
    if zoned is not None:
        return zoned
    try:
        read_ip(name)
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:
        code = error.errno if isinstance(error, OSError) else None
        raise OSError(code or errno.EINVAL, f"cannot look up {name}: {error}") from error
    addresses = [ip_address(str(info[4][0])) for info in found]
    if not addresses:
        raise OSError(errno.ENOENT, f"{name} has no address")
    return min(addresses, key=lambda ip: ip.version)
