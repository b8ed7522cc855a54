"""Making sockets for an address of this machine: the rules that TCP and UDP share.

It owns which family a host stands for, the fall-back where there is no IPv6, and the text of the
errors; what kind of socket it is, and what is set on it, is its caller's affair (:mod:`listener`,
:mod:`udp`). Any thread; nothing here waits or looks a name up.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable

from p2p.net.address import address_of

# A machine without IPv6 answers so to a socket for it.
_NO_IPV6 = frozenset((errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT))


def bound_socket(
    kind: socket.SocketKind,
    host: str | None,
    port: int,
    bind: Callable[[socket.socket, tuple[str, int]], None],
    purpose: str,
) -> socket.socket:
    """A non-blocking socket of a ``kind`` that ``bind(sock, sockaddr)`` has bound.

    ``host`` is a numeric IPv4 or IPv6 address; ``None``, ``""`` and ``"::"`` mean all addresses of
    both families, or of IPv4 where there is no IPv6. Raises ``OSError`` that says that it cannot do
    its ``purpose`` ("listen") on this address, and why; so it refuses names.
    """
    if not host or host == "::":
        try:
            return _bound(kind, socket.AF_INET6, "::", port, bind, purpose)
        except OSError as error:
            if error.errno not in _NO_IPV6:
                raise
        return _bound(kind, socket.AF_INET, "0.0.0.0", port, bind, purpose)
    try:
        ip, _ = address_of((host, port))
    except ValueError:
        raise _error(errno.EINVAL, purpose, host, port, "not a numeric IP address") from None
    if ip.version == 4:
        return _bound(kind, socket.AF_INET, str(ip), port, bind, purpose)
    # The scope of a link-local address matters here, so the text is used as it came.
    return _bound(kind, socket.AF_INET6, host, port, bind, purpose)


def _bound(
    kind: socket.SocketKind,
    family: socket.AddressFamily,
    host: str,
    port: int,
    bind: Callable[[socket.socket, tuple[str, int]], None],
    purpose: str,
) -> socket.socket:
    if not 0 <= port <= 65535:
        raise _error(errno.EINVAL, purpose, host, port, "no such port")
    try:
        sock = socket.socket(family, kind)
    except OSError as error:
        raise _error(error.errno, purpose, host, port, error.strerror) from error
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        bind(sock, (host, port))
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise _error(error.errno, purpose, host, port, error.strerror) from error
    return sock


def _error(code: int | None, purpose: str, host: str, port: int, text: str | None) -> OSError:
    shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return OSError(code or errno.EINVAL, f"cannot {purpose} on {shown}: {text}")
