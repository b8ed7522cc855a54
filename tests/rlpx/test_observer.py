"""The observer of a connection machine: what it is told, and what can be made of that."""

from __future__ import annotations

import weakref

import pytest

from p2p.codec import decode_fields
from p2p.crypto import PrivateKey
from p2p.errors import DiscReason
from p2p.rlpx import Connection, State
from p2p.rlpx.connection import FRAMES_AT_ONCE, HANDSHAKE_TIMEOUT_S, PING_INTERVAL_S
from p2p.rlpx.frame import LARGE_FRAME, FrameReader
from p2p.rlpx.handshake import Secrets, egress_mac, ingress_mac
from p2p.rlpx.messages import DISCONNECT, HELLO, PING, PONG
from p2p.rlpx.observer import ConnectionObserver
from p2p.rlpx.snappy import decompress
from tests.rlpx.checks import both_codings, either_end
from tests.rlpx.pair import (
    ALICE,
    BOB,
    DELIVERIES,
    PROTOCOLS,
    Delivery,
    Pair,
    RawRemote,
    make_hello,
    merged,
    seeded,
)
from tests.rlpx.recording import Recording, replay

#: Of both capabilities; some compress well, one is large.
MESSAGES = [(16, b"one"), (18, bytes(500)), (19, b""), (23, b"x" * LARGE_FRAME), (17, b"end")]


def conversation(
    delivery: Delivery = merged, versions: tuple[int, int] = (5, 5)
) -> tuple[Pair, Recording, Recording]:
    """A pair that shakes hands, says something both ways, pings, and parts."""
    alice, bob = Recording(), Recording()
    pair = Pair(delivery=delivery, versions=versions, observers=(alice, bob)).drive()
    pair.alice.machine.send_messages(MESSAGES)
    pair.bob.machine.send_messages(reversed(MESSAGES))
    pair.drive()
    pair.advance(PING_INTERVAL_S)
    pair.bob.machine.hold_reading()
    pair.bob.machine.release_reading(pair.now)
    pair.alice.machine.disconnect(DiscReason.QUITTING)
    pair.drive()
    for end in (pair.alice, pair.bob):
        end.machine.drop_buffers()
    return pair, alice, bob


def gist(told: Recording) -> dict[str, object]:
    """Return the calls that do not depend on the cuts between the bytes."""
    return {
        "bytes in": b"".join(data for data, _now in told.told("data_in")),
        "bytes out": b"".join(told.joined("data_out")),
        "messages": told.messages(),
        "frames": (told.joined("frames_in"), told.joined("frames_out")),
        "rest": [told.told(name) for name in ("setup", "entropy", "secrets", "state")],
        "packets": (told.told("packet_in"), told.told("packet_out")),
    }


@pytest.mark.parametrize("delivery", DELIVERIES.values(), ids=DELIVERIES)
def test_deliveries_make_no_difference(delivery: Delivery) -> None:
    _, *whole = conversation()
    _, *cut = conversation(delivery)
    assert [gist(one) for one in cut] == [gist(one) for one in whole]


@both_codings
def test_each_end_is_told_what_the_other_did(version: int) -> None:
    pair, alice, bob = conversation(versions=(5, version))
    for one, other, said in ((alice, bob, pair.from_alice), (bob, alice, pair.from_bob)):
        assert one.joined("data_out") == said
        assert b"".join(data for data, _ in other.told("data_in")) == b"".join(said)
        assert one.joined("frames_out") == other.joined("frames_in")
        ((packet, body, plain),) = one.told("packet_out")
        ((received, opened, as_plain),) = other.told("packet_in")
        assert (received, as_plain) == (packet, plain) == (said[0], False)
        assert opened.startswith(body) and len(opened) > len(body)


@both_codings
def test_messages_have_code_payload_and_compressed_size(version: int) -> None:
    _, alice, bob = conversation(versions=(5, version))
    codes = [(0, 0), (0, 2), (1, 0), (1, 4), (0, 1)]
    payloads = [payload for _, payload in MESSAGES]
    told = bob.messages()
    assert [(cap, code, data) for cap, code, data, _ in told] == [
        (*code, data) for code, data in zip(codes, payloads, strict=True)
    ]
    sizes = [len(data) for code, data in alice.joined("frames_out") if code >= 16]
    assert [size for *_, size in told] == sizes
    assert (sizes[1] < 100) is (version == 5)
    assert ("send_messages", MESSAGES) in alice.told("command")


def test_base_messages_are_frames() -> None:
    _, alice, bob = conversation()
    assert [code for code, _ in alice.joined("frames_out") if code < 16] == [
        HELLO, PING, PONG, DISCONNECT,
    ]  # fmt: skip
    assert [code for code, _ in alice.joined("frames_in") if code < 16] == [HELLO, PING, PONG]
    assert bob.joined("events")[-1].reason is DiscReason.QUITTING


def test_states_lead_from_the_first_to_the_last() -> None:
    _, alice, bob = conversation()
    for told, first in ((alice, State.AWAIT_ACK), (bob, State.AWAIT_AUTH)):
        steps = told.told("state")
        path = [State.IDENTIFIED, State.AWAIT_HELLO, State.GREETED, State.OPEN, State.CLOSED]
        assert [new for _, new in steps] == path
        assert [old for old, _ in steps] == [first, *path[:-1]]


def test_secrets_decrypt_a_capture() -> None:
    _, alice, bob = conversation()
    (secrets,), (others,) = alice.told("secrets"), bob.told("secrets")
    assert secrets.initiator and not others.initiator
    assert (secrets.aes, secrets.mac) == (others.aes, others.mac)
    wire_out = b"".join(alice.joined("data_out"))
    wire_in = b"".join(data for data, _ in alice.told("data_in"))
    assert decoded(secrets, wire_out, wire_in) == (
        alice.joined("frames_out"),
        alice.joined("frames_in"),
    )


def decoded(secrets: Secrets, *wires: bytes) -> tuple[list[object], ...]:
    """The frames of a capture, sent and received, by nothing but the secrets."""
    packets = secrets.packets if secrets.initiator else secrets.packets[::-1]
    macs = egress_mac(secrets), ingress_mac(secrets)
    frames = []
    for wire, packet, mac in zip(wires, packets, macs, strict=True):
        assert wire.startswith(packet)
        reader = FrameReader(secrets.aes, secrets.mac, mac)
        reader.receive_data(wire[len(packet) :])
        frames.append([*reader.read(1000)])
    return tuple(frames)


def test_handshake_can_be_explained() -> None:
    _, alice, bob = conversation()
    ephemeral = PrivateKey.from_bytes(alice.told("entropy")[0])
    (secrets,), (others,) = alice.told("secrets"), bob.told("secrets")
    assert others.remote_ephemeral == ephemeral.public_key
    assert ephemeral.agree(secrets.remote_ephemeral) == secrets.ephemeral_secret
    ((_, auth, _),) = alice.told("packet_out")
    (_signature, key, nonce, version), _ = decode_fields(auth, (bytes, bytes, bytes, int))
    assert (key, nonce, version) == (ALICE.public_key.to_bytes(), secrets.nonces[0], 4)
    assert "mac" not in repr(secrets) and "private_key" not in repr(alice.told("setup")[0])


def test_payload_of_a_frame_is_compressed_as_agreed() -> None:
    _, alice, _ = conversation()
    (disconnect,) = (data for code, data in alice.joined("frames_out") if code == DISCONNECT)
    assert decompress(disconnect) == b"\xc1\x08"


def test_batches_are_as_large_as_the_machine_takes_them() -> None:
    told = Recording()
    remote = RawRemote(observer=told).greet(4)
    count = 2 * FRAMES_AT_ONCE + 1
    remote.receive(b"".join(remote.frame(16, b"%d" % n) for n in range(count)))
    sizes = [len(batch) for batch in told.told("frames_in")]
    assert sizes == [1, FRAMES_AT_ONCE, FRAMES_AT_ONCE, 1]
    assert len(told.told("events")[-1]) == 1


# The same again.


@pytest.mark.parametrize("delivery", DELIVERIES.values(), ids=DELIVERIES)
@both_codings
def test_recording_replays(delivery: Delivery, version: int) -> None:
    for told in conversation(delivery, (5, version))[1:]:
        assert replay(told).calls == told.calls


@either_end
@pytest.mark.parametrize("breach", ["bad MAC", "bad snappy", "foreign code", "silence", "held"])
def test_recording_of_a_failure_replays(dials: bool, breach: str) -> None:
    told = Recording()
    remote = RawRemote(dials=dials, observer=told).greet()
    if breach == "bad MAC":
        remote.receive(bytes(100))
    elif breach == "bad snappy":
        remote.send(16, b"good")
        remote.send(16, b"\xff", snappy=False)
    elif breach == "foreign code":
        remote.send(99, b"")
    else:
        if breach == "held":
            remote.machine.hold_reading()
        remote.wait(100.0)
    remote.output()
    remote.machine.ping()
    remote.machine.disconnect(DiscReason.QUITTING)
    assert replay(told).calls == told.calls


def test_recording_of_a_silent_remote_replays() -> None:
    told = Recording()
    hello, entropy = make_hello(ALICE), seeded(1)
    remote = BOB.public_key
    machine = Connection(ALICE, hello, PROTOCOLS, entropy, 5.0, remote=remote, observer=told)
    machine.handle_timeout(5.0 + HANDSHAKE_TIMEOUT_S)
    assert len(told.joined("events")) == 1
    assert replay(told).calls == told.calls


def test_observed_machine_sends_the_same_bytes() -> None:
    unobserved = Pair()
    unobserved.drive()
    unobserved.alice.machine.send_messages(MESSAGES)
    unobserved.drive()
    observed = Pair(observers=(Recording(), Uninterested())).drive()
    observed.alice.machine.send_messages(MESSAGES)
    observed.drive()
    assert b"".join(observed.from_alice) == b"".join(unobserved.from_alice)
    assert b"".join(observed.from_bob) == b"".join(unobserved.from_bob)


class Uninterested(ConnectionObserver):
    """Defines no call."""


def test_last_call_lets_the_observer_go() -> None:
    told = Recording()
    calls = told.calls
    remote = RawRemote(observer=told).greet()
    gone = weakref.ref(told)
    remote.machine.drop_buffers()
    assert calls[-2:] == [
        ("command", ("drop_buffers",)),
        ("state", (State.OPEN, State.CLOSED)),
    ]
    del told
    assert gone() is None


# An observer that is left out for a while.


def test_observer_that_is_left_out_is_not_called() -> None:
    whole = Recording()
    plain = Pair(observers=(whole, Recording())).drive()
    told = Recording()
    pair = Pair(observers=(told, Recording())).drive()
    pair.alice.machine.set_observed(False)
    before = len(told.calls)
    for one in (plain, pair):
        one.alice.machine.send_messages(MESSAGES)
        one.bob.machine.send_messages(MESSAGES)
        one.drive()
    assert len(told.calls) == before
    assert b"".join(pair.from_alice) == b"".join(plain.from_alice)
    pair.alice.machine.set_observed(True)
    for one in (plain, pair):
        one.alice.machine.send_messages(MESSAGES)
        one.alice.machine.disconnect(DiscReason.QUITTING)
        one.drive()
    later = told.calls[before:]
    assert later == whole.calls[-len(later) :]
    assert [name for name, _ in later[:2]] == ["command", "frames_out"]


def test_observer_is_not_called_after_its_last_call() -> None:
    told = Recording()
    remote = RawRemote(observer=told).greet()
    remote.machine.drop_buffers()
    before = len(told.calls)
    remote.machine.set_observed(True)
    remote.machine.drop_buffers()
    assert len(told.calls) == before
