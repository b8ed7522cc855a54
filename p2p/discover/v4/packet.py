"""The packets of discovery v4 as values, and their data in RLP.

Pure. Owns the fields of each packet. The datagram around the data, with hash and signature, is in
:mod:`p2p.discover.v4.wire`. Specification: discv4, "Wire Protocol"; EIP-8 (leniency), EIP-868
(records). The data are an RLP list by type::

    0x01 ping         [version, from, to, expiration, enr-seq?]
    0x02 pong         [to, ping-hash, expiration, enr-seq?]
    0x03 findnode     [target(64), expiration]
    0x04 neighbors    [[[ip, udp, tcp, key(64)], ...], expiration]
    0x05 enrrequest   [expiration]
    0x06 enrresponse  [request-hash, record]

    from, to    [ip, udp, tcp]; an ip has 4 or 16 bytes, any other length counts as none
    integers    at most 64 bits, ports 16
    record      a list of at most 300 bytes

Further items of the list are ignored. An ``enr-seq`` that is not an integer of at most 64 bits
counts as absent: packets of EIP-8 have other items in its place. An IPv4 address in IPv6 form is
read and written as IPv4. A packet's ``to_items`` raises EncodeError, its ``from_data`` DecodeError.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address
from typing import Any, ClassVar, NamedTuple, TypeAlias

from p2p.codec import decode_fields, encode, encode_list, encode_uint, raw_items
from p2p.enr import SIZE_LIMIT as RECORD_SIZE_LIMIT
from p2p.errors import DecodeError, EncodeError
from p2p.netutil import IPAddress, NodeEndpoint, unmap

KEY_SIZE = 64
_MAX_UINT64 = 2**64 - 1
_MAX_PORT = 0xFFFF
#: Bound on the items of a list; a datagram has no space for more.
_MAX_ITEMS = 1280


class PacketType(IntEnum):
    """Type of a packet, as one byte."""

    PING = 1
    PONG = 2
    FINDNODE = 3
    NEIGHBORS = 4
    ENR_REQUEST = 5
    ENR_RESPONSE = 6

    def __str__(self) -> str:
        return _NAMES[self]


_NAMES = {kind: kind.name.lower().replace("_", "") for kind in PacketType}


class NeighborNode(NamedTuple):
    """A node as another node describes it. Nothing is proven; the key may not be on the curve."""

    ip: IPAddress | None
    udp: int
    tcp: int
    public_key: bytes  # 64 bytes


@dataclass(frozen=True, slots=True)
class Ping:
    """Request for a pong. ``version`` is ignored; ``sender`` is the sender's claim."""

    kind: ClassVar[PacketType] = PacketType.PING

    version: int
    sender: NodeEndpoint
    recipient: NodeEndpoint
    expiration: int
    enr_seq: int | None = None

    def to_items(self) -> list[bytes]:
        return [
            _uint("version", self.version),
            _endpoint(self.sender),
            _endpoint(self.recipient),
            _uint("expiration", self.expiration),
            *_optional_seq(self.enr_seq),
        ]

    @classmethod
    def from_data(cls, data: bytes) -> Ping:
        kinds = (int, _ENDPOINT, _ENDPOINT, int)
        (version, sender, recipient, expiration), seq = _read_with_seq(data, kinds)
        return cls(
            _read_uint64(version),
            _read_endpoint(sender),
            _read_endpoint(recipient),
            _read_uint64(expiration),
            seq,
        )


@dataclass(frozen=True, slots=True)
class Pong:
    """Answer to the ping with ``ping_hash``; ``recipient`` is the address that sent the ping."""

    kind: ClassVar[PacketType] = PacketType.PONG

    recipient: NodeEndpoint
    ping_hash: bytes
    expiration: int
    enr_seq: int | None = None

    def to_items(self) -> list[bytes]:
        return [
            _endpoint(self.recipient),
            encode(self.ping_hash),
            _uint("expiration", self.expiration),
            *_optional_seq(self.enr_seq),
        ]

    @classmethod
    def from_data(cls, data: bytes) -> Pong:
        (to, ping_hash, expiration), seq = _read_with_seq(data, (_ENDPOINT, bytes, int))
        return cls(_read_endpoint(to), ping_hash, _read_uint64(expiration), seq)


@dataclass(frozen=True, slots=True)
class FindNode:
    """Request for the nodes closest to ``target``, 64 bytes that need not be a valid key."""

    kind: ClassVar[PacketType] = PacketType.FINDNODE

    target: bytes
    expiration: int

    def to_items(self) -> list[bytes]:
        return [_key(self.target), _uint("expiration", self.expiration)]

    @classmethod
    def from_data(cls, data: bytes) -> FindNode:
        (target, expiration), _ = decode_fields(data, (bytes, int))
        return cls(_read_key(target), _read_uint64(expiration))


@dataclass(frozen=True, slots=True)
class Neighbors:
    """Nodes close to the target of a findnode; an answer may have several of these packets."""

    kind: ClassVar[PacketType] = PacketType.NEIGHBORS

    nodes: Sequence[NeighborNode]
    expiration: int

    def to_items(self) -> list[bytes]:
        nodes = encode_list([_neighbor(node) for node in self.nodes])
        return [nodes, _uint("expiration", self.expiration)]

    @classmethod
    def from_data(cls, data: bytes) -> Neighbors:
        (nodes, expiration), _ = decode_fields(data, (_NEIGHBORS, int))
        return cls(tuple([_read_neighbor(node) for node in nodes]), _read_uint64(expiration))


@dataclass(frozen=True, slots=True)
class ENRRequest:
    """Request for the record of the recipient (EIP-868)."""

    kind: ClassVar[PacketType] = PacketType.ENR_REQUEST

    expiration: int

    def to_items(self) -> list[bytes]:
        return [_uint("expiration", self.expiration)]

    @classmethod
    def from_data(cls, data: bytes) -> ENRRequest:
        (expiration,), _ = decode_fields(data, (int,))
        return cls(_read_uint64(expiration))


@dataclass(frozen=True, slots=True)
class ENRResponse:
    """Answer to the request with ``request_hash``. The ``record``, as RLP, is not verified yet."""

    kind: ClassVar[PacketType] = PacketType.ENR_RESPONSE

    request_hash: bytes
    record: bytes

    def to_items(self) -> list[bytes]:
        try:
            _check_record(self.record)  # anything but one list would break the packet
        except DecodeError as error:
            raise EncodeError(f"not a record: {error}") from error
        return [encode(self.request_hash), self.record]

    @classmethod
    def from_data(cls, data: bytes) -> ENRResponse:
        (request_hash,), end = decode_fields(data, (bytes,))
        items = raw_items(data[:end], _MAX_ITEMS)
        if len(items) < 2:
            raise DecodeError("there is no record")
        _check_record(items[1])
        return cls(request_hash, items[1])


Packet: TypeAlias = Ping | Pong | FindNode | Neighbors | ENRRequest | ENRResponse


# Encoding of fields.


def _uint(name: str, value: int) -> bytes:
    if not 0 <= value <= _MAX_UINT64:
        raise EncodeError(f"{name} {value} does not fit 64 bits")
    return encode_uint(value)


def _optional_seq(seq: int | None) -> tuple[bytes, ...]:
    return () if seq is None else (_uint("sequence number", seq),)


def _key(key: bytes) -> bytes:
    if len(key) != KEY_SIZE:
        raise EncodeError(f"a key of {len(key)} bytes, want {KEY_SIZE}")
    return encode(key)


def _address(ip: IPAddress | None, udp: int, tcp: int) -> tuple[bytes, bytes, bytes]:
    if not (0 <= udp <= _MAX_PORT and 0 <= tcp <= _MAX_PORT):
        raise EncodeError(f"ports {udp} and {tcp} are not in 0..{_MAX_PORT}")
    packed = b"" if ip is None else unmap(ip).packed
    return encode(packed), encode_uint(udp), encode_uint(tcp)


def _endpoint(endpoint: NodeEndpoint) -> bytes:
    return encode_list(_address(*endpoint))


def _neighbor(node: NeighborNode) -> bytes:
    ip, udp, tcp, public_key = node
    return encode_list((*_address(ip, udp, tcp), _key(public_key)))


# Decoding of fields; a failure is a DecodeError.

_ENDPOINT = tuple[bytes, int, int]
_NEIGHBORS = list[tuple[bytes, int, int, bytes]]


def _read_with_seq(data: bytes, kinds: tuple[object, ...]) -> tuple[tuple[Any, ...], int | None]:
    """Return the fields, and the next item if it is an integer of at most 64 bits (EIP-868)."""
    try:
        values, _ = decode_fields(data, (*kinds, int))
    except DecodeError:
        return decode_fields(data, kinds)[0], None
    seq = values[-1]
    return values[:-1], seq if seq <= _MAX_UINT64 else None


def _read_uint64(value: int) -> int:
    if value > _MAX_UINT64:
        raise DecodeError("an integer of more than 64 bits")
    return value


def _read_key(key: bytes) -> bytes:
    if len(key) != KEY_SIZE:
        raise DecodeError(f"a key of {len(key)} bytes, want {KEY_SIZE}")
    return key


def _read_address(packed: bytes, udp: int, tcp: int) -> tuple[IPAddress | None, int, int]:
    if udp > _MAX_PORT or tcp > _MAX_PORT:
        raise DecodeError("a port of more than 16 bits")
    if len(packed) == 4:
        return IPv4Address(packed), udp, tcp
    return unmap(IPv6Address(packed)) if len(packed) == 16 else None, udp, tcp


def _read_endpoint(fields: tuple[bytes, int, int]) -> NodeEndpoint:
    return NodeEndpoint(*_read_address(*fields))


def _read_neighbor(fields: tuple[bytes, int, int, bytes]) -> NeighborNode:
    packed, udp, tcp, key = fields
    return NeighborNode(*_read_address(packed, udp, tcp), _read_key(key))


def _check_record(record: bytes) -> None:
    """Raise DecodeError unless ``record`` is a list of at most 300 bytes.

    :class:`p2p.enr.Record` checks the rest.
    """
    if len(record) > RECORD_SIZE_LIMIT:
        raise DecodeError(f"a record of {len(record)} bytes")
    raw_items(record, RECORD_SIZE_LIMIT)
