"""Handshakes for tests: machines that wait for a packet, and what becomes of them."""

from __future__ import annotations

from typing import Any

from p2p.crypto import PrivateKey, PublicKey
from p2p.errors import P2PError
from p2p.rlpx import Connection, ConnectionFailed, IdentityKnown, State
from p2p.rlpx.handshake import (
    PacketBuffer,
)
from tests.rlpx.pair import (
    ALICE,
    BOB,
    PROTOCOLS,
    make_hello,
    seeded,
)
from tests.rlpx.vectors import HANDSHAKE, unhex

EIP8 = HANDSHAKE["eip8"]
GIST = HANDSHAKE["plain_gist"]
CONSTRUCTED = HANDSHAKE["constructed"]["cases"]
KEY_A = PrivateKey.from_bytes(unhex(EIP8["static_key_a"]))
KEY_B = PrivateKey.from_bytes(unhex(EIP8["static_key_b"]))
PACKETS = {case["name"]: case for case in EIP8["auth"] + EIP8["ack"]}


def listener(key: PrivateKey = BOB, *, plain: bool = False, seed: object = 0) -> Connection:
    hello = make_hello(key)
    return Connection(key, hello, PROTOCOLS, seeded(seed), 0.0, accept_pre_eip8=plain)


def dialer(
    key: PrivateKey = ALICE, remote: PrivateKey = BOB, *, plain: bool = False, entropy: Any = None
) -> Connection:
    return Connection(
        key,
        make_hello(key),
        PROTOCOLS,
        entropy or seeded("dialer"),
        0.0,
        remote=remote.public_key,
        accept_pre_eip8=plain,
    )


def outcome(machine: Connection, *pieces: bytes) -> PublicKey | P2PError:
    """Return the remote's identity, or the error of the machine, at the deadline at the latest."""
    events = [event for piece in pieces for event in machine.receive_data(piece, 0.0)]
    events = events or machine.handle_timeout(5.0)
    (event,) = events
    if isinstance(event, IdentityKnown):
        return event.public_key
    assert isinstance(event, ConnectionFailed)
    assert machine.state is State.CLOSED and machine.error is event.error
    assert not machine.has_data_to_send or machine.remote is not None
    return event.error


def opened(key: PrivateKey, packet: bytes, plain_size: int = 0) -> tuple[bytes, bytes, bool]:
    buffer = PacketBuffer(key, plain_size)
    buffer.receive_data(packet)
    found = buffer.next_packet()
    assert found is not None and buffer.rest() == b""
    return found


def opened_case(case: dict[str, Any]) -> tuple[bytes, bytes, bool]:
    key = KEY_B if case["decrypt_with"] == "static_key_b" else KEY_A
    size = len(unhex(case["packet"])) if case["size_prefix"] is None else 0
    return opened(key, unhex(case["packet"]), size)
