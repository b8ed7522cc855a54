"""The messages of discovery v5 as values, and their encoding.

Pure. A message stands encrypted in a packet (:mod:`p2p.discover.v5.packet`). Specification:
discv5-wire, "Protocol Messages". A message is a type byte and an RLP list::

    0x01 PING      [request-id, enr-seq]
    0x02 PONG      [request-id, enr-seq, recipient-ip, recipient-port]
    0x03 FINDNODE  [request-id, [distance, ...]]
    0x04 NODES     [request-id, total, [record, ...]]
    0x05 TALKREQ   [request-id, protocol, request]
    0x06 TALKRESP  [request-id, response]

    request-id     up to 8 bytes, chosen by the requester, repeated in the response
    enr-seq        sequence number of the sender's record, 64 bits
    recipient-ip   4 or 16 bytes: the source address of the PING
    distance       logarithmic distance from the recipient's ID, 0 to 256
    total          number of NODES messages of the response
    record         a node record (EIP-778), at most 300 bytes

A list has exactly these items: go-ethereum refuses others. An IPv4 address in IPv6 form is read and
written as IPv4. ``encode`` raises EncodeError, ``decode`` DecodeError.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address
from typing import ClassVar, TypeAlias

from p2p.codec import decode as decode_rlp
from p2p.codec import encode as encode_rlp
from p2p.codec import encode_list, encode_uint, raw_items
from p2p.enr import SIZE_LIMIT as RECORD_SIZE_LIMIT
from p2p.errors import DecodeError, EncodeError
from p2p.netutil import Endpoint, IPAddress, unmap

MAX_REQUEST_ID_SIZE = 8
MAX_DISTANCE = 256
_MAX_UINT64 = 2**64 - 1
_MAX_PORT = 0xFFFF
#: Bound for splitting a list; a datagram has no room for more items.
_MAX_ITEMS = 1280


class MessageType(IntEnum):
    """First byte of a message."""

    PING = 1
    PONG = 2
    FINDNODE = 3
    NODES = 4
    TALKREQ = 5
    TALKRESP = 6

    def __str__(self) -> str:
        return _NAMES[self]


_NAMES = ("", "ping", "pong", "findnode", "nodes", "talkreq", "talkresp")


@dataclass(frozen=True, slots=True)
class Ping:
    """Request for a :class:`Pong`."""

    kind: ClassVar[MessageType] = MessageType.PING

    request_id: bytes
    enr_seq: int

    def to_items(self) -> list[bytes]:
        return [_uint("enr-seq", self.enr_seq, _MAX_UINT64)]

    @classmethod
    def from_data(cls, data: bytes) -> Ping:
        request_id, enr_seq = decode_rlp(data, tuple[bytes, int])
        return cls(request_id, _checked("enr-seq", enr_seq, _MAX_UINT64))


@dataclass(frozen=True, slots=True)
class Pong:
    """Response to a :class:`Ping`, with the source of its packet."""

    kind: ClassVar[MessageType] = MessageType.PONG

    request_id: bytes
    enr_seq: int
    recipient: Endpoint

    def to_items(self) -> list[bytes]:
        return [
            _uint("enr-seq", self.enr_seq, _MAX_UINT64),
            encode_rlp(unmap(self.recipient.ip).packed),
            _uint("port", self.recipient.port, _MAX_PORT),
        ]

    @classmethod
    def from_data(cls, data: bytes) -> Pong:
        request_id, enr_seq, packed, port = decode_rlp(data, tuple[bytes, int, bytes, int])
        endpoint = Endpoint(_read_ip(packed), _checked("port", port, _MAX_PORT))
        return cls(request_id, _checked("enr-seq", enr_seq, _MAX_UINT64), endpoint)


@dataclass(frozen=True, slots=True)
class FindNode:
    """Request for the nodes at some distances from the recipient; distance 0 is the recipient."""

    kind: ClassVar[MessageType] = MessageType.FINDNODE

    request_id: bytes
    distances: Sequence[int]

    def to_items(self) -> list[bytes]:
        items = [_uint("distance", distance, MAX_DISTANCE) for distance in self.distances]
        return [encode_list(items)]

    @classmethod
    def from_data(cls, data: bytes) -> FindNode:
        request_id, distances = decode_rlp(data, tuple[bytes, tuple[int, ...]])
        return cls(request_id, distances)


@dataclass(frozen=True, slots=True)
class Nodes:
    """One of ``total`` responses to a :class:`FindNode`; the ``records``, RLP, are not verified."""

    kind: ClassVar[MessageType] = MessageType.NODES

    request_id: bytes
    total: int
    records: Sequence[bytes]

    def to_items(self) -> list[bytes]:
        try:
            for record in self.records:
                _check_record(record)  # anything but one list would break the message
        except DecodeError as error:
            raise EncodeError(f"not a record: {error}") from error
        return [_uint("total", self.total, 0xFF), encode_list(self.records)]

    @classmethod
    def from_data(cls, data: bytes) -> Nodes:
        items = raw_items(data, _MAX_ITEMS)
        if len(items) != 3:
            raise DecodeError(f"a list of {len(items)} items, expected 3")
        total = _checked("total", decode_rlp(items[1], int), 0xFF)
        records = tuple(raw_items(items[2], _MAX_ITEMS))
        for record in records:
            _check_record(record)
        return cls(decode_rlp(items[0], bytes), total, records)


@dataclass(frozen=True, slots=True)
class TalkRequest:
    """Request of an application's ``protocol``."""

    kind: ClassVar[MessageType] = MessageType.TALKREQ

    request_id: bytes
    protocol: bytes
    request: bytes

    def to_items(self) -> list[bytes]:
        return [encode_rlp(self.protocol), encode_rlp(self.request)]

    @classmethod
    def from_data(cls, data: bytes) -> TalkRequest:
        return cls(*decode_rlp(data, tuple[bytes, bytes, bytes]))


@dataclass(frozen=True, slots=True)
class TalkResponse:
    """Response to a :class:`TalkRequest`; empty if the protocol is unknown."""

    kind: ClassVar[MessageType] = MessageType.TALKRESP

    request_id: bytes
    response: bytes

    def to_items(self) -> list[bytes]:
        return [encode_rlp(self.response)]

    @classmethod
    def from_data(cls, data: bytes) -> TalkResponse:
        return cls(*decode_rlp(data, tuple[bytes, bytes]))


Message: TypeAlias = Ping | Pong | FindNode | Nodes | TalkRequest | TalkResponse

_TYPES: dict[int, type[Message]] = {
    int(message.kind): message
    for message in (Ping, Pong, FindNode, Nodes, TalkRequest, TalkResponse)
}


def encode(message: Message) -> bytes:
    """Return the plaintext of a message. Raises EncodeError for a value that does not fit."""
    if len(message.request_id) > MAX_REQUEST_ID_SIZE:
        raise EncodeError(f"a request ID of {len(message.request_id)} bytes")
    items = [encode_rlp(message.request_id), *message.to_items()]
    return bytes([message.kind]) + encode_list(items)


def decode(plaintext: bytes) -> Message:
    """Read the plaintext of a message. Raises DecodeError for anything else."""
    if not plaintext:
        raise DecodeError("an empty message")
    kind = _TYPES.get(plaintext[0])
    if kind is None:
        raise DecodeError(f"unknown message type {plaintext[0]}")
    message = kind.from_data(plaintext[1:])
    if len(message.request_id) > MAX_REQUEST_ID_SIZE:
        raise DecodeError(f"a request ID of {len(message.request_id)} bytes")
    return message


def _uint(name: str, value: int, limit: int) -> bytes:
    if not 0 <= value <= limit:
        raise EncodeError(f"{name} {value} is not in 0..{limit}")
    return encode_uint(value)


def _checked(name: str, value: int, limit: int) -> int:
    if value > limit:
        raise DecodeError(f"{name} beyond {limit}")
    return value


def _read_ip(packed: bytes) -> IPAddress:
    if len(packed) == 4:
        return IPv4Address(packed)
    if len(packed) == 16:
        return unmap(IPv6Address(packed))
    raise DecodeError(f"an IP address of {len(packed)} bytes")


def _check_record(record: bytes) -> None:
    """Refuse anything but a list of at most 300 bytes; :class:`p2p.enr.Record` verifies it."""
    if len(record) > RECORD_SIZE_LIMIT:
        raise DecodeError(f"a record of {len(record)} bytes")
    raw_items(record, RECORD_SIZE_LIMIT)
