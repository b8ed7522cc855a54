"""The messages of discovery v5 as values, and their encoding.

Pure. A message stands encrypted in a packet (:mod:`p2p.discover.v5.packet`). Specification:
discv5-wire, "Protocol Messages". A message is a type byte and an RLP list::

    0x01 PING      [request-id, enr-seq]
    0x02 PONG      [request-id, enr-seq, recipient-ip, recipient-port]
    0x03 FINDNODE  [request-id, [distance, ...]]
    0x04 NODES     [request-id, total, [record, ...]]
    0x05 TALKREQ   [request-id, protocol, request]
    0x06 TALKRESP  [request-id, response]
    0x07 REGTOPIC         [request-id, topic, record, ticket, [topic-distance, ...]]
    0x08 REGCONFIRMATION  [request-id, total, ticket, wait-time]
    0x09 TOPICQUERY       [request-id, topic, [topic-distance, ...]]
    0x0a TOPICNODES       [request-id, total, [record, ...]]

    request-id     up to 8 bytes, chosen by the requester, repeated in the response
    enr-seq        sequence number of the sender's record, 64 bits
    recipient-ip   4 or 16 bytes: the source address of the PING
    distance       logarithmic distance from the recipient's ID, 0 to 256
    total          number of messages of the response, of all types together
    record         a node record (EIP-778), at most 300 bytes
    topic          the identifier of a topic, 32 bytes
    ticket         of the registrar, at most 256 bytes; empty in a first REGTOPIC, and in the
                   REGCONFIRMATION of an admitted ad
    topic-distance logarithmic distance from the topic, 1 to 256, at most 32 of them
    wait-time      milliseconds, 64 bits

A list has exactly these items: go-ethereum refuses others. An IPv4 address in IPv6 form is read and
written as IPv4. ``encode`` raises EncodeError, ``decode`` DecodeError.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, TypeAlias

from p2p.codec import decode as decode_rlp
from p2p.codec import encode as encode_rlp
from p2p.codec import encode_list
from p2p.discover.v5.fields import (
    MAX_DISTANCE,
    MAX_PORT,
    MAX_TICKET_SIZE,
    MAX_UINT64,
    check_own_record,
    check_record,
    checked,
    distance_items,
    read_distances,
    read_ip,
    read_items,
    read_records,
    read_topic,
    record_items,
    sized,
    topic_item,
    uint_item,
)
from p2p.errors import DecodeError, EncodeError
from p2p.netutil import Endpoint, unmap

MAX_REQUEST_ID_SIZE = 8


class MessageType(IntEnum):
    """First byte of a message."""

    PING = 1
    PONG = 2
    FINDNODE = 3
    NODES = 4
    TALKREQ = 5
    TALKRESP = 6
    REGTOPIC = 7
    REGCONFIRMATION = 8
    TOPICQUERY = 9
    TOPICNODES = 10

    def __str__(self) -> str:
        return _NAMES[self]


_NAMES = (
    *("", "ping", "pong", "findnode", "nodes", "talkreq", "talkresp"),
    *("regtopic", "regconfirmation", "topicquery", "topicnodes"),
)


@dataclass(frozen=True, slots=True)
class Ping:
    """Request for a :class:`Pong`."""

    kind: ClassVar[MessageType] = MessageType.PING

    request_id: bytes
    enr_seq: int

    def to_items(self) -> list[bytes]:
        return [uint_item("enr-seq", self.enr_seq, MAX_UINT64)]

    @classmethod
    def from_data(cls, data: bytes) -> Ping:
        request_id, enr_seq = decode_rlp(data, tuple[bytes, int])
        return cls(request_id, checked("enr-seq", enr_seq, MAX_UINT64))


@dataclass(frozen=True, slots=True)
class Pong:
    """Response to a :class:`Ping`, with the source of its packet."""

    kind: ClassVar[MessageType] = MessageType.PONG

    request_id: bytes
    enr_seq: int
    recipient: Endpoint

    def to_items(self) -> list[bytes]:
        return [
            uint_item("enr-seq", self.enr_seq, MAX_UINT64),
            encode_rlp(unmap(self.recipient.ip).packed),
            uint_item("port", self.recipient.port, MAX_PORT),
        ]

    @classmethod
    def from_data(cls, data: bytes) -> Pong:
        request_id, enr_seq, packed, port = decode_rlp(data, tuple[bytes, int, bytes, int])
        endpoint = Endpoint(read_ip(packed), checked("port", port, MAX_PORT))
        return cls(request_id, checked("enr-seq", enr_seq, MAX_UINT64), endpoint)


@dataclass(frozen=True, slots=True)
class FindNode:
    """Request for the nodes at some distances from the recipient; distance 0 is the recipient."""

    kind: ClassVar[MessageType] = MessageType.FINDNODE

    request_id: bytes
    distances: Sequence[int]

    def to_items(self) -> list[bytes]:
        items = [uint_item("distance", distance, MAX_DISTANCE) for distance in self.distances]
        return [encode_list(items)]

    @classmethod
    def from_data(cls, data: bytes) -> FindNode:
        request_id, distances = decode_rlp(data, tuple[bytes, tuple[int, ...]])
        return cls(request_id, distances)


@dataclass(frozen=True, slots=True)
class Nodes:
    """One of ``total`` responses with ``records`` of nodes, RLP, which are not verified.

    It answers a :class:`FindNode`, and adds nodes to the response to a :class:`RegTopic` or a
    :class:`TopicQuery`.
    """

    kind: ClassVar[MessageType] = MessageType.NODES

    request_id: bytes
    total: int
    records: Sequence[bytes]

    def to_items(self) -> list[bytes]:
        return record_items(self.total, self.records)

    @classmethod
    def from_data(cls, data: bytes) -> Nodes:
        return cls(*read_records(data))


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


@dataclass(frozen=True, slots=True)
class RegTopic:
    """Request to keep an ad: the node of ``record``, the sender, serves ``topic``.

    ``ticket`` is that of the last attempt, empty at the first. ``distances`` are distances from
    the topic at which the sender would like to know nodes.
    """

    kind: ClassVar[MessageType] = MessageType.REGTOPIC

    request_id: bytes
    topic: bytes
    record: bytes
    ticket: bytes
    distances: Sequence[int]

    def to_items(self) -> list[bytes]:
        check_own_record(self.record)
        ticket = encode_rlp(sized("ticket", self.ticket, MAX_TICKET_SIZE))
        return [topic_item(self.topic), self.record, ticket, distance_items(self.distances)]

    @classmethod
    def from_data(cls, data: bytes) -> RegTopic:
        items = read_items(data, 5)
        check_record(items[2])
        ticket = decode_rlp(items[3], bytes)
        if len(ticket) > MAX_TICKET_SIZE:
            raise DecodeError(f"a ticket of {len(ticket)} bytes")
        topic, distances = read_topic(items[1]), read_distances(items[4])
        return cls(decode_rlp(items[0], bytes), topic, items[2], ticket, distances)


@dataclass(frozen=True, slots=True)
class RegConfirmation:
    """Response to a :class:`RegTopic`, the only one of its type; :class:`Nodes` may come with it.

    With a ``ticket`` the ad is to wait for ``wait_ms``; without one it is admitted, and expires
    after ``wait_ms``.
    """

    kind: ClassVar[MessageType] = MessageType.REGCONFIRMATION

    request_id: bytes
    total: int
    ticket: bytes
    wait_ms: int

    def to_items(self) -> list[bytes]:
        return [
            uint_item("total", self.total, 0xFF),
            encode_rlp(sized("ticket", self.ticket, MAX_TICKET_SIZE)),
            uint_item("wait-time", self.wait_ms, MAX_UINT64),
        ]

    @classmethod
    def from_data(cls, data: bytes) -> RegConfirmation:
        request_id, total, ticket, wait_ms = decode_rlp(data, tuple[bytes, int, bytes, int])
        if len(ticket) > MAX_TICKET_SIZE:
            raise DecodeError(f"a ticket of {len(ticket)} bytes")
        total = checked("total", total, 0xFF)
        return cls(request_id, total, ticket, checked("wait-time", wait_ms, MAX_UINT64))


@dataclass(frozen=True, slots=True)
class TopicQuery:
    """Request for the ads of ``topic``; ``distances`` as in :class:`RegTopic`."""

    kind: ClassVar[MessageType] = MessageType.TOPICQUERY

    request_id: bytes
    topic: bytes
    distances: Sequence[int]

    def to_items(self) -> list[bytes]:
        return [topic_item(self.topic), distance_items(self.distances)]

    @classmethod
    def from_data(cls, data: bytes) -> TopicQuery:
        items = read_items(data, 3)
        topic, distances = read_topic(items[1]), read_distances(items[2])
        return cls(decode_rlp(items[0], bytes), topic, distances)


@dataclass(frozen=True, slots=True)
class TopicNodes:
    """One of ``total`` responses to a :class:`TopicQuery`; ``records`` are those of advertisers."""

    kind: ClassVar[MessageType] = MessageType.TOPICNODES

    request_id: bytes
    total: int
    records: Sequence[bytes]

    def to_items(self) -> list[bytes]:
        return record_items(self.total, self.records)

    @classmethod
    def from_data(cls, data: bytes) -> TopicNodes:
        return cls(*read_records(data))


Message: TypeAlias = (
    Ping
    | Pong
    | FindNode
    | Nodes
    | TalkRequest
    | TalkResponse
    | RegTopic
    | RegConfirmation
    | TopicQuery
    | TopicNodes
)

_TYPES: dict[int, type[Message]] = {
    int(message.kind): message
    for message in (
        *(Ping, Pong, FindNode, Nodes, TalkRequest, TalkResponse),
        *(RegTopic, RegConfirmation, TopicQuery, TopicNodes),
    )
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
