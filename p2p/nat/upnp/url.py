"""Addresses of HTTP resources on a router. Pure.

A router is named by its IPv4 address, never by a name: a look-up would let an answer lead to any
host. The text of a URL goes into a request, so that it must not contain spaces or line ends.
References are resolved by the rules of RFC 3986.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address
from urllib.parse import urljoin

from p2p.nat.errors import InvalidAnswer
from p2p.netutil import printable

#: Characters of a URL. Those of routers are shorter than 100.
MAX_URL_SIZE = 512

_URL = re.compile(r"http://([0-9.]{7,15})(?::([0-9]{1,5}))?([/?][^#]*)?(?:#.*)?", re.IGNORECASE)
_HTTP_PORT = 80
_SHOWN = 100


@dataclass(frozen=True, slots=True)
class HttpURL:
    """An http URL; ``target`` is path and query, as a request has it."""

    host: IPv4Address
    port: int
    target: str

    @property
    def authority(self) -> str:
        """Host and port, as the header ``Host`` has them."""
        return f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return f"http://{self.authority}{self.target}"


def parse_url(text: str) -> HttpURL:
    """Return an absolute http URL with an IPv4 address. Raises InvalidAnswer."""
    _check_text(text)
    found = _URL.fullmatch(text)
    if found is None:
        raise _invalid(text, "not http with an IPv4 address")
    host, port, target = found.groups()
    try:
        address = IPv4Address(host)
    except AddressValueError:
        raise _invalid(text, "not an IPv4 address") from None
    number = int(port) if port else _HTTP_PORT
    if not 0 < number < 65536:
        raise _invalid(text, "port out of range")
    target = target or "/"
    return HttpURL(address, number, target if target.startswith("/") else f"/{target}")


def resolve(base: HttpURL, reference: str) -> HttpURL:
    """Return the URL that ``reference`` is for, relative to ``base``. Raises InvalidAnswer."""
    _check_text(reference)
    try:
        joined = urljoin(str(base), reference)
    except ValueError as error:  # brackets that are no IPv6 address, and the like
        raise _invalid(reference, "malformed") from error
    return parse_url(joined)


def _check_text(text: str) -> None:
    if len(text) > MAX_URL_SIZE:
        raise InvalidAnswer(f"URL of more than {MAX_URL_SIZE} characters")
    if not text.isascii() or not text.isprintable() or " " in text:
        raise _invalid(text, "characters that are not for URLs")


def _invalid(text: str, why: str) -> InvalidAnswer:
    return InvalidAnswer(f'URL "{printable(text, _SHOWN)}": {why}')
