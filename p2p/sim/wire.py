"""Datagrams of a simulation that carry their packet instead of its encoding.

Signing a packet, recovering its key and reading its RLP cost more than everything else that a node
does with it. A simulation of a thousand nodes does without: an :class:`UnsignedWire` makes
datagrams of the true size, with the type in its place, that contain packet and key as objects. Such
a simulation shows nothing about the wire format, and everything about the behavior of the nodes:
the rest of a node, from rate limits to the table, treats these datagrams as real ones.

Such a datagram cannot be forged. A test that needs a forgery (a source address, a stale or wrong
packet) encodes it with any key and sends it from any address.
"""

from __future__ import annotations

from functools import lru_cache

from p2p.crypto import PrivateKey
from p2p.discover.v4.wire import (
    MAX_PACKET_SIZE,
    ENRRequest,
    ENRResponse,
    FindNode,
    Neighbors,
    Packet,
    Ping,
    Received,
)
from p2p.errors import EncodeError, PacketError
from p2p.netutil import IPAddress, NodeEndpoint

_HASH_SIZE = 32
# hash, signature and type
_HEAD_SIZE = _HASH_SIZE + 65 + 1
# A string of 32 or 64 bytes with its header
_HASH_ITEM_SIZE, _KEY_ITEM_SIZE = 33, 66
_SHORT_LIST = 55  # bytes of a list whose header is one byte
_SIGNATURE = bytes(65)


class PacketDatagram(bytes):
    """A datagram with its packet as an attribute. As bytes it has the true size, and zeros."""

    received: Received


class UnsignedWire:
    """A wire format for one network; packet hashes are numbers, unique in it."""

    def __init__(self) -> None:
        self._packets = 0

    def encode(self, private_key: PrivateKey, packet: Packet) -> tuple[bytes, bytes]:
        """Return a datagram, and the hash of the packet, as ``v4wire.encode`` does.

        Raises EncodeError for a packet of more than 1,280 bytes.
        """
        size = _HEAD_SIZE + _list(_content_size(packet))
        if size > MAX_PACKET_SIZE:
            raise EncodeError(f"a {packet.kind} packet of {size} bytes")
        self._packets += 1
        packet_hash = self._packets.to_bytes(_HASH_SIZE, "big")
        head = packet_hash + _SIGNATURE + bytes((packet.kind,))
        datagram = PacketDatagram(head.ljust(size, b"\0"))
        datagram.received = Received(packet, private_key.public_key, packet_hash)
        return datagram, packet_hash

    @staticmethod
    def decode(datagram: bytes) -> Received:
        """Return the packet, as ``v4wire.decode`` does. Raises PacketError for any other bytes."""
        if type(datagram) is not PacketDatagram:
            raise PacketError("hash", "the hash does not match")
        return datagram.received


# Sizes in RLP, in bytes.


def _content_size(packet: Packet) -> int:
    if isinstance(packet, Neighbors):
        nodes = _list(sum([_neighbor(_version(ip), udp, tcp) for ip, udp, tcp, _ in packet.nodes]))
        return nodes + _uint(packet.expiration)
    if isinstance(packet, FindNode):
        return _KEY_ITEM_SIZE + _uint(packet.expiration)
    if isinstance(packet, ENRResponse):
        return _HASH_ITEM_SIZE + len(packet.record)
    if isinstance(packet, ENRRequest):
        return _uint(packet.expiration)
    seq = 0 if packet.enr_seq is None else _uint(packet.enr_seq)
    to = _list(_endpoint(packet.recipient))
    if isinstance(packet, Ping):
        version_and_sender = _uint(packet.version) + _list(_endpoint(packet.sender))
        return version_and_sender + to + _uint(packet.expiration) + seq
    return to + _HASH_ITEM_SIZE + _uint(packet.expiration) + seq


def _list(content: int) -> int:
    return content + 1 + (content > _SHORT_LIST) + (content > 0xFF)


def _uint(value: int) -> int:
    return 1 if value < 0x80 else 1 + (value.bit_length() + 7) // 8


def _version(ip: IPAddress | None) -> int | None:
    return None if ip is None else ip.version


def _ip(version: int | None) -> int:
    return 1 if version is None else 5 if version == 4 else 17


def _endpoint(endpoint: NodeEndpoint) -> int:
    return _ip(_version(endpoint.ip)) + _uint(endpoint.udp) + _uint(endpoint.tcp)


@lru_cache(maxsize=4096)
def _neighbor(ip_version: int | None, udp: int, tcp: int) -> int:
    return _list(_ip(ip_version) + _uint(udp) + _uint(tcp) + _KEY_ITEM_SIZE)
