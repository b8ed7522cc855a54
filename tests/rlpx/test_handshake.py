from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2p.codec import decode, encode
from p2p.crypto import OVERHEAD, PrivateKey, PublicKey, decrypt, encrypt, keccak256
from p2p.errors import HandshakeError, RemoteTimeout
from p2p.rlpx import Connection, ConnectionFailed, State
from p2p.rlpx.handshake import (
    MAX_PACKET_SIZE,
    MAX_PADDING,
    MIN_PADDING,
    PLAIN_ACK_SIZE,
    Initiator,
    Recipient,
    Secrets,
    egress_mac,
)
from tests.rlpx.handshakes import (
    EIP8,
    KEY_A,
    KEY_B,
    PACKETS,
    dialer,
    listener,
    opened,
    outcome,
)
from tests.rlpx.pair import (
    ALICE,
    BOB,
    DELIVERIES,
    MALLORY,
    Delivery,
    End,
    Pair,
    byte_by_byte,
    cut_at,
    seeded,
)
from tests.rlpx.vectors import scripted, unhex


def secrets_of_a_recipient() -> Secrets:
    initiator = Initiator(KEY_A, KEY_B.public_key, seeded("initiator"))
    return Recipient(KEY_B, *opened(KEY_B, initiator.auth), seeded("recipient")).secrets


def test_representation_of_the_secrets_shows_no_key() -> None:
    shown = repr(secrets_of_a_recipient())
    assert shown == f"Secrets(remote={KEY_A.public_key!r}, initiator=False)"


def test_each_mac_state_of_the_secrets_is_a_new_one() -> None:
    secrets = secrets_of_a_recipient()
    before = egress_mac(secrets).digest()
    egress_mac(secrets).update(b"a frame")
    assert egress_mac(secrets).digest() == before


# Packets from before EIP-8, in both directions.


def test_plain_auth_is_answered_with_a_plain_ack_where_allowed() -> None:
    machine = listener(KEY_B, plain=True)
    assert outcome(machine, unhex(PACKETS["auth1"]["packet"])) == KEY_A.public_key
    (ack,) = machine.data_to_send()
    assert len(ack) == PLAIN_ACK_SIZE
    assert opened(KEY_A, ack, PLAIN_ACK_SIZE)[2] is True


@pytest.mark.parametrize("delivery", DELIVERIES.values(), ids=DELIVERIES)
def test_plain_auth_is_refused_at_once_by_default(delivery: Delivery) -> None:
    machine = listener(KEY_B)
    error = outcome(machine, *delivery([unhex(PACKETS["auth1"]["packet"])]))
    assert isinstance(error, HandshakeError) and "accept_pre_eip8" in str(error)
    assert machine.data_to_send() == []


def dialer_of_eip8(plain: bool) -> Connection:
    entropy = scripted(EIP8["ephemeral_key_a"], EIP8["nonce_a"])
    return dialer(KEY_A, KEY_B, plain=plain, entropy=entropy)


def test_plain_ack_is_taken_where_allowed() -> None:
    assert outcome(dialer_of_eip8(True), unhex(PACKETS["ack1"]["packet"])) == KEY_B.public_key


@pytest.mark.parametrize("delivery", DELIVERIES.values(), ids=DELIVERIES)
def test_plain_ack_is_refused_at_once_by_default(delivery: Delivery) -> None:
    error = outcome(dialer_of_eip8(False), *delivery([unhex(PACKETS["ack1"]["packet"])]))
    assert isinstance(error, HandshakeError) and "accept_pre_eip8" in str(error)


def test_plain_packet_for_somebody_else_gets_no_hint() -> None:
    error = outcome(listener(MALLORY), unhex(PACKETS["auth1"]["packet"]))
    assert isinstance(error, RemoteTimeout)


@pytest.mark.parametrize("plain", [False, True], ids=["EIP-8 only", "older too"])
@pytest.mark.parametrize("size", [0x0400, 0x0404, 0x04FF])  # a plain packet begins with 04, too
def test_long_packet_of_eip8_passes_for_no_plain_one(size: int, plain: bool) -> None:
    prefix = size.to_bytes(2, "big")
    body = opened(BOB, AUTH)[1].ljust(size - OVERHEAD, b"\0")
    packet = prefix + encrypt(BOB.public_key, body, prefix, MALLORY, bytes(16))
    assert outcome(listener(plain=plain), packet) == ALICE.public_key
    assert outcome(listener(plain=plain), *byte_by_byte([packet])) == ALICE.public_key


def test_packet_of_eip8_is_opened_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def open_counted(*args: Any) -> bytes:
        opens.append(args)
        return decrypt(*args)

    opens: list[Any] = []
    monkeypatch.setattr("p2p.rlpx.handshake.decrypt", open_counted)
    assert outcome(listener(), *byte_by_byte([AUTH])) == ALICE.public_key
    assert outcome(dialer(), *byte_by_byte([ACK])) == BOB.public_key
    assert len(opens) == 2


@pytest.mark.parametrize("plain", [False, True], ids=["EIP-8 only", "older too"])
@pytest.mark.parametrize("name", ["auth2", "auth3", "ack2", "ack3"])
def test_eip8_packets_are_taken_either_way(name: str, plain: bool) -> None:
    packet = unhex(PACKETS[name]["packet"])
    if name.startswith("auth"):
        assert outcome(listener(KEY_B, plain=plain), packet) == KEY_A.public_key
    else:
        assert outcome(dialer_of_eip8(plain), packet) == KEY_B.public_key


@pytest.mark.parametrize("delivery", DELIVERIES.values(), ids=DELIVERIES)
@pytest.mark.parametrize("name", ["auth1", "auth2", "auth3", "ack1", "ack2", "ack3"])
def test_packet_arrives_in_any_pieces(name: str, delivery: Delivery) -> None:
    pieces = list(delivery([unhex(PACKETS[name]["packet"])]))
    if name.startswith("auth"):
        assert outcome(listener(KEY_B, plain=True), *pieces) == KEY_A.public_key
    else:
        assert outcome(dialer_of_eip8(True), *pieces) == KEY_B.public_key


def plain_auth(hashed: PublicKey, *, nonce: bytes = b"\7" * 32) -> bytes:
    """An auth as it was before EIP-8, from Mallory to Bob."""
    ephemeral = PrivateKey.from_bytes(b"\x33" * 32)
    shared = MALLORY.agree(BOB.public_key)
    digest = bytes(a ^ b for a, b in zip(shared, nonce, strict=True))
    body = ephemeral.sign(digest) + keccak256(hashed.to_bytes())
    body += MALLORY.public_key.to_bytes() + nonce + b"\0"
    return encrypt(BOB.public_key, body, b"", PrivateKey.from_bytes(b"\x44" * 32), bytes(16))


def test_plain_auth_must_hash_its_ephemeral_key() -> None:
    right = PrivateKey.from_bytes(b"\x33" * 32).public_key
    assert outcome(listener(plain=True), plain_auth(right)) == MALLORY.public_key
    error = outcome(listener(plain=True), plain_auth(MALLORY.public_key))
    assert isinstance(error, HandshakeError)


def test_a_session_with_plain_packets_carries_messages() -> None:
    machine = listener(plain=True)
    end = End(machine)
    end.take(machine.receive_data(plain_auth(PrivateKey.from_bytes(b"\x33" * 32).public_key), 0), 0)
    assert end.state is State.AWAIT_HELLO
    sent = b"".join(machine.data_to_send())
    assert opened(MALLORY, sent[:PLAIN_ACK_SIZE], PLAIN_ACK_SIZE)[2]
    assert len(sent) > PLAIN_ACK_SIZE  # and then our hello


# What we send.


@pytest.mark.parametrize("seed", range(20))
def test_our_packets_have_padding_of_100_to_199_bytes(seed: int) -> None:
    pair = Pair(seed=seed).drive()
    ack, *_rest = pair.from_bob
    ack = ack[: 2 + int.from_bytes(ack[:2], "big")]
    for packet, key in ((pair.from_alice[0], BOB), (ack, ALICE)):
        _, body, plain = opened(key, packet)
        length = len(encode(decode_prefix(body)))
        assert not plain and MIN_PADDING <= len(body) - length <= MAX_PADDING
        assert PLAIN_ACK_SIZE < len(packet) <= 2 + MAX_PACKET_SIZE


def decode_prefix(body: bytes) -> Any:
    """The list at the beginning of a body; its header has two bytes (f8 and the length)."""
    assert body[0] == 0xF8
    return decode(body[: 2 + body[1]])


def test_auth_and_ack_have_the_items_of_the_specification() -> None:
    pair = Pair().drive()
    items = decode_prefix(opened(BOB, pair.from_alice[0])[1])
    assert [len(item) for item in items] == [65, 64, 32, 1]
    assert items[1] == ALICE.public_key.to_bytes() and items[3] == b"\x04"
    ack = b"".join(pair.from_bob)
    items = decode_prefix(opened(ALICE, ack[: 2 + int.from_bytes(ack[:2], "big")])[1])
    assert [len(item) for item in items] == [64, 32, 1]
    assert items[2] == b"\x04"


def test_two_handshakes_share_no_random_bytes() -> None:
    one, other = Pair(seed=1).drive(), Pair(seed=2).drive()
    assert one.from_alice[0][:67] != other.from_alice[0][:67]
    assert one.from_bob[0][:67] != other.from_bob[0][:67]


def test_same_entropy_gives_the_same_bytes() -> None:
    one, other = Pair(seed=1).drive(), Pair(seed=1).drive()
    assert one.from_alice == other.from_alice and one.from_bob == other.from_bob


# Hostile packets. AUTH is a good one from Alice to Bob; ACK answers it.

AUTH = dialer().data_to_send()[0]


def answer() -> bytes:
    machine = listener(seed="bob")
    machine.receive_data(AUTH, 0.0)
    (ack,) = machine.data_to_send()
    return ack


ACK = answer()


def receiver_of(packet: bytes) -> Connection:
    """A machine that waits for just this packet."""
    return listener() if packet is AUTH else dialer()


each_way = pytest.mark.parametrize("packet", [AUTH, ACK], ids=["auth", "ack"])


@each_way
def test_untouched_packet_is_accepted(packet: bytes) -> None:
    assert isinstance(outcome(receiver_of(packet), packet), PublicKey)


@each_way
def test_every_flipped_byte_is_refused(packet: bytes) -> None:
    for position in range(len(packet)):
        changed = bytearray(packet)
        changed[position] ^= 0xFF if position % 2 else 0x01
        error = outcome(receiver_of(packet), bytes(changed))
        if position >= 2:
            assert isinstance(error, HandshakeError)
            assert str(error) == "handshake message cannot be decrypted"
        else:  # the size: more is waited for, or it is impossible, or the tag does not fit
            assert isinstance(error, HandshakeError | RemoteTimeout)


@each_way
@pytest.mark.parametrize("bit", range(16))
def test_every_flipped_bit_of_the_size_is_refused(packet: bytes, bit: int) -> None:
    size = int.from_bytes(packet[:2], "big") ^ (1 << bit)
    error = outcome(receiver_of(packet), size.to_bytes(2, "big") + packet[2:] + bytes(3000))
    assert isinstance(error, HandshakeError)


@each_way
def test_truncated_packet_is_waited_for_until_the_deadline(packet: bytes) -> None:
    for length in (0, 1, 2, 66, len(packet) // 2, len(packet) - 1):
        machine = receiver_of(packet)
        assert machine.receive_data(packet[:length], 4.9) == []
        assert machine.handle_timeout(4.99) == []
        (event,) = machine.handle_timeout(5.0)
        assert isinstance(event, ConnectionFailed)
        assert isinstance(event.error, RemoteTimeout)
        assert machine.last_state is (State.AWAIT_AUTH if packet is AUTH else State.AWAIT_ACK)


@each_way
def test_largest_packet_is_accepted_and_one_byte_more_refused(packet: bytes) -> None:
    def resized(size: int) -> bytes:
        key, owner = (BOB, packet) if packet is AUTH else (ALICE, packet)
        _, body, _ = opened(key, owner)
        body += bytes(size - OVERHEAD - len(body))
        prefix = size.to_bytes(2, "big")
        return prefix + encrypt(key.public_key, body, prefix, MALLORY, bytes(16))

    assert isinstance(outcome(receiver_of(packet), resized(MAX_PACKET_SIZE)), PublicKey)
    error = outcome(receiver_of(packet), resized(MAX_PACKET_SIZE + 1))
    assert isinstance(error, HandshakeError)


def test_packet_for_somebody_else_is_refused() -> None:
    assert isinstance(outcome(listener(MALLORY), AUTH), HandshakeError)
    assert isinstance(outcome(dialer(MALLORY), ACK), HandshakeError)


def seal(key: PrivateKey, body: bytes) -> bytes:
    prefix = (len(body) + OVERHEAD).to_bytes(2, "big")
    return prefix + encrypt(
        key.public_key, body, prefix, PrivateKey.from_bytes(b"\x55" * 32), bytes(16)
    )


GOOD = {"auth": decode_prefix(opened(BOB, AUTH)[1]), "ack": decode_prefix(opened(ALICE, ACK)[1])}
OFF_CURVE = bytes(31) + b"\5" + bytes(31) + b"\1"
ONE = 63 * b"\0" + b"\1"


def changed(name: str, index: int, value: Any) -> bytes:
    items = list(GOOD[name])
    items[index] = value
    return encode(items)


BODIES: dict[str, tuple[str, bytes]] = {
    "auth: nothing": ("auth", b""),
    "auth: empty list": ("auth", b"\xc0"),
    "auth: a string": ("auth", encode(b"\1" * 200)),
    "auth: three items": ("auth", encode(GOOD["auth"][:3])),
    "auth: key off the curve": ("auth", changed("auth", 1, OFF_CURVE)),
    "auth: key of zeros": ("auth", changed("auth", 1, bytes(64))),
    "auth: hybrid key": ("auth", changed("auth", 1, b"\x06" + GOOD["auth"][1])),
    "auth: key of 63 bytes": ("auth", changed("auth", 1, MALLORY.public_key.to_bytes()[:63])),
    "auth: signature of zeros": ("auth", changed("auth", 0, bytes(65))),
    "auth: short signature": ("auth", changed("auth", 0, GOOD["auth"][0][:64])),
    "auth: recovery id 4": ("auth", changed("auth", 0, GOOD["auth"][0][:64] + b"\4")),
    "auth: long nonce": ("auth", changed("auth", 2, bytes(33))),
    "auth: empty nonce": ("auth", changed("auth", 2, b"")),
    "auth: nonce is a list": ("auth", changed("auth", 2, [b"\1"])),
    "auth: version with leading zero": ("auth", changed("auth", 3, b"\0\4")),
    "auth: version is a list": ("auth", changed("auth", 3, [])),
    "auth: nested": ("auth", b"\xc1" * 1500 + b"\xc0"),
    "auth: claims 2^63 bytes": ("auth", b"\xff\x7f" + b"\xff" * 7 + bytes(100)),
    "ack: nothing": ("ack", b""),
    "ack: empty list": ("ack", b"\xc0"),
    "ack: two items": ("ack", encode(GOOD["ack"][:2])),
    "ack: key off the curve": ("ack", changed("ack", 0, OFF_CURVE)),
    "ack: key of zeros": ("ack", changed("ack", 0, bytes(64))),
    "ack: key with its prefix": ("ack", changed("ack", 0, b"\x04" + GOOD["ack"][0])),
    "ack: hybrid key": ("ack", changed("ack", 0, b"\x07" + GOOD["ack"][0])),
    "ack: point at one": ("ack", changed("ack", 0, ONE)),
    "ack: short nonce": ("ack", changed("ack", 1, bytes(31))),
    "ack: version is a list": ("ack", changed("ack", 2, [b"\4"])),
    "ack: nested": ("ack", b"\xc1" * 1500 + b"\xc0"),
}


@pytest.mark.parametrize("name", BODIES)
def test_well_sealed_nonsense_is_refused(name: str) -> None:
    kind, body = BODIES[name]
    machine, key = (listener(), BOB) if kind == "auth" else (dialer(), ALICE)
    error = outcome(machine, seal(key, body))
    assert type(error) is HandshakeError
    assert str(error) == f"{kind} is malformed"


def test_further_items_and_any_version_are_accepted() -> None:
    for version in (b"", b"\1", b"\xff" * 8):
        auth = encode([*GOOD["auth"][:3], version, [b"more"], b"and more"])
        assert outcome(listener(), seal(BOB, auth)) == ALICE.public_key
        ack = encode([*GOOD["ack"][:2], version, [b"more"], b"and more"])
        assert outcome(dialer(), seal(ALICE, ack)) == BOB.public_key


def test_signature_by_another_identity_gives_no_common_secret() -> None:
    """The key that a changed auth claims is accepted only as far as the first frame's MAC."""
    body = changed("auth", 1, MALLORY.public_key.to_bytes())
    machine = listener()
    result = outcome(machine, seal(BOB, body))
    assert result == MALLORY.public_key or isinstance(result, HandshakeError)


@settings(max_examples=100, deadline=None)
@given(data=st.binary(max_size=600), plain=st.booleans(), dials=st.booleans())
def test_random_bytes_give_only_a_handshake_error_or_a_timeout(
    data: bytes, plain: bool, dials: bool
) -> None:
    machine = dialer(plain=plain) if dials else listener(plain=plain)
    assert isinstance(outcome(machine, data), HandshakeError | RemoteTimeout)


@settings(max_examples=100, deadline=None)
@given(data=st.binary(max_size=400), dials=st.booleans())
def test_random_sealed_bodies_give_only_a_handshake_error(data: bytes, dials: bool) -> None:
    machine, key = (dialer(), ALICE) if dials else (listener(), BOB)
    assert isinstance(outcome(machine, seal(key, data)), HandshakeError)


@settings(max_examples=30, deadline=None)
@given(sizes=st.lists(st.integers(1, 700), min_size=1, max_size=5), seed=st.integers(0, 10**6))
def test_handshake_succeeds_whatever_the_cuts_and_random_bytes(sizes: list[int], seed: int) -> None:
    pair = Pair(delivery=cut_at(sizes), seed=seed).drive()
    assert pair.alice.state is pair.bob.state is State.OPEN
    assert pair.alice.machine.remote == BOB.public_key
    assert pair.bob.machine.remote == ALICE.public_key


@pytest.mark.parametrize("size", [0, 1, OVERHEAD - 1, MAX_PACKET_SIZE + 1, 65535])
def test_impossible_size_is_refused_after_two_bytes(size: int) -> None:
    for machine in (listener(), dialer()):
        (event,) = machine.receive_data(size.to_bytes(2, "big"), 0.0)
        assert isinstance(event, ConnectionFailed) and isinstance(event.error, HandshakeError)
