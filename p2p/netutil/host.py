"""Hosts as text: IP addresses, names, and texts that are neither.

Pure. The resolver of the system takes many texts for IPv4 addresses: ``127.1`` is 127.0.0.1,
``0x7f000001`` too, and ``010.0.0.5`` is 8.0.0.5. In input of a person they are mistakes, and lead
to a host that the person did not mean. So a host that ends in a number, as no DNS name does, must
be a full IPv4 address (WHATWG URL standard, "ends in a number"), in every host that is read or
looked up.
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address, ip_address

from p2p.arguments import text_of, wrong
from p2p.netutil.address import IPAddress

#: Digits of any script, since a name is converted to ASCII before it is looked up.
_LAST_LABEL_IS_NUMBER = re.compile(r"(?:.*\.)?(?:\d+|0[xX][0-9a-fA-F]*)\.?", re.DOTALL)


def read_ip(host: str) -> IPAddress | None:
    """Return the address in the text ``host``, None for a name; with a zone it is a name.

    Raises ValueError for a text that looks like an IPv4 address but is not one.
    """
    try:
        return IPv4Address(host)
    except AddressValueError:
        if _looks_like_ipv4(host):
            raise ValueError(f"{host[:80]!r} looks like an IPv4 address but is not one") from None
    try:
        return None if "%" in host else IPv6Address(host)
    except AddressValueError:
        return None


def read_zoned_ip(host: str) -> IPv6Address | None:
    """Return the IPv6 address with a zone in the text ``host`` (``fe80::1%eth0``), else None."""
    if "%" not in host:
        return None
    try:
        return IPv6Address(host)
    except AddressValueError:
        return None


def is_name(host: str) -> bool:
    """Whether ``host`` is a name, neither an address nor a text that looks like one."""
    try:
        return bool(host) and read_ip(host) is None and read_zoned_ip(host) is None
    except ValueError:
        return False


def ip_of(value: object) -> IPAddress:
    """Return ``value`` if it is an address, or the address in its text.

    Surrounding white space is ignored. Raises ArgumentError for anything else.
    """
    if isinstance(value, (IPv4Address, IPv6Address)):
        return value
    text = text_of(value, "IP address")
    try:
        return ip_address(text)
    except ValueError:
        raise wrong("IP address", value, "text such as 192.0.2.7 or 2001:db8::7") from None


def _looks_like_ipv4(host: str) -> bool:
    if ":" in host:
        return False
    try:
        ascii_host = host.encode("idna").decode("ascii")  # as the resolver gets it
    except UnicodeError:
        ascii_host = ""
    return any(_LAST_LABEL_IS_NUMBER.fullmatch(form) for form in (host, ascii_host))
