"""enode URLs: their grammar, and the only parser and formatter.

Pure. The two forms are::

    enode://<128 hex digits>                            a node without an address
    enode://<128 hex digits>@<host>:<port>[?discport=<udp>]

The digits are the public key, x then y. Host is an IP address or a DNS name, port the TCP port;
the UDP port is the same unless ``discport`` gives another. The digits of the first form are
accepted without the scheme too.

The parser accepts the same texts as go-ethereum, whose parser is Go's ``net/url``: a path and a
fragment are ignored, the key may be percent-encoded, an IPv6 address without brackets is read up to
the last colon. :mod:`urllib.parse` differs in many such cases (it drops tabs and newlines, and
takes ports in any script's digits), hence a parser of our own. Differences to go-ethereum: a host
name that is not UTF-8 is refused, and so is one that looks like an IPv4 address but is not one
(:mod:`p2p.netutil.host`); surrounding white space is ignored.
"""

from __future__ import annotations

import re
import string
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv6Address
from urllib.parse import quote, unquote_plus, unquote_to_bytes

from p2p.arguments import text_of
from p2p.crypto import PublicKey
from p2p.errors import InvalidKey, InvalidNode
from p2p.netutil import IPAddress, read_ip

_KEY_ONLY = re.compile(r"(?:enode://)?([0-9a-f]+)", re.ASCII | re.IGNORECASE)
_COMPLETE = re.compile(r"(?i:enode)://([^/?]*)(/[^?]*)?(?:\?(.*))?", re.ASCII | re.DOTALL)
_SCHEME = re.compile(r"enode:", re.ASCII | re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_BROKEN_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2})")
_HEX = re.compile(r"[0-9a-fA-F]*", re.ASCII)
_DIGITS = re.compile(r"[0-9]*", re.ASCII)
_PORT = re.compile(r"0*([0-9]{1,5})", re.ASCII)
#: The ASCII characters that a host may contain, besides all that are not ASCII.
_HOST_ASCII = "!\"$&'()*+,:;<=>[]-._~" + string.ascii_letters + string.digits
_HOST_CHARS = rf"[{re.escape(_HOST_ASCII)}]|[^\x00-\x7f]"
#: A percent escape may encode the percent sign itself (%25) or a byte that is not ASCII.
_HOST = re.compile(rf"(?:{_HOST_CHARS}|%25|%[89a-fA-F][0-9a-fA-F])*")
#: In a zone, it may also encode a space or a character that is allowed there unencoded.
_ZONE = re.compile(rf"(?:{_HOST_CHARS}|%[0-9a-fA-F]{{2}})*")
_ZONE_ENCODED = frozenset(_HOST_ASCII + "% ")
#: Characters of a zone that are encoded in a URL: brackets, and ASCII not allowed in a host.
_NOT_IN_ZONE = re.compile(rf"[\[\]]|(?!{_HOST_CHARS}).", re.DOTALL)
_ESCAPE = re.compile(r"%(..)")
_KEY_DIGITS = 128


@dataclass(frozen=True)
class EnodeURL:
    """The parts of an enode URL. ``ip`` and ``hostname`` are never both set."""

    public_key: PublicKey
    ip: IPAddress | None = None
    hostname: str = ""
    tcp: int = 0
    udp: int = 0


def parse_enode_url(text: str) -> EnodeURL:
    """Read an enode URL. Raises InvalidNode with the part that is wrong."""
    text = text_of(text, "enode URL")
    if match := _KEY_ONLY.fullmatch(text):
        return EnodeURL(_parse_key(match[1]))
    before_fragment, _, fragment = text.partition("#")
    if _CONTROL.search(before_fragment):
        raise InvalidNode("invalid control character in URL")
    if not _SCHEME.match(text):
        raise InvalidNode('invalid URL scheme, want "enode"')
    match = _COMPLETE.fullmatch(before_fragment)
    if not match or "@" not in match[1]:
        raise InvalidNode("does not contain node ID")
    if _BROKEN_ESCAPE.search(match[2] or "") or _BROKEN_ESCAPE.search(fragment):
        raise InvalidNode("invalid percent escape in URL")
    return _parse_complete(match[1], match[3] or "")


def _parse_complete(authority: str, query: str) -> EnodeURL:
    user, _, host_port = authority.rpartition("@")
    host, port = _split_host_port(host_port)
    public_key = _parse_key(_unescape(user, "invalid public key"))
    tcp = _parse_port(port, "invalid port")
    discport = _first_query_value(query, "discport")
    udp = _parse_port(discport, "invalid discport in query") if discport else tcp
    try:
        ip = read_ip(host)
    except ValueError as error:
        raise InvalidNode(f"invalid host ({error})") from None
    return EnodeURL(public_key, ip, "" if ip else host, tcp, udp)


def _parse_key(digits: str) -> PublicKey:
    if not _HEX.fullmatch(digits):
        raise InvalidNode("invalid public key (not hex)")
    if len(digits) != _KEY_DIGITS:
        raise InvalidNode(f"invalid public key (wrong length, want {_KEY_DIGITS} hex chars)")
    try:
        return PublicKey.from_bytes(bytes.fromhex(digits))
    except InvalidKey as error:
        raise InvalidNode("invalid public key (not a point on the curve)") from error


def _split_host_port(text: str) -> tuple[str, str]:
    """Return the host, decoded and without brackets, and the digits of the port, "" if none."""
    if "[" in text[1:]:
        raise InvalidNode("invalid host (brackets in the middle)")
    if text.startswith("["):
        bracketed, bracket, colon_port = text[1:].rpartition("]")
        if not bracket:
            raise InvalidNode("invalid host (missing ']')")
        host = _decode_literal(bracketed)
    else:
        name_end = text.rfind(":") if ":" in text else len(text)
        host, colon_port = _decode_host(text[:name_end]), text[name_end:]
    if colon_port and not (colon_port[0] == ":" and _DIGITS.fullmatch(colon_port[1:])):
        raise InvalidNode(f"invalid port {colon_port[:20]!r} after host")
    return host, colon_port[1:]


def _decode_literal(text: str) -> str:
    """Decode the host in brackets: an IPv6 address, perhaps with a zone (RFC 3986, RFC 6874)."""
    address, zone_mark, zone = text.partition("%25")
    host = _decode_host(address) + ("%" + _decode_zone(zone) if zone_mark else "")
    if not _is_ipv6(host):
        raise InvalidNode("invalid host (not an IPv6 address in brackets)")
    return host


def _decode_host(text: str) -> str:
    if not _HOST.fullmatch(text):
        raise InvalidNode("invalid character in host name")
    return _unescape(text, "invalid host name")


def _decode_zone(text: str) -> str:
    if not _ZONE.fullmatch(text):
        raise InvalidNode("invalid character in IPv6 zone")
    if any(chr(int(digits, 16)) not in _ZONE_ENCODED for digits in _ESCAPE.findall(text)):
        raise InvalidNode("invalid percent escape in IPv6 zone")
    return _unescape(text, "invalid IPv6 zone")


def _is_ipv6(host: str) -> bool:
    address, zone_mark, zone = host.partition("%")
    try:
        IPv6Address(address)
    except AddressValueError:
        return False
    return bool(zone or not zone_mark)


def _parse_port(digits: str, problem: str) -> int:
    match = _PORT.fullmatch(digits)
    if not match or int(match[1]) > 0xFFFF:
        raise InvalidNode(f"{problem} ({digits[:20]!r}, want a number from 0 to 65535)")
    return int(match[1])


def _first_query_value(query: str, name: str) -> str:
    for pair in query.split("&"):
        key, _, value = pair.partition("=")
        if ";" in pair or _BROKEN_ESCAPE.search(pair):
            continue  # as Go does: such a pair is dropped, the others count
        if unquote_plus(key) == name:
            return unquote_plus(value)
    return ""


def _unescape(text: str, problem: str) -> str:
    if _BROKEN_ESCAPE.search(text):
        raise InvalidNode(f"{problem} (broken percent escape)")
    try:
        return unquote_to_bytes(text).decode()
    except UnicodeError:
        raise InvalidNode(f"{problem} (not UTF-8)") from None


def _format_host(hostname: str) -> str:
    if "%" not in hostname or not _is_ipv6(hostname):
        return quote(hostname, safe=_HOST_ASCII)
    # In brackets, because a zone may contain characters that no other host may (RFC 6874).
    address, _, zone = hostname.partition("%")
    return f"[{address}%25{_NOT_IN_ZONE.sub(lambda found: f'%{ord(found[0]):02X}', zone)}]"


def format_enode_url(name: str, ip: IPAddress | None, hostname: str, tcp: int, udp: int) -> str:
    """Return an enode URL. ``name`` is the key in hex; a host name has precedence over ``ip``.

    Without either the ports are left out, since that form has no place for them.
    """
    if hostname:
        host = _format_host(hostname)
    elif ip is not None:
        host = f"[{ip}]" if ip.version == 6 else str(ip)
    else:
        return f"enode://{name}"
    discport = f"?discport={udp}" if udp != tcp else ""
    return f"enode://{name}@{host}:{tcp}{discport}"
