"""Local addresses of datagrams: the one that each came to, and the one that an answer leaves from.

A UDP socket that is bound to all addresses of the machine answers from the address that the route
to the remote prefers. A remote that asked another one, the second address of this machine, takes
that for an answer of another host. So the kernel is asked for the local address of each datagram
(RFC 3542, 6.1 and 6.2; ip(7), ``IP_PKTINFO``), and the next datagrams to that remote leave from
there. One option is enough for a socket of both families: Linux passes the addresses of IPv4 in
the form ``::ffff:192.0.2.1``. Elsewhere the addresses of IPv4 are left to the kernel.

:class:`LocalAddresses` belongs to the thread of its socket; nothing here sends or receives.
"""

from __future__ import annotations

import socket
import sys
from typing import Any, Final, TypeAlias

from p2p.net.sockets import DatagramSocket

#: Remotes whose local address is kept. A flood from new addresses makes the kernel choose for the
#: oldest of the others, until they send again.
MAX_REMOTES: Final = 4096

#: Data of one option: level, type, bytes.
Option: TypeAlias = tuple[int, int, bytes]

# Python names no IP_PKTINFO; the number is that of Linux (<linux/in.h>).
_IP_PKTINFO: int | None = 8 if sys.platform == "linux" else None
_IPV6_PKTINFO: int | None = getattr(socket, "IPV6_PKTINFO", None)
_IPV6_RECVPKTINFO: int | None = getattr(socket, "IPV6_RECVPKTINFO", None)
# struct in_pktinfo:  interface (4 bytes), local address (4), destination in the header (4)
# struct in6_pktinfo: local address (16), interface (4)
_SIZE = {socket.AF_INET: 12, socket.AF_INET6: 20}
_NO_INTERFACE = bytes(4)


class LocalAddresses:
    """The local addresses that remotes have sent to, for a UDP socket with :func:`enable`.

    ``buffer_bytes`` is the size of the ancillary data to ask ``recvmsg`` for.
    """

    def __init__(self, family: int) -> None:
        self.buffer_bytes = socket.CMSG_SPACE(_SIZE[socket.AddressFamily(family)])
        self._is_ipv6 = family == socket.AF_INET6
        # by remote: the data of its last datagram, and the option for an answer
        self._known: dict[tuple[str, int], tuple[bytes, list[Option]]] = {}

    def note(self, ancillary: list[Option], sockaddr: Any) -> None:
        """Note the local address of a datagram, by its ancillary data and its sender."""
        if not ancillary:
            return
        level, kind, data = ancillary[0]
        remote = sockaddr[:2]
        known = self._known.get(remote)
        if known is not None and known[0] == data:
            return
        if known is None and len(self._known) >= MAX_REMOTES:
            del self._known[next(iter(self._known))]
        self._known[remote] = data, [(level, kind, self._for_answer(data, sockaddr))]

    def option(self, remote: tuple[str, int]) -> list[Option] | None:
        """Return the ancillary data for a datagram to ``remote``; None: leave it to the kernel."""
        known = self._known.get(remote)
        return None if known is None else known[1]

    def drop(self, remote: tuple[str, int]) -> None:
        """Leave the local address for ``remote`` to the kernel: the kernel has refused ours."""
        self._known.pop(remote, None)

    def _for_answer(self, data: bytes, sockaddr: Any) -> bytes:
        """Return the data without the interface: another one may have the route to the remote.

        A link-local remote (with a scope id) is on that interface only.
        """
        if not self._is_ipv6:
            return _NO_INTERFACE + data[4:]
        return data if sockaddr[3] else data[:16] + _NO_INTERFACE


def enable(sock: DatagramSocket) -> LocalAddresses | None:
    """Have the kernel tell the local address of each datagram; None where it does not."""
    try:
        if not hasattr(sock, "recvmsg") or not hasattr(sock, "sendmsg"):
            return None
        if sock.family == socket.AF_INET6 and _IPV6_RECVPKTINFO and _IPV6_PKTINFO:
            sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVPKTINFO, 1)
        elif sock.family == socket.AF_INET and _IP_PKTINFO:
            sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        else:
            return None
    except OSError:
        return None
    return LocalAddresses(sock.family)
