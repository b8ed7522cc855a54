"""The datagrams of discovery v4 (discv4, "Wire Protocol").

The body of a repaired case is type and data; it is signed and hashed. With bit 0 of the variant it
gets a hash only, so that the body begins with the signature. An accepted packet must be the same
when it is encoded and decoded again.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from p2p.crypto import PrivateKey, keccak256
from p2p.discover.v4 import wire as v4wire
from p2p.errors import PacketError
from tests.fuzz.target import REPAIRED, Target

_VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "testdata" / "discv4_packets.json").read_text()
)
KEY = PrivateKey.from_bytes(bytes.fromhex(_VECTORS["sender_private_key"]))
HASH_ONLY = 1
_HEAD_SIZE = 97


def seal(key: PrivateKey, body: bytes) -> bytes:
    """A datagram of type and data, signed and hashed."""
    signed = key.sign(keccak256(body)) + body
    return keccak256(signed) + signed


def build(variant: int, repaired: bool, body: bytes) -> bytes:
    if not repaired:
        return body
    return keccak256(body) + body if variant & HASH_ONLY else seal(KEY, body)


def check(datagram: bytes, received: v4wire.Received) -> None:
    assert received.packet_hash == datagram[:32]
    again, packet_hash = v4wire.encode(KEY, received.packet)
    assert len(again) <= v4wire.MAX_PACKET_SIZE
    assert v4wire.decode(again) == (received.packet, KEY.public_key, packet_hash)


def seeds() -> list[bytes]:
    cases = [*_VECTORS["packets"], *_VECTORS["constructed"]["cases"]]
    packets = [bytes.fromhex(case["packet"]) for case in cases]
    return [
        *(bytes([REPAIRED]) + packet[_HEAD_SIZE:] for packet in packets),
        *(bytes([REPAIRED | HASH_ONLY << 1]) + packet[32:] for packet in packets[:4]),
        *(b"\0" + packet for packet in packets),
    ]


TARGETS = (
    Target(
        "discv4",
        seeds=seeds,
        build=build,
        decode=v4wire.decode,
        errors=(PacketError,),
        check=check,
        shallow=("PacketError: the hash", "PacketError: the signature", "PacketError: impossible"),
        max_size=1300,
    ),
)
