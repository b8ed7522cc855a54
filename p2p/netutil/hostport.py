"""``host:port`` text: writing it, and reading what a program is told to listen on.

Pure. Reading is strict, because what the resolver makes of loose text is a surprise: to it
``0x7f.1`` and ``127.1`` are 127.0.0.1. So a host that ends in a number must be a full IPv4
address, and an IPv6 address must stand in brackets; a host name is not looked up here.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address

from ..errors import ConfigError
from .address import IPAddress

_PORT = re.compile(r"[0-9]{1,5}", re.ASCII)
_HOST_NAME = re.compile(r"(?!-)[0-9a-zA-Z_-]{1,63}(?:\.[0-9a-zA-Z_-]{1,63})*\.?", re.ASCII)
_LAST_LABEL_IS_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0[xX][0-9a-fA-F]*)\.?", re.ASCII)


def join_host_port(host: IPAddress | str, port: int) -> str:
    """``host:port``, with brackets around a host that has colons (``[::1]:30303``)."""
    text = str(host)
    return f"[{text}]:{port}" if ":" in text else f"{text}:{port}"


def split_listen_addr(text: str) -> tuple[str | None, int]:
    """Read ``":30303"``, ``"127.0.0.1:0"``, ``"[::1]:30303"`` or ``"localhost:30303"``.

    Returns the host, None when there is none (listen on every address), and the port, 0 when the
    system is to choose it. Raises ConfigError that says what is wrong.
    """
    host, colon, port = text.rpartition(":")
    if not colon:
        raise _invalid(text, 'no port, want "host:port"')
    if port.endswith("]"):
        raise _invalid(text, "no port after the brackets")
    return _read_host(text, host), _read_port(text, port)


def _read_port(text: str, port: str) -> int:
    if not port:
        raise _invalid(text, "the port is empty")
    if not _PORT.fullmatch(port):
        raise _invalid(text, "the port is not a number from 0 to 65535")
    if int(port) > 65535:
        raise _invalid(text, "the port is larger than 65535")
    return int(port)


def _read_host(text: str, host: str) -> str | None:
    if not host:
        return None
    if host.startswith("[") and host.endswith("]"):
        return _read_ipv6(text, host[1:-1])
    if ":" in host:
        raise _invalid(text, "an IPv6 address must stand in brackets")
    if _LAST_LABEL_IS_NUMBER.fullmatch(host):
        return _read_ipv4(text, host)
    if not _HOST_NAME.fullmatch(host):
        raise _invalid(text, "the host is no address and no host name")
    return host


def _read_ipv6(text: str, host: str) -> str:
    try:
        return str(IPv6Address(host))
    except ValueError:
        raise _invalid(text, "what stands in brackets is not an IPv6 address") from None


def _read_ipv4(text: str, host: str) -> str:
    try:
        return str(IPv4Address(host))
    except ValueError:
        raise _invalid(text, "the host is not an IPv4 address") from None


def _invalid(text: str, why: str) -> ConfigError:
    return ConfigError(f"listen address {text[:80]!r}: {why}")
