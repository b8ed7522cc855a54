"""Headers of captured packets: from the link layer to a TCP segment or a UDP datagram.

Pure. It owns the layouts of the link layers that tcpdump makes, of IPv4 and IPv6, TCP and UDP, as
far as they are needed. Anything else, broken packets and IP fragments give None: a capture is as
hostile as a network. A packet may be cut off by the snapshot length; ``size`` is the length of its
payload on the wire.

Link types are numbers of libpcap (``DLT_*``)::

    Ethernet  1    destination 6 || source 6 || [VLAN tag 4]... || type 2
    loopback  0    address family 4, of the host's byte order; 108: of network byte order
    raw IP    12   no header; 14 and 101, 228 (IPv4), 229 (IPv6) likewise
    cooked v1 113  packet type 2 || hardware 2 || size 2 || address 8 || type 2
    cooked v2 276  type 2 || reserved 2 || interface 4 || hardware 2 || packet type 1 || size 1
                   || address 8
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from struct import Struct, error
from typing import NamedTuple

from p2p.netutil import Endpoint, IPAddress, canonical

#: Link types that are understood, by number.
LINK_TYPES = {
    0: "loopback",
    1: "Ethernet",
    12: "raw IP",
    14: "raw IP",
    101: "raw IP",
    108: "loopback",
    113: "Linux cooked v1",
    228: "raw IPv4",
    229: "raw IPv6",
    276: "Linux cooked v2",
}
FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10

_RAW = {12, 14, 101, 228, 229}
_LOOPBACK = {0, 108}
_IPV4_TYPE, _IPV6_TYPE = 0x0800, 0x86DD
_VLAN_TYPES = {0x8100, 0x88A8}
#: Of tags and of extension headers of IPv6, each; real packets have two at most.
_MAX_HEADERS = 8
_TCP, _UDP = 6, 17
#: Extension headers of IPv6 with a length: hop-by-hop, routing, destination options.
_EXTENSIONS = {0, 43, 60}

_TYPE = Struct(">H")
_IPV4 = Struct(">BxH2xHxB2x4s4s")
_IPV6 = Struct(">B3xHBx16s16s")
_TCP_HEAD = Struct(">HHIIBB")
_UDP_HEAD = Struct(">HHH2x")
#: Addresses that are kept parsed.
_KNOWN_ADDRESSES = 4096


class Segment(NamedTuple):
    """A TCP segment; ``seq`` is that of its first payload byte, or of its SYN."""

    source: Endpoint
    destination: Endpoint
    seq: int
    ack: int
    flags: int
    payload: bytes
    size: int


class Datagram(NamedTuple):
    """A UDP datagram."""

    source: Endpoint
    destination: Endpoint
    payload: bytes
    size: int


def parse_packet(link_type: int, data: bytes) -> Segment | Datagram | None:
    """Read a packet of a link type. Returns None for one that is not TCP or UDP, or is broken."""
    try:
        start = _network_layer(link_type, data)
        if start is None:
            return None
        version = data[start] >> 4
        if version == 4:
            return _read_ipv4(data, start)
        return _read_ipv6(data, start) if version == 6 else None
    except (IndexError, error):
        return None


def _network_layer(link_type: int, data: bytes) -> int | None:
    """Return the offset of the IP header, None if there is another protocol."""
    if link_type in _RAW:
        return 0
    if link_type in _LOOPBACK:
        return 4  # its family has another number on each system; the IP header tells as much
    if link_type == 113:
        return 16 if _is_ip(data, 14) else None
    if link_type == 276:
        return 20 if _is_ip(data, 0) else None
    if link_type != 1:
        return None
    type_at = 12
    for _ in range(_MAX_HEADERS):
        if _TYPE.unpack_from(data, type_at)[0] not in _VLAN_TYPES:
            break
        type_at += 4
    return type_at + 2 if _is_ip(data, type_at) else None


def _is_ip(data: bytes, type_at: int) -> bool:
    return _TYPE.unpack_from(data, type_at)[0] in (_IPV4_TYPE, _IPV6_TYPE)


def _read_ipv4(data: bytes, start: int) -> Segment | Datagram | None:
    head, size, fragment, protocol, source, destination = _IPV4.unpack_from(data, start)
    head_size = (head & 0x0F) * 4
    if head_size < 20 or fragment & 0x3FFF:  # more fragments, or not the first
        return None
    end = start + size if size else len(data)  # 0: segmented by the network card
    return _read_ports(data, start + head_size, end, protocol, source, destination)


def _read_ipv6(data: bytes, start: int) -> Segment | Datagram | None:
    _, size, protocol, source, destination = _IPV6.unpack_from(data, start)
    position = start + 40
    end = position + size if size else len(data)
    for _ in range(_MAX_HEADERS):
        if protocol not in _EXTENSIONS:
            break
        protocol, position = data[position], position + 8 + 8 * data[position + 1]
    return _read_ports(data, position, end, protocol, source, destination)


def _read_ports(
    data: bytes, start: int, end: int, protocol: int, source: bytes, destination: bytes
) -> Segment | Datagram | None:
    if protocol == _TCP:
        from_port, to_port, seq, ack, head, flags = _TCP_HEAD.unpack_from(data, start)
        head_size = (head >> 4) * 4
    elif protocol == _UDP:
        from_port, to_port, size = _UDP_HEAD.unpack_from(data, start)
        end, head_size = min(end, start + size), 8
    else:
        return None
    body = start + head_size
    if head_size < 8 or body > end:
        return None
    payload, size = data[body : min(end, len(data))], end - body
    ends = Endpoint(_address(source), from_port), Endpoint(_address(destination), to_port)
    if protocol == _UDP:
        return Datagram(*ends, payload, size)
    return Segment(*ends, seq, ack, flags, payload, size) if head_size >= 20 else None


@lru_cache(maxsize=_KNOWN_ADDRESSES)
def _address(packed: bytes) -> IPAddress:
    return canonical(IPv4Address(packed) if len(packed) == 4 else IPv6Address(packed))
