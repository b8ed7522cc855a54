"""Sockets bound to an address of this machine: TCP, UDP, or both on one port.

It owns the choice of the address family of a host, the fall-back where there is no IPv6, the
options of the sockets and the text of the errors. Any thread; nothing here waits or resolves names.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TypeAlias, TypeVar

from p2p import forks
from p2p.net.sockaddr import Sockaddr, endpoint_of, family_of, sockaddr_of
from p2p.net.sockets import DatagramSocket, ListeningSocket
from p2p.netutil import IPAddress, is_link_local, join_host_port, unmap

# Number of connections accepted in a third of a second. A remote that finds the queue full tries
# again after a second, or believes to be connected and is never accepted. The kernel may allow
# less.
_BACKLOG = 1024
#: Receive buffer to ask the kernel for: a tenth of a second of a heavy flood. It may give less.
RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024
#: Number of TCP ports to try while the kernel chooses ones whose UDP port is taken.
PORT_TRIES = 20
# Errors of a machine that is asked for a socket of both families: it has no IPv6, or no such socket
# (EINVAL and ENOPROTOOPT, for the option; OpenBSD).
_NO_IPV6 = frozenset(
    (
        *(errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT),
        *(errno.EINVAL, errno.ENOPROTOOPT),
    )
)

_ALL_IPV4: IPAddress = IPv4Address(0)
_ALL_IPV6: IPAddress = IPv6Address(0)

# Errors of an address that is not one of this machine.
_NOT_HERE = frozenset((errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT))

#: A host to bind to, None for all addresses, and a port.
BindAddress: TypeAlias = tuple[str | None, int]
_T = TypeVar("_T")
_Tcp = TypeVar("_Tcp", bound=ListeningSocket)
_Udp = TypeVar("_Udp", bound=DatagramSocket)

#: Binds a socket to an address.
_Bind: TypeAlias = Callable[[socket.socket, Sockaddr], None]


def bind(host: str | None, port: int, backlog: int = _BACKLOG) -> socket.socket:
    """Return a listening, non-blocking TCP socket.

    ``host`` is as for :func:`bound_socket`. ``port`` 0 takes a free one. ``backlog`` is the number
    of connections that may wait to be accepted. Raises ``OSError`` with the address in its text,
    also for names, which are never resolved. Any thread.
    """

    def listen(sock: socket.socket, sockaddr: Sockaddr) -> None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(sockaddr)
        sock.listen(backlog)

    return bound_socket(socket.SOCK_STREAM, host, port, listen, "listen")


def bind_udp(
    host: str | None, port: int, receive_buffer_bytes: int = RECEIVE_BUFFER_BYTES
) -> socket.socket:
    """Return a bound, non-blocking UDP socket.

    ``host`` is as for :func:`bound_socket`. ``port`` 0 takes a free one. The kernel is asked for a
    receive buffer of ``receive_buffer_bytes``; it may give less. Raises ``OSError`` with the
    address in its text, also for names, which are never resolved. Any thread.
    """

    def bind(sock: socket.socket, sockaddr: Sockaddr) -> None:
        _enlarge(sock, receive_buffer_bytes)
        sock.bind(sockaddr)

    return bound_socket(socket.SOCK_DGRAM, host, port, bind, "receive UDP")


def bind_pair(
    host: str | None,
    port: int,
    bind_tcp: Callable[[str | None, int], _Tcp] = bind,  # type: ignore[assignment]
    bind_datagrams: Callable[[str | None, int], _Udp] = bind_udp,  # type: ignore[assignment]
) -> tuple[_Tcp, _Udp]:
    """Return a listening TCP socket and a UDP socket on one port; ``port`` 0 takes a free one.

    ``host`` is as for :func:`bind`; ``bind_tcp`` and ``bind_datagrams`` make the sockets. Raises
    OSError if either cannot be bound; both are closed then. Any thread.
    """
    for tries_left in reversed(range(PORT_TRIES)):
        tcp = bind_tcp(host, port)
        try:
            return tcp, bind_datagrams(host, endpoint_of(tcp.getsockname())[1])
        except OSError as error:
            tcp.close()
            if port or not tries_left or error.errno != errno.EADDRINUSE:
                raise
    raise AssertionError("unreachable")


def bind_first(bind_at: Callable[[str | None, int], _T], addresses: list[BindAddress]) -> _T:
    """Return what ``bind_at`` returns for the first of ``addresses`` that is one of this machine.

    Raises OSError for all of them, if none is, or for the first that fails for another reason.
    """
    failures: list[str] = []
    for number, address in enumerate(addresses, 1):
        try:
            return bind_at(*address)
        except OSError as error:
            failures.append(error.strerror or str(error))
            if error.errno not in _NOT_HERE or number == len(addresses):
                raise OSError(error.errno, "; ".join(failures)) from error
    raise AssertionError("unreachable")


def bound_socket(
    kind: socket.SocketKind,
    host: str | None,
    port: int,
    bind: _Bind,
    purpose: str,
) -> socket.socket:
    """Return a non-blocking socket of a ``kind`` that ``bind(sock, sockaddr)`` has bound.

    ``host`` is a numeric IPv4 or IPv6 address, with a zone if it is link-local; ``None``, ``""``
    and ``"::"`` mean all addresses of both families, whatever the default of the system for
    IPV6_V6ONLY, or of IPv4 where there is no IPv6. Raises ``OSError``, also for names; its text has
    the ``purpose`` ("listen") that failed, the address and the reason. Any thread.
    """
    if not host or host == "::":
        try:
            return _bound(kind, _ALL_IPV6, port, bind, purpose)
        except OSError as error:
            if error.errno not in _NO_IPV6:
                raise
        return _bound(kind, _ALL_IPV4, port, bind, purpose)
    try:
        ip = ip_address(host)
    except ValueError:
        raise _error(errno.EINVAL, purpose, host, port, "not a numeric IP address") from None
    return _bound(kind, unmap(ip), port, bind, purpose)


def _enlarge(sock: socket.socket, receive_buffer_bytes: int) -> None:
    """Ask for a larger buffer. Linux gives as much as allowed, others refuse too large a size."""
    while receive_buffer_bytes > sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF):
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
            return
        except OSError:
            receive_buffer_bytes //= 2


def _bound(
    kind: socket.SocketKind, ip: IPAddress, port: int, bind: _Bind, purpose: str
) -> socket.socket:
    if not 0 <= port <= 65535:
        raise _error(errno.EINVAL, purpose, ip, port, "no such port")
    if is_link_local(ip) and isinstance(ip, IPv6Address) and ip.scope_id is None:
        text = f"its interface is needed, as in [{ip}%eth0]:{port}"
        raise _error(errno.EINVAL, purpose, ip, port, text)
    family = family_of((ip, port))
    try:
        sock = socket.socket(family, kind)
    except OSError as error:
        raise _error(error.errno, purpose, ip, port, error.strerror) from error
    forks.in_child(sock)
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        bind(sock, sockaddr_of((ip, port)))
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise _error(error.errno, purpose, ip, port, error.strerror) from error
    return sock


def _error(
    code: int | None, purpose: str, host: IPAddress | str, port: int, text: str | None
) -> OSError:
    shown = join_host_port(host, port)
    return OSError(code or errno.EINVAL, f"cannot {purpose} on {shown}: {text}")
