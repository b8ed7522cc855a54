"""``host:port`` text: formatting, and parsing of listen addresses.

Pure. Parsing is strict, because the resolver accepts loose text in surprising ways: a host that
looks like an IPv4 address must be one (:mod:`p2p.netutil.host`), and an IPv6 address must be in
brackets; a host name is not looked up here. Surrounding white space is ignored.
"""

from __future__ import annotations

import re
from ipaddress import IPv6Address

from p2p.arguments import text_of
from p2p.errors import ArgumentError
from p2p.netutil.address import IPAddress
from p2p.netutil.host import read_ip

_PORT = re.compile(r"[0-9]{1,5}", re.ASCII)
_HOST_NAME = re.compile(r"(?!-)[0-9a-zA-Z_-]{1,63}(?:\.[0-9a-zA-Z_-]{1,63})*\.?", re.ASCII)


def join_host_port(host: IPAddress | str, port: int) -> str:
    """Return ``host:port``, with brackets around a host that has colons (``[::1]:30303``)."""
    text = str(host)
    return f"[{text}]:{port}" if ":" in text else f"{text}:{port}"


def split_listen_addr(text: str) -> tuple[str | None, int]:
    """Read ``":30303"``, ``"127.0.0.1:0"``, ``"[::1]:30303"`` or ``"localhost:30303"``.

    Returns the host, None when there is none (listen on every address), and the port, 0 when the
    system is to choose it. Raises ArgumentError with the reason.
    """
    text = text_of(text, "listen address")
    try:
        return split_host_port(text)
    except ValueError as error:
        raise ArgumentError(f"listen address {text[:80]!r}: {error}") from None


def split_host_port(text: str) -> tuple[str | None, int]:
    """Read text as :func:`split_listen_addr` does. Raises ValueError with the reason alone."""
    host, colon, port = text.rpartition(":")
    if not colon:
        raise ValueError('no port, want "host:port"')
    if port.endswith("]"):
        raise ValueError("no port after the brackets")
    return _read_host(host), _read_port(port)


def _read_port(port: str) -> int:
    if not port:
        raise ValueError("the port is empty")
    if not _PORT.fullmatch(port):
        raise ValueError("the port is not a number from 0 to 65535")
    if int(port) > 65535:
        raise ValueError("the port is larger than 65535")
    return int(port)


def _read_host(host: str) -> str | None:
    if not host:
        return None
    if host.startswith("[") and host.endswith("]"):
        return _read_ipv6(host[1:-1])
    if "//" in host:
        raise ValueError("want host:port alone, without a scheme")
    if ":" in host:
        raise ValueError("an IPv6 address must be in brackets")
    try:
        ip = read_ip(host)
    except ValueError:
        raise ValueError("the host is not an IPv4 address") from None
    if ip is not None:
        return str(ip)
    if not _HOST_NAME.fullmatch(host):
        raise ValueError("the host is neither an address nor a host name")
    return host


def _read_ipv6(host: str) -> str:
    try:
        return str(IPv6Address(host))
    except ValueError:
        raise ValueError("the text in brackets is not an IPv6 address") from None
