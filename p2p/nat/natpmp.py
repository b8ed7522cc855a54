"""NAT-PMP packets and rules (RFC 6886).

Pure. All numbers are big-endian. A request has 2 or 12 bytes::

    version 0 (1)   opcode (1)   [ 0 (2)   internal port (2)   external port (2)   lifetime (4) ]

with opcode 0 for the external address, 1 to map a UDP port, 2 for TCP. The answer has 12 or 16::

    version 0 (1)   128 + opcode (1)   result (2)   epoch (4)   address (4)
                                                             or internal port (2)
                                                                external port (2)   lifetime (4)

Only the first eight bytes of a refusal count (section 3.5). The epoch is the time since the
router's mapping table was reset, in seconds (section 3.6).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address

from p2p.nat.errors import NatError
from p2p.nat.mapping import MapAnswer, Mapped, PortMapping
from p2p.nat.request import Request
from p2p.netutil import is_multicast, is_unspecified

#: UDP port of the router.
PORT = 5351
#: Size of the longest answer, in bytes.
MAX_SIZE = 16
#: Seconds before each retransmission, and after the last (section 3.1).
WAITS_S = tuple(0.25 * 2**n for n in range(9))

_VERSION = 0
_ADDRESS = 0
_OPCODES = {"udp": 1, "tcp": 2}
_ANSWER = 128  # bit of the opcode
_HEADER = struct.Struct(">BBHI")
_UNSUPPORTED_VERSION = 1
#: Meanings of the result codes (section 3.5).
RESULTS = {
    _UNSUPPORTED_VERSION: "unsupported version",
    2: "not authorized, or port mapping is turned off",
    3: "network failure, perhaps without an external address",
    4: "out of resources",
    5: "unsupported opcode",
}
#: Deviation of the router's clock that is no restart, in seconds (section 3.6).
_EPOCH_TOLERANCE_S = 2.0


class OtherVersion(NatError):
    """The router speaks another version, such as PCP (version 2)."""


@dataclass(frozen=True, slots=True)
class AddressAnswer:
    """The external address, and the epoch."""

    ip: IPv4Address
    epoch: int


def is_restart(router_s: float, our_s: float) -> bool:
    """Whether the router has restarted, by the times since its last answer (section 3.6)."""
    return router_s < our_s * 7 / 8 - _EPOCH_TOLERANCE_S


def address_request(now: float) -> Request[AddressAnswer]:
    """Return the request for the external address."""
    return Request(bytes((_VERSION, _ADDRESS)), WAITS_S, parse_address, now)


def map_request(mapping: PortMapping, now: float) -> Request[MapAnswer]:
    """Return the request for a mapping; a lifetime of 0 deletes it (section 3.4)."""
    opcode = _OPCODES[mapping.protocol]
    external = mapping.external_port if mapping.lifetime_s else 0
    packet = struct.pack(
        ">BBHHHI", _VERSION, opcode, 0, mapping.internal_port, external, mapping.lifetime_s
    )
    return Request(packet, WAITS_S, lambda data: parse_mapping(data, mapping), now)


def parse_address(data: bytes) -> AddressAnswer | None:
    """Read the answer to a request for the address, None for another packet.

    Raises NatError for a refusal, OtherVersion if the router speaks another version.
    """
    epoch = _parse_header(data, _ADDRESS)
    if epoch is None or len(data) != 12:
        return None
    ip = IPv4Address(data[8:])
    if is_unspecified(ip) or is_multicast(ip):
        raise NatError(f"NAT-PMP: external address {ip}")
    return AddressAnswer(ip, epoch)


def parse_mapping(data: bytes, wanted: PortMapping) -> MapAnswer | None:
    """Read the answer to a request for a mapping, None for another packet.

    Raises NatError for a refusal, OtherVersion if the router speaks another version.
    """
    epoch = _parse_header(data, _OPCODES[wanted.protocol])
    if epoch is None or len(data) != 16:
        return None
    internal, external, lifetime_s = struct.unpack_from(">HHI", data, 8)
    if internal != wanted.internal_port:
        return None  # the answer to an earlier request
    if bool(lifetime_s) != bool(wanted.lifetime_s):
        raise NatError(f"NAT-PMP: lifetime {lifetime_s} s, wanted {wanted.lifetime_s} s")
    if lifetime_s and not external:
        raise NatError("NAT-PMP: mapped to port 0")
    return MapAnswer(Mapped(external, lifetime_s), epoch)


def _parse_header(data: bytes, opcode: int) -> int | None:
    """Return the epoch of a granted request, None for another packet."""
    if len(data) < _HEADER.size:
        return None
    version, answer, result, epoch = _HEADER.unpack_from(data)
    if not answer & _ANSWER:
        return None
    if version != _VERSION:
        raise OtherVersion(f"the router speaks version {version}, not NAT-PMP")
    if answer != opcode | _ANSWER:
        return None
    if result == _UNSUPPORTED_VERSION:
        raise OtherVersion("the router does not speak NAT-PMP (version 0)")
    if result:
        raise NatError(f"NAT-PMP: {RESULTS.get(result, f'result {result}')}")
    return int(epoch)
