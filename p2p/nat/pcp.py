"""PCP packets and rules: the opcode MAP, for IPv4 and IPv6 (RFC 6887).

Pure. All numbers are big-endian, IPv4 addresses are in IPv6 form (``::ffff:a.b.c.d``). A request
has a header and the fields of MAP, 60 bytes (sections 7.1 and 11.1)::

    version 2 (1)   opcode 1 (1)   0 (2)   lifetime (4)   address of the client (16)
    nonce (12)   protocol (1)   0 (3)   internal port (2)   external port (2)   address (16)

where the external port and address are suggestions. The answer has 60 bytes, and perhaps options,
which are ignored; at most 1,100 in all (section 7)::

    version 2 (1)   128 + opcode (1)   0 (1)   result (1)   lifetime (4)   epoch (4)   0 (12)
    nonce (12)   protocol (1)   0 (3)   internal port (2)   external port (2)   address (16)

The epoch is the time since the router's mapping table was reset, in seconds (section 8.5). A
request with opcode 0, ANNOUNCE, has the header only, and so has its answer (section 14.1).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from p2p.inputs import RandomSource
from p2p.nat.errors import NatError
from p2p.nat.mapping import MapAnswer, Mapped, PortMapping
from p2p.nat.request import Request
from p2p.netutil import IPAddress, is_multicast, is_unspecified, unmap

#: UDP port of the router.
PORT = 5351
#: Size of the longest answer, in bytes (section 7).
MAX_SIZE = 1100
#: Size of a nonce, in bytes.
NONCE_SIZE = 12

_VERSION = 2
_ANNOUNCE, _MAP = 0, 1
_ANSWER = 128  # bit of the opcode
_PROTOCOLS = {"tcp": 6, "udp": 17}
_REQUEST = struct.Struct(">BBHI16s")
_HEADER = struct.Struct(">BBBBII12x")
_FIELDS = struct.Struct(">12sB3xHH16s")
_UNSUPPORTED_VERSION = 1
#: Meanings of the result codes (section 7.4).
RESULTS = {
    _UNSUPPORTED_VERSION: "unsupported version",
    2: "not authorized",
    3: "malformed request",
    4: "unsupported opcode",
    5: "unsupported option",
    6: "malformed option",
    7: "network failure",
    8: "out of resources",
    9: "unsupported protocol",
    10: "quota exceeded",
    11: "the suggested external address or port cannot be provided",
    12: "our address is not the one in the request: another router is in between",
    13: "too many remote peers",
}
#: Time before the first retransmission, and limit on that before a later one (section 8.1.1).
_FIRST_WAIT_S = 3.0
_MAX_WAIT_S = 1024.0
#: Deviations of the router's clock that are no restart, in seconds (section 8.5).
_BACKWARDS_S = 1
_DELAY_S = 2.0


def is_restart(router_s: float, our_s: float) -> bool:
    """Whether the router has restarted, by the times since its last answer (section 8.5)."""
    if router_s < -_BACKWARDS_S:
        return True
    is_fast = our_s + _DELAY_S < router_s * 15 / 16
    return is_fast or router_s + _DELAY_S < our_s * 15 / 16


def announce_request(client: IPAddress, randomness: RandomSource, now: float) -> Request[int]:
    """Return the request for the epoch, which shows whether the router speaks PCP.

    ``client`` is our address on the way to the router.
    """
    packet = _REQUEST.pack(_VERSION, _ANNOUNCE, 0, 0, _to_ipv6(client).packed)
    return Request(packet, _waits(randomness), parse_announcement, now)


def map_request(
    mapping: PortMapping, client: IPAddress, nonce: bytes, randomness: RandomSource, now: float
) -> Request[MapAnswer]:
    """Return the request for a mapping; a lifetime of 0 deletes it (section 15.1).

    ``client`` is our address on the way to the router. ``nonce`` has 12 random bytes; renewals and
    the deletion have the same as the first request for a mapping (section 11.2).
    """
    any_ip = _to_ipv6(IPv4Address(0)) if client.version == 4 else IPv6Address(0)
    external = mapping.external_port if mapping.lifetime_s else 0
    protocol = _PROTOCOLS[mapping.protocol]
    packet = _REQUEST.pack(_VERSION, _MAP, 0, mapping.lifetime_s, _to_ipv6(client).packed)
    packet += _FIELDS.pack(nonce, protocol, mapping.internal_port, external, any_ip.packed)

    def read(data: bytes) -> MapAnswer | None:
        return parse_mapping(data, mapping, nonce)

    return Request(packet, _waits(randomness), read, now)


def parse_announcement(data: bytes) -> int | None:
    """Read the epoch in the answer to ANNOUNCE, None for another packet.

    Raises NatError for a refusal.
    """
    header = _parse_header(data, _ANNOUNCE)
    if header is None:
        return None
    _check_result(header.result)
    return header.epoch


def parse_mapping(data: bytes, wanted: PortMapping, nonce: bytes) -> MapAnswer | None:
    """Read the answer to a request for a mapping, None for another packet.

    Raises NatError for a refusal.
    """
    header = _parse_header(data, _MAP)
    if header is None or len(data) < _HEADER.size + _FIELDS.size:
        return None
    *fields, external, packed = _FIELDS.unpack_from(data, _HEADER.size)
    # Section 11.4: another nonce, protocol or port is not the answer.
    if fields != [nonce, _PROTOCOLS[wanted.protocol], wanted.internal_port]:
        return None
    _check_result(header.result)
    mapped = Mapped(external, header.lifetime_s, unmap(IPv6Address(packed)))
    if wanted.lifetime_s:
        _check(mapped)
    return MapAnswer(mapped, header.epoch)


class _Header(NamedTuple):
    version: int
    opcode: int
    reserved: int
    result: int
    lifetime_s: int
    epoch: int


def _parse_header(data: bytes, opcode: int) -> _Header | None:
    """Return the header of an answer, None for another packet.

    Raises NatError if the router does not speak PCP.
    """
    if len(data) < 4 or not data[1] & _ANSWER:
        return None
    # A router for NAT-PMP only answers with its own header of 8 bytes (RFC 6886, section 3.5).
    if data[0] != _VERSION or data[3] == _UNSUPPORTED_VERSION:
        raise NatError("the router does not speak PCP (version 2)")
    if not _HEADER.size <= len(data) <= MAX_SIZE or len(data) % 4 or data[1] != opcode | _ANSWER:
        return None
    return _Header(*_HEADER.unpack_from(data))


def _check_result(result: int) -> None:
    if result:
        raise NatError(f"PCP: {RESULTS.get(result, f'result {result}')}")


def _check(mapped: Mapped) -> None:
    """Raise NatError unless the mapping leads to us from outside."""
    ip = mapped.external_ip
    assert ip is not None
    if not mapped.lifetime_s or not mapped.external_port:
        raise NatError(f"PCP: port {mapped.external_port} for {mapped.lifetime_s} s")
    if is_unspecified(ip) or is_multicast(ip):
        raise NatError(f"PCP: external address {ip}")


def _to_ipv6(ip: IPAddress) -> IPv6Address:
    return ip if isinstance(ip, IPv6Address) else IPv6Address(f"::ffff:{ip}")


def _waits(randomness: RandomSource) -> Iterator[float]:
    """Yield the times of retransmissions, without end (section 8.1.1)."""
    wait = _FIRST_WAIT_S / 2
    while True:
        wait = (0.9 + randomness.random() / 5) * min(2 * wait, _MAX_WAIT_S)
        yield wait
