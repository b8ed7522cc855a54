"""The texts of the options ``nat`` and ``advertise``.

Pure; no name is looked up. ``nat`` has go-ethereum's spelling (p2p/nat, Parse). The word before the
first colon may be in capitals::

    none, off, or nothing     no mapping
    any, auto, on             UPnP, NAT-PMP and PCP, whichever answers first
    upnp                      UPnP
    pmp, natpmp, nat-pmp      NAT-PMP, then PCP, of the router that is found
    pmp:192.168.0.1           the same, of this router
    stun                      the address from STUN servers; no mapping
    stun:example.org:3478     the same, from this server; port 3478 if there is none
    extip:192.0.2.7, ip:...   this address; no mapping

``advertise`` has an address, and perhaps a port: ``203.0.113.7``, ``203.0.113.7:31303``,
``2001:db8::7``, ``[2001:db8::7]:30303``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from p2p.arguments import text_of, wrong
from p2p.nat import stun
from p2p.netutil import (
    Endpoint,
    IPAddress,
    canonical,
    is_multicast,
    is_unspecified,
    read_ip,
    split_host_port,
)

WANTED_NAT = 'text such as "any", "upnp", "pmp", "stun", "extip:ADDRESS" or "none"'


class NatKind(Enum):
    """The ways to be reachable behind a router."""

    NONE = "none"
    ANY = "any"
    UPNP = "upnp"
    PMP = "pmp"
    STUN = "stun"
    EXTIP = "extip"


_WORDS = {
    **dict.fromkeys(("", "none", "off"), NatKind.NONE),
    **dict.fromkeys(("any", "auto", "on"), NatKind.ANY),
    "upnp": NatKind.UPNP,
    **dict.fromkeys(("pmp", "natpmp", "nat-pmp"), NatKind.PMP),
    "stun": NatKind.STUN,
    **dict.fromkeys(("extip", "ip"), NatKind.EXTIP),
}
_TAKES_IP = (NatKind.PMP, NatKind.EXTIP)


@dataclass(frozen=True, slots=True)
class NatSpec:
    """The option: ``ip`` for PMP and EXTIP, ``server`` for STUN, each None if not given."""

    kind: NatKind
    ip: IPAddress | None = None
    server: tuple[str, int] | None = None


def parse_nat(text: str) -> NatSpec:
    """Read the option. Raises ArgumentError."""
    word, colon, rest = text_of(text, "nat").partition(":")
    kind = _WORDS.get(word.lower())
    if kind is None:
        raise wrong("nat", text, WANTED_NAT)
    if kind is NatKind.STUN and rest:
        return NatSpec(kind, server=_server(text, rest))
    if not rest:
        if (colon and kind is not NatKind.STUN) or kind is NatKind.EXTIP:
            raise wrong("nat", text, f'an address after "{word}:"')
        return NatSpec(kind)
    if kind not in _TAKES_IP:
        raise wrong("nat", text, f'"{word}" without an address')
    return NatSpec(kind, ip=_node_ip("nat", text, rest, f'an IP address after "{word}:"'))


def _server(text: str, rest: str) -> tuple[str, int]:
    given = rest if _has_port(rest) else f"{rest}:{stun.PORT}"
    try:
        host, port = split_host_port(given)
    except ValueError as error:
        raise wrong("nat", text, f'"stun:host:port" ({error})') from None
    if host is None or port == 0:
        raise wrong("nat", text, '"stun:host:port"')
    return host, port


def _has_port(text: str) -> bool:
    return ":" in text.rpartition("]")[2]


def parse_advertised(text: str) -> Endpoint:
    """Read an entry of ``advertise``; the port is 0 if none is given. Raises ArgumentError."""
    text = text_of(text, "advertise")
    wanted = 'an IP address, perhaps with a port, such as "203.0.113.7:30303"'
    host, port = text, 0
    if text.startswith("[") or text.count(":") == 1:
        try:
            found, port = split_host_port(text)
        except ValueError as error:
            raise wrong("advertise", text, f"{wanted} ({error})") from None
        host = found or ""
        if not port:
            raise wrong("advertise", text, "a port from 1 to 65535, or none for that of the server")
    return Endpoint(_node_ip("advertise", text, host, wanted), port)


def _node_ip(option: str, text: str, host: str, wanted: str) -> IPAddress:
    try:
        ip = read_ip(host)
    except ValueError:
        ip = None
    if ip is None:
        raise wrong(option, text, wanted)
    if is_multicast(ip) or is_unspecified(ip):
        raise wrong(option, text, "an address of one node, neither multicast nor unspecified")
    return canonical(ip)
