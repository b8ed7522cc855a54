"""The datagrams and the messages of discovery v5 (discv5-wire).

The body of a repaired packet is what follows the protocol's name in its unmasked form; it gets an
IV and that name, and its head is masked. An accepted packet must have the head that its fields
make, and must be the same datagram when it is masked again.

Nothing protects a message beside its encryption, so there is nothing to repair.
"""

from __future__ import annotations

from p2p.discover.v5 import fields, message, packet
from p2p.discover.v5.message import (
    FindNode,
    Message,
    RegConfirmation,
    RegTopic,
    TopicNodes,
    TopicQuery,
)
from p2p.discover.v5.packet import HandshakePacket, MessagePacket, Packet, WhoAreYou
from p2p.enr import Record
from p2p.errors import DecodeError, EncodeError, PacketError
from tests.discover.v5.vectors import ID_B, VECTORS
from tests.fuzz.target import REPAIRED, Target
from tests.kit.link import key_of

_IV = bytes(packet.IV_SIZE)
START = _IV + b"discv5"
_VERSION = slice(len(START), len(START) + 2)
_SIZE_AT, _HEAD_SIZE = 37, 39


def seal(unmasked: bytes, recipient_id: bytes) -> bytes:
    """A datagram with its head masked, of the size that the head says."""
    end = _HEAD_SIZE + int.from_bytes(unmasked[_SIZE_AT:_HEAD_SIZE], "big")
    return packet.mask(unmasked[:end], recipient_id) + unmasked[end:]


def build(variant: int, repaired: bool, body: bytes) -> bytes:
    return seal(START + body, ID_B) if repaired else body


def decode(datagram: bytes) -> Packet:
    return packet.decode(datagram, ID_B)


def check(datagram: bytes, read: Packet) -> None:
    message_bytes = b"" if isinstance(read, WhoAreYou) else read.ciphertext
    assert packet.mask(read.head, ID_B) + message_bytes == datagram
    assert packet.is_ours(datagram, ID_B) and packet.kind_of(datagram, ID_B) == label(read)[10:]
    again = head_of(read)
    assert again == read.head[: _VERSION.start] + again[_VERSION] + read.head[_VERSION.stop :]


def head_of(read: Packet) -> bytes:
    """The head that the fields of a packet make, of the version that is ours."""
    iv = read.head[: packet.IV_SIZE]
    if isinstance(read, MessagePacket):
        return packet.message_head(iv, read.nonce, read.source)
    if isinstance(read, WhoAreYou):
        return packet.whoareyou_head(iv, read.nonce, read.id_nonce, read.enr_seq)
    return packet.handshake_head(
        iv, read.nonce, read.source, read.signature, read.ephemeral_key, read.record
    )


def check_refused(datagram: bytes, error: Exception) -> None:
    assert isinstance(error, PacketError)
    assert packet.is_ours(datagram, ID_B) == (error.reason not in ("size", "header"))


def label(read: Packet) -> str:
    if isinstance(read, HandshakePacket):
        return "accepted: handshake"
    return f"accepted: {'message' if isinstance(read, MessagePacket) else 'whoareyou'}"


def seeds() -> list[bytes]:
    cases = [*VECTORS["packets"], *VECTORS["invalid_packets"], *VECTORS["sigp_layout_packets"]]
    datagrams = [bytes.fromhex(case["packet"]) for case in cases]
    repaired = []
    for datagram in datagrams:
        if packet.is_ours(datagram, ID_B):
            head = packet.mask(datagram[:_HEAD_SIZE], ID_B)
            end = _HEAD_SIZE + int.from_bytes(head[_SIZE_AT:], "big")
            unmasked = packet.mask(datagram[:end], ID_B) + datagram[end:]
            repaired.append(bytes([REPAIRED]) + unmasked[len(START) :])
    return [*repaired, *(b"\0" + datagram for datagram in datagrams)]


# Messages.


def build_message(variant: int, repaired: bool, body: bytes) -> bytes:
    return body


def check_message(plaintext: bytes, read: Message) -> None:
    assert read.kind == plaintext[0] and len(read.request_id) <= message.MAX_REQUEST_ID_SIZE
    try:
        again = message.encode(read)
    except EncodeError:  # a distance that no node has is read, and answered with nothing
        assert isinstance(read, (FindNode, RegTopic, TopicQuery))
        assert max(read.distances) > fields.MAX_DISTANCE
    else:
        assert message.decode(again) == read


def message_label(read: Message) -> str:
    return f"accepted: {read.kind}"


def message_seeds() -> list[bytes]:
    vectors = [bytes.fromhex(case["encoded"]) for case in VECTORS["messages"]]
    record = Record.sign(key_of(1), 1, ip="20.0.0.1", udp=30303).to_rlp()
    topics = [
        RegTopic(b"\1", bytes(32), record, b"ticket", (256, 255, 1)),
        RegConfirmation(b"\1", 2, b"ticket", 900_000),
        TopicQuery(b"\1", bytes(32), (256, 255, 1)),
        TopicNodes(b"\1", 1, (record, record)),
    ]
    return [b"\0" + each for each in (*vectors, *map(message.encode, topics))]


TARGETS = (
    Target(
        "discv5",
        seeds=seeds,
        build=build,
        decode=decode,
        errors=(PacketError,),
        check=check,
        check_refused=check_refused,
        label=label,
        shallow=("PacketError: no packet of this protocol",),
        words=(b"discv5\0\1", b"\0\1\0", b"\0\1\1", b"\0\1\2", b"\0\x20", b"\0\x18", b"\x40\x21"),
        reads_rlp=False,
        max_size=1300,
    ),
    Target(
        "discv5-message",
        seeds=message_seeds,
        build=build_message,
        decode=message.decode,
        errors=(DecodeError,),
        check=check_message,
        label=message_label,
        words=tuple(bytes([kind]) for kind in message.MessageType),
        repairs=False,
        max_size=1300,
    ),
)
