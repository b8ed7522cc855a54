"""STUN: our address as a server on the Internet sees it (RFC 8489, binding).

Pure. Numbers are big-endian. A message has a header of 20 bytes, and attributes (sections 5, 14)::

    type (2)   length of the attributes (2)   0x2112a442 (4)   transaction id (12)
    { type (2)   length of the value (2)   value, filled up to a multiple of 4 bytes }

The value of an address is ``0 (1)   family 1 or 2 (1)   port (2)   address (4 or 16)``. In
XOR-MAPPED-ADDRESS the port and the address are combined with the 16 bytes before the attributes
(section 14.2); MAPPED-ADDRESS, which routers rewrite, is used without it only (section 14.1).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from ipaddress import ip_address

from p2p.nat.errors import NatError
from p2p.nat.request import Request
from p2p.netutil import Endpoint, is_multicast, is_unspecified, printable, unmap

#: UDP port of a server.
PORT = 3478
#: Size of the longest answer, in bytes: that of a datagram on any network (section 6.1).
MAX_SIZE = 1280
#: Size of a transaction id, in bytes.
ID_SIZE = 12
#: Seconds before each retransmission, and after the last (section 6.2.1: RTO, Rc, Rm).
WAITS_S = (*(0.5 * 2**n for n in range(6)), 16 * 0.5)

_COOKIE = 0x2112A442
_HEADER = struct.Struct(">HHI12s")
_REQUEST, _SUCCESS, _ERROR = 0x0001, 0x0101, 0x0111
_MAPPED_ADDRESS, _XOR_MAPPED_ADDRESS, _ERROR_CODE = 0x0001, 0x0020, 0x0009
_ADDRESS_SIZES = {1: 4, 2: 16}
#: Longest reason of an error that is shown, in characters.
_MAX_REASON = 80


def binding_request(transaction_id: bytes, now: float) -> Request[Endpoint]:
    """Return the request for our endpoint; the id has 12 random bytes."""
    packet = _HEADER.pack(_REQUEST, 0, _COOKIE, transaction_id)
    return Request(packet, WAITS_S, lambda data: parse_binding(data, transaction_id), now)


def parse_binding(data: bytes, transaction_id: bytes) -> Endpoint | None:
    """Read the answer to a binding request, None for another packet.

    Raises NatError for a refusal, and for an answer without an address.
    """
    if not _HEADER.size <= len(data) <= MAX_SIZE:
        return None
    kind, length, cookie, got_id = _HEADER.unpack_from(data)
    if (length, cookie, got_id) != (len(data) - _HEADER.size, _COOKIE, transaction_id):
        return None
    if kind not in (_SUCCESS, _ERROR) or length % 4:
        return None
    attributes = _first_of_each(data)
    if kind == _ERROR:
        raise NatError(f"STUN: {_reason(attributes.get(_ERROR_CODE, b''))}")
    return _endpoint(attributes, data[4:20])


def _endpoint(attributes: dict[int, bytes], key: bytes) -> Endpoint:
    value = attributes.get(_XOR_MAPPED_ADDRESS)
    if value is None:
        value, key = attributes.get(_MAPPED_ADDRESS), bytes(16)
    if value is None:
        raise NatError("STUN: no address in the answer")
    if len(value) < 4 or len(value) - 4 != _ADDRESS_SIZES.get(value[1]):
        raise NatError("STUN: an address of a wrong size or family")
    port, address = _combined(value[2:4], key), _combined(value[4:], key)
    ip = unmap(ip_address(address))
    if is_unspecified(ip) or is_multicast(ip):
        raise NatError(f"STUN: our address {ip}")
    return Endpoint(ip, int.from_bytes(port, "big"))


def _first_of_each(data: bytes) -> dict[int, bytes]:
    """Return the first attribute of each type (section 14)."""
    found: dict[int, bytes] = {}
    for kind, value in _attributes(data):
        found.setdefault(kind, value)
    return found


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield type and value of each attribute. Raises NatError for one that is cut off."""
    at = _HEADER.size
    while at < len(data):  # both are multiples of 4
        kind, length = struct.unpack_from(">HH", data, at)
        end = at + 4 + length
        if end > len(data):
            raise NatError("STUN: an attribute is longer than the answer")
        yield kind, data[at + 4 : end]
        at = end + -end % 4


def _combined(value: bytes, key: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(value, key, strict=False))


def _reason(value: bytes) -> str:
    """Return the text of an ERROR-CODE (section 14.8)."""
    if len(value) < 4:
        return "refused without a reason"
    text = printable(value[4:].decode("utf-8", "replace"), _MAX_REASON)
    return f"error {(value[2] & 7) * 100 + value[3]} {text}".rstrip()
