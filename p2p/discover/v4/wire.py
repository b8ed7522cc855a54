"""The datagrams of discovery v4: hash, signature and packet.

Pure. Owns the format of a datagram; :mod:`p2p.discover.v4.packet` owns the contents of each packet.
The engine checks whether a packet is a wanted answer, is late, or names forbidden addresses.
Specification: discv4, "Wire Protocol"; EIP-8.

A datagram has at most 1,280 bytes::

    hash(32) || signature(65) || type(1) || data || anything

    hash        keccak256 of all bytes after it; a check against noise, proves nothing
    signature   r || s || v, v in 0..3, over keccak256 of all bytes after it
    data        an RLP list, by type
    anything    is ignored (EIP-8)
"""

from __future__ import annotations

from typing import NamedTuple

from p2p.codec import encode_list
from p2p.crypto import PrivateKey, PublicKey, keccak256, recover
from p2p.discover.v4.packet import (
    ENRRequest,
    ENRResponse,
    FindNode,
    NeighborNode,
    Neighbors,
    Packet,
    PacketType,
    Ping,
    Pong,
)
from p2p.errors import DecodeError, EncodeError, InvalidKey, PacketError

__all__ = [
    "MAX_NEIGHBORS",
    "MAX_PACKET_SIZE",
    "TYPE_OFFSET",
    "ENRRequest",
    "ENRResponse",
    "FindNode",
    "NeighborNode",
    "Neighbors",
    "Packet",
    "PacketType",
    "Ping",
    "Pong",
    "Received",
    "decode",
    "encode",
    "is_expired",
    "kind_of",
]

#: Largest datagram, in bytes, as discv4 demands: the smallest MTU of IPv6.
MAX_PACKET_SIZE = 1280
#: Most nodes in one neighbors packet that we send: as many as fit, with IPv6 addresses.
MAX_NEIGHBORS = 12

_HASH_SIZE = 32
_SIGNATURE_SIZE = 65
_HEAD_SIZE = _HASH_SIZE + _SIGNATURE_SIZE
#: Offset of the packet type in a datagram, after hash and signature.
TYPE_OFFSET = _HEAD_SIZE
_MAX_RECOVERY_ID = 3

#: Last time of go-ethereum's time type: seconds since the year 1 in a signed 64-bit integer. A
#: later time, and any from 2**63 on where the sign changes, is in the past.
_LAST_UNIX = 2**63 - 1 - 62_135_596_800

_TYPES: dict[int, type[Packet]] = {
    int(packet.kind): packet
    for packet in (Ping, Pong, FindNode, Neighbors, ENRRequest, ENRResponse)
}
_KIND_BYTES = {kind: bytes([kind]) for kind in PacketType}


class Received(NamedTuple):
    """A packet, the key that signed it, and its hash (32 bytes), to which an answer refers."""

    packet: Packet
    public_key: PublicKey
    packet_hash: bytes


def encode(private_key: PrivateKey, packet: Packet) -> tuple[bytes, bytes]:
    """Sign a packet. Return the datagram and its hash, 32 bytes. Any thread.

    Raises EncodeError for a value that does not fit its field, and for a packet of more than
    1,280 bytes.
    """
    signed = _KIND_BYTES[packet.kind] + encode_list(packet.to_items())
    size = _HEAD_SIZE + len(signed)
    if size > MAX_PACKET_SIZE:
        raise EncodeError(f"a {packet.kind} packet of {size} bytes, at most {MAX_PACKET_SIZE} fit")
    hashed = private_key.sign(keccak256(signed)) + signed
    packet_hash = keccak256(hashed)
    return packet_hash + hashed, packet_hash


def decode(datagram: bytes) -> Received:
    """Decode and verify a datagram. Any thread.

    Raises PacketError, whose ``reason`` is one of ``size``, ``hash``, ``type``, ``data`` and
    ``signature``: the order of the checks. The recovery of the key costs more than all other steps,
    so it comes last. The expiration is not checked; see :func:`is_expired`.
    """
    size = len(datagram)
    if not _HEAD_SIZE < size <= MAX_PACKET_SIZE:
        raise PacketError("size", f"a datagram of {size} bytes is no packet")
    packet_hash = datagram[:_HASH_SIZE]
    if keccak256(datagram[_HASH_SIZE:]) != packet_hash:
        raise PacketError("hash", "the hash does not match")
    packet_type = _TYPES.get(datagram[_HEAD_SIZE])
    if packet_type is None:
        raise PacketError("type", f"unknown packet type {datagram[_HEAD_SIZE]}")
    signature = datagram[_HASH_SIZE:_HEAD_SIZE]
    if signature[-1] > _MAX_RECOVERY_ID:
        raise PacketError("signature", "impossible recovery id")
    packet = _read_data(packet_type, datagram)
    try:
        public_key = recover(keccak256(datagram[_HEAD_SIZE:]), signature)
    except InvalidKey as error:
        raise PacketError("signature", "the signature has no key") from error
    return Received(packet, public_key, packet_hash)


def kind_of(datagram: bytes) -> str | None:
    """Return the name of the packet type in a datagram, from its byte alone; None if unknown."""
    try:
        return str(PacketType(datagram[TYPE_OFFSET]))
    except (IndexError, ValueError):
        return None


def is_expired(expiration: int, now_unix: float) -> bool:
    """Whether ``expiration`` (unsigned, 64 bits) is in the past, as go-ethereum compares it.

    go-ethereum reads the number as signed, so 2**64 - t is in the past for every t up to 2**63.
    """
    return not now_unix <= expiration <= _LAST_UNIX


def _read_data(packet_type: type[Packet], datagram: bytes) -> Packet:
    try:
        return packet_type.from_data(datagram[_HEAD_SIZE + 1 :])
    except DecodeError as error:
        raise PacketError("data", f"invalid {packet_type.kind}: {error}") from error
