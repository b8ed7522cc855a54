"""The packets of the RLPx handshake: auth and ack (rlpx.md, "Initial Handshake"; EIP-8).

The body of a repaired case is the plaintext, which is sealed with ECIES for the one who opens it.
With bit 0 of the variant, packets from before EIP-8 are accepted; with bit 1 they are made: cut to
their one size, with no size in front, and in an auth the hash of the ephemeral key computed anew.
What was accepted is sealed once more with other padding, and must lead to the same secrets.
"""

from __future__ import annotations

from typing import Any

from p2p.codec import decode_fields, encode
from p2p.crypto import OVERHEAD, PrivateKey, PublicKey, encrypt, keccak256, recover
from p2p.errors import HandshakeError, InvalidKey
from p2p.rlpx.handshake import (
    MAX_PACKET_SIZE,
    PLAIN_ACK_SIZE,
    PLAIN_AUTH_SIZE,
    Initiator,
    PacketBuffer,
    Recipient,
    Secrets,
)
from tests.fuzz.target import REPAIRED, Target
from tests.rlpx.handshakes import CONSTRUCTED, KEY_A, KEY_B, PACKETS, opened_case
from tests.rlpx.pair import seeded
from tests.rlpx.vectors import unhex

EPHEMERAL = PrivateKey.from_bytes(b"\xe1" * 32)
IV = b"\x07" * 16
PADDING = bytes(100)
ACCEPTS_PLAIN, PLAIN = 1, 3

Opened = tuple[bytes, bytes, bool]


def seal(body: bytes, key: PublicKey) -> bytes:
    """A packet whose plaintext is ``body``."""
    prefix = (len(body) + OVERHEAD).to_bytes(2, "big")
    return prefix + encrypt(key, body, prefix, EPHEMERAL, IV)


def seal_plain(body: bytes, key: PublicKey, size: int) -> bytes:
    """A packet from before EIP-8, of ``size`` bytes."""
    plain = body[: size - OVERHEAD].ljust(size - OVERHEAD, b"\0")
    return encrypt(key, plain, b"", EPHEMERAL, IV)


def _with_hash(body: bytes) -> bytes:
    """An old auth with the hash of the key that its signature has, if there is one."""
    try:
        shared = KEY_B.agree(PublicKey.from_bytes(body[97:161]))
        signed = bytes(a ^ b for a, b in zip(shared, body[161:193], strict=True))
        ephemeral = recover(signed, body[:65])
    except (InvalidKey, ValueError):
        return body
    return body[:65] + keccak256(ephemeral.to_bytes()) + body[97:]


def _opened(key: PrivateKey, wire: bytes, plain_size: int) -> Opened | None:
    packets = PacketBuffer(key, plain_size)
    packets.receive_data(wire)
    return packets.next_packet()


# auth

Auth = tuple[bytes, int]


def build_auth(variant: int, repaired: bool, body: bytes) -> Auth:
    if repaired and variant & PLAIN == PLAIN:
        body = seal_plain(_with_hash(body), KEY_B.public_key, PLAIN_AUTH_SIZE)
    elif repaired:
        body = seal(body, KEY_B.public_key)
    return body, PLAIN_AUTH_SIZE if variant & ACCEPTS_PLAIN else 0


def read_auth(built: Auth) -> tuple[Opened, Recipient] | None:
    opened = _opened(KEY_B, *built)
    return None if opened is None else (opened, Recipient(KEY_B, *opened, seeded("auth")))


def check_auth(built: Auth, value: tuple[Opened, Recipient] | None) -> None:
    if value is None:
        return
    (_packet, body, plain), recipient = value
    assert int.from_bytes(recipient.ack[:2], "big") == len(recipient.ack) - 2 or plain
    assert len(recipient.ack) <= MAX_PACKET_SIZE
    if plain:
        again = build_auth(PLAIN, True, body)
    else:
        fields, _end = decode_fields(body, (bytes, bytes, bytes, int))
        again = build_auth(0, True, encode([*fields]) + PADDING)
    second = read_auth(again)
    assert second is not None
    _same(recipient.secrets, second[1].secrets)


def _same(first: Secrets, second: Secrets) -> None:
    assert (first.remote, first.aes, first.mac) == (second.remote, second.aes, second.mac)


# ack

Ack = tuple[Initiator, bytes, int]


def build_ack(variant: int, repaired: bool, body: bytes) -> Ack:
    if repaired and variant & PLAIN == PLAIN:
        body = seal_plain(body, KEY_A.public_key, PLAIN_ACK_SIZE)
    elif repaired:
        body = seal(body, KEY_A.public_key)
    initiator = Initiator(KEY_A, KEY_B.public_key, seeded("ack"))
    return initiator, body, PLAIN_ACK_SIZE if variant & ACCEPTS_PLAIN else 0


def read_ack(built: Ack) -> tuple[Opened, Secrets] | None:
    initiator, wire, plain_size = built
    opened = _opened(KEY_A, wire, plain_size)
    return None if opened is None else (opened, initiator.receive_ack(*opened))


def check_ack(built: Ack, value: tuple[Opened, Secrets] | None) -> None:
    if value is None:
        return
    (_packet, body, plain), secrets = value
    if not plain:
        fields, _end = decode_fields(body, (bytes, bytes, int))
        body = encode([*fields]) + PADDING
    second = read_ack(build_ack(PLAIN if plain else 0, True, body))
    assert second is not None
    _same(secrets, second[1])


def _label(value: object) -> str:
    return "accepted" if value is not None else "incomplete"


def _seeds(name: str, key: PrivateKey) -> list[bytes]:
    cases = [case for known, case in PACKETS.items() if known.startswith(name)]
    seeds = []
    for case in cases:
        plain = PLAIN << 1 if case["size_prefix"] is None else 0
        body = opened_case(case)[1]
        seeds += [bytes([plain | REPAIRED]) + body, bytes([plain]) + unhex(case["packet"])]
    for case in CONSTRUCTED:
        if case["delivered_to"].startswith("B") == (key is KEY_B):
            seeds.append(b"\0" + unhex(case["packet"]))
    return seeds


_SHALLOW = (
    "incomplete",
    "HandshakeError: handshake message",  # cannot be decrypted, has an impossible size
)


def _target(name: str, key: PrivateKey, **functions: Any) -> Target:
    return Target(
        name,
        seeds=lambda: _seeds(name, key),
        errors=(HandshakeError,),
        label=_label,
        shallow=_SHALLOW,
        **functions,
    )


TARGETS = (
    _target("auth", KEY_B, build=build_auth, decode=read_auth, check=check_auth),
    _target("ack", KEY_A, build=build_ack, decode=read_ack, check=check_ack),
)
