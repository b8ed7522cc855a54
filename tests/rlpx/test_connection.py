from __future__ import annotations

import random
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2p.codec import encode
from p2p.crypto import PrivateKey
from p2p.errors import (
    CompressionError,
    DialStep,
    DiscReason,
    FrameError,
    HandshakeError,
    HelloError,
    InvalidIdentity,
    InvalidMessageCode,
    P2PError,
    RemoteTimeout,
    UnexpectedIdentity,
)
from p2p.rlpx import (
    MAX_MESSAGE_SIZE,
    Cap,
    Connection,
    ConnectionFailed,
    DisconnectReceived,
    HelloReceived,
    IdentityKnown,
    MessagesReceived,
    State,
)
from p2p.rlpx.base import DISCONNECT, EMPTY, HELLO, PING, PONG, encode_hello
from p2p.rlpx.connection import (
    FRAME_READ_TIMEOUT_S,
    FRAMES_AT_ONCE,
    HANDSHAKE_TIMEOUT_S,
    PING_INTERVAL_S,
)
from p2p.rlpx.snappy import compress, decompress
from tests.rlpx.pair import (
    ALICE,
    BOB,
    DELIVERIES,
    MALLORY,
    PROTOCOLS,
    Delivery,
    End,
    Pair,
    RawRemote,
    cut_at,
    failure_of,
    make_hello,
    messages_of,
    seeded,
)
from tests.rlpx.vectors import FRAMES, name_of, unhex

NOISE = random.Random(7).randbytes(MAX_MESSAGE_SIZE)
KEY = MALLORY.public_key.to_bytes()

either_end = pytest.mark.parametrize("dials", [True, False], ids=["to a listener", "to a dialer"])
both_codings = pytest.mark.parametrize("version", [4, 5], ids=["plain", "snappy"])


def told_in(frames: list[tuple[int, bytes]], snappy: bool) -> list[int]:
    """The reasons in the Disconnects among frames; they must be coded as agreed."""
    payloads = [data for code, data in frames if code == DISCONNECT]
    plain = [decompress(data) if snappy else data for data in payloads]
    assert all(data[:1] == b"\xc1" and len(data) == 2 for data in plain)
    return [0 if data[1] == 0x80 else data[1] for data in plain]


def assert_failed(
    remote: RawRemote, error: type[P2PError], reason: DiscReason, *, snappy: bool = True
) -> P2PError:
    """The machine has failed with just this error, and told the remote just this reason."""
    failure = failure_of(remote.end.events)
    assert type(failure) is error, failure
    assert failure.disc_reason is reason
    assert remote.machine.state is State.CLOSED and remote.machine.error is failure
    frames = remote.frames()
    assert told_in(frames, snappy) == [reason] and frames[-1][0] == DISCONNECT
    assert remote.output() == b"" and not remote.machine.has_data_to_send
    assert remote.machine.deadline is None
    return failure


# Two machines.


@pytest.mark.parametrize("delivery", DELIVERIES.values(), ids=DELIVERIES)
def test_two_machines_reach_each_other(delivery: Delivery) -> None:
    pair = Pair(delivery=delivery).drive()
    for one, other, key in ((pair.alice, pair.bob, BOB), (pair.bob, pair.alice, ALICE)):
        known, greeted = one.events
        assert known == IdentityKnown(key.public_key)
        assert isinstance(greeted, HelloReceived)
        assert greeted.hello == make_hello(key) == one.machine.remote_hello
        assert greeted.shared == one.machine.shared == other.machine.shared
        assert one.machine.remote == key.public_key
        assert one.state is State.OPEN and one.machine.step is DialStep.CONNECTED
        assert one.machine.compresses and one.machine.error is None


@pytest.mark.parametrize("delivery", DELIVERIES.values(), ids=DELIVERIES)
@pytest.mark.parametrize("versions", [(5, 5), (4, 5), (5, 4), (4, 4)], ids=str)
def test_messages_arrive_in_order_both_ways(versions: tuple[int, int], delivery: Delivery) -> None:
    pair = Pair(delivery=delivery, versions=versions).drive()
    out = [(16 + n % 8, bytes([n]) * n * 3) for n in range(100)]
    back = [(16 + n % 3, b"back" * n) for n in range(50)]
    pair.alice.machine.send_messages(out)
    pair.bob.machine.send_messages(back)
    pair.drive()
    assert pair.bob.messages == [in_capability(code, data) for code, data in out]
    assert pair.alice.messages == [in_capability(code, data) for code, data in back]


def in_capability(code: int, data: bytes) -> tuple[int, int, bytes]:
    """What a message of PROTOCOLS arrives as: alpha has codes 16 to 18, beta 19 to 23."""
    return (0, code - 16, data) if code < 19 else (1, code - 19, data)


def test_run_of_one_capability_is_one_event_and_order_across_them_is_kept() -> None:
    pair = Pair().drive()
    codes = [16, 17, 18, 19, 23, 16, 19]
    pair.alice.machine.send_messages([(code, b"") for code in codes])
    before = len(pair.bob.events)
    pair.drive()
    runs = pair.bob.events[before:]
    assert [run.capability for run in runs if isinstance(run, MessagesReceived)] == [0, 1, 0, 1]
    assert pair.bob.messages == [in_capability(code, b"") for code in codes]


def test_message_carries_the_time_of_its_arrival() -> None:
    remote = RawRemote().greet()
    remote.now += 3.5
    (run,) = remote.send(16, b"x")
    assert isinstance(run, MessagesReceived)
    assert run.messages == [(0, b"x", remote.now)]


@pytest.mark.parametrize("count", [FRAMES_AT_ONCE - 1, FRAMES_AT_ONCE, 3 * FRAMES_AT_ONCE + 1])
def test_any_number_of_messages_may_come_at_once(count: int) -> None:
    remote = RawRemote().greet(4)
    sent = b"".join(remote.frame(16, b"%d" % n) for n in range(count))
    assert messages_of(remote.receive(sent)) == [(0, 0, b"%d" % n) for n in range(count)]


@settings(max_examples=40, deadline=None)
@given(
    out=st.lists(st.tuples(st.integers(16, 23), st.binary(max_size=100)), max_size=12),
    back=st.lists(st.tuples(st.integers(16, 23), st.binary(max_size=100)), max_size=12),
    sizes=st.lists(st.integers(1, 500), min_size=1, max_size=6),
    versions=st.tuples(st.sampled_from([4, 5]), st.sampled_from([4, 5])),
    batch=st.integers(1, 5),
)
def test_messages_arrive_in_order_whatever_the_cuts(
    out: list[tuple[int, bytes]],
    back: list[tuple[int, bytes]],
    sizes: list[int],
    versions: tuple[int, int],
    batch: int,
) -> None:
    pair = Pair(delivery=cut_at(sizes), versions=versions).drive()
    for start in range(0, 12, batch):
        pair.alice.machine.send_messages(out[start : start + batch])
        pair.bob.machine.send_messages(back[start : start + batch])
        pair.pass_on()
        pair.alice.machine.ping()
    pair.drive()
    assert pair.bob.messages == [in_capability(code, data) for code, data in out]
    assert pair.alice.messages == [in_capability(code, data) for code, data in back]
    assert pair.alice.state is pair.bob.state is State.OPEN


# The pauses.


def test_nothing_is_said_before_the_identity_is_accepted() -> None:
    pair = Pair(accepts=False).drive()
    for end, key in ((pair.alice, BOB), (pair.bob, ALICE)):
        assert end.events == [IdentityKnown(key.public_key)]
        assert end.state is State.IDENTIFIED
    assert len(pair.from_alice) == len(pair.from_bob) == 1


def test_nothing_is_read_before_the_hello_is_accepted() -> None:
    remote = RawRemote(accepts=False)
    hello = remote.frame(HELLO, encode_hello(make_hello(MALLORY)))
    messages = [remote.frame(16 + n, bytes(compress(b"%d" % n))) for n in range(3)]
    assert remote.receive(hello + messages[0]) == []  # paused: identified
    events = remote.machine.accept_identity(remote.now)
    assert [type(event) for event in events] == [HelloReceived]
    assert remote.receive(messages[1] + messages[2][:9]) == []  # paused: greeted
    events = remote.machine.accept_hello(remote.now)
    assert messages_of(events) == [(0, 0, b"0"), (0, 1, b"1")]
    assert messages_of(remote.receive(messages[2][9:])) == [(0, 2, b"2")]


def test_what_is_accepted_out_of_turn_is_the_callers_mistake() -> None:
    machine = RawRemote(accepts=False).machine
    with pytest.raises(RuntimeError, match="identified, not greeted"):
        machine.accept_hello(0.0)
    machine.accept_identity(0.0)
    with pytest.raises(RuntimeError, match="await hello, not identified"):
        machine.accept_identity(0.0)


def test_refusal_at_the_first_pause_is_told_uncompressed_and_before_any_hello() -> None:
    remote = RawRemote(accepts=False)
    remote.machine.disconnect(DiscReason.TOO_MANY_PEERS)
    assert remote.frames() == [(DISCONNECT, b"\xc1\x04")]


@both_codings
def test_refusal_at_the_second_pause_is_told_as_both_hellos_agreed(version: int) -> None:
    remote = RawRemote(accepts=False)
    remote.machine.accept_identity(remote.now)
    remote.send(HELLO, encode_hello(make_hello(MALLORY, version=version)))
    assert remote.machine.state is State.GREETED
    remote.frames()
    remote.machine.disconnect(DiscReason.USELESS_PEER)
    assert told_in(remote.frames(), snappy=version == 5) == [DiscReason.USELESS_PEER]


def test_refusals_between_two_machines_are_understood_at_each_pause() -> None:
    for refuse_at in (IdentityKnown, HelloReceived):
        pair = Pair(accepts=False)
        pair.drive()
        pair.alice.events += pair.alice.machine.accept_identity(pair.now)
        if refuse_at is HelloReceived:
            pair.bob.events += pair.bob.machine.accept_identity(pair.now)
            pair.drive()
            assert isinstance(pair.bob.events[-1], HelloReceived)
            pair.alice.events += pair.alice.machine.accept_hello(pair.now)
        pair.bob.machine.disconnect(DiscReason.TOO_MANY_PEERS)
        pair.drive()
        assert pair.alice.events[-1] == DisconnectReceived(DiscReason.TOO_MANY_PEERS)
        assert pair.alice.state is State.CLOSED and pair.alice.machine.error is None


# Hello.


def greeting(remote: RawRemote, payload: bytes, code: int = HELLO) -> None:
    remote.receive(remote.frame(code, payload))


def padded(size: int) -> bytes:
    """A good hello of Mallory's of exactly ``size`` bytes, by means of a long name."""
    caps = [[b"alpha", 1]]
    beside = len(encode([5, b"n" * 1000, caps, 0, KEY])) - 1000
    payload = encode([5, b"n" * (size - beside), caps, 0, KEY])
    assert len(payload) == size
    return payload


@either_end
def test_hello_of_2_kib_is_accepted(dials: bool) -> None:
    remote = RawRemote(dials=dials)
    greeting(remote, padded(2048))
    assert remote.machine.state is State.OPEN


@either_end
def test_larger_hello_is_refused_with_its_header(dials: bool) -> None:
    remote = RawRemote(dials=dials)
    remote.frames()
    frame = remote.frame(HELLO, padded(2049))
    remote.receive(frame[:32])
    error = assert_failed(remote, FrameError, DiscReason.PROTOCOL_ERROR)
    assert "2050 bytes" in str(error)


def test_hello_with_unknown_extra_fields_is_accepted() -> None:
    remote = RawRemote()
    greeting(remote, encode([5, b"x", [[b"alpha", 1]], 0, KEY, [b"new", [1, 2]], b"", 7]))
    assert remote.machine.state is State.OPEN
    assert [shared.cap for shared in remote.machine.shared] == [Cap("alpha", 1)]


def test_hello_without_capabilities_is_reported_with_nothing_shared() -> None:
    remote = RawRemote(accepts=False)
    remote.machine.accept_identity(remote.now)
    greeting(remote, encode([5, b"x", [], 0, KEY]))
    event = remote.end.events[-1]
    assert isinstance(event, HelloReceived)
    assert event.hello.caps == [] and event.shared == []


def with_caps(count: int) -> bytes:
    return encode([5, b"", [[b"%c" % (97 + n % 26), n % 100 + 1] for n in range(count)], 0, KEY])


def test_hello_with_the_most_capabilities_that_fit_is_accepted() -> None:
    most = max(n for n in range(400, 700) if len(with_caps(n)) <= 2048)
    assert most > 600
    remote = RawRemote()
    greeting(remote, with_caps(most))
    assert remote.machine.state is State.OPEN
    assert remote.machine.remote_hello is not None
    assert len(remote.machine.remote_hello.caps) == most


def test_hello_with_1000_capabilities_is_refused() -> None:
    remote = RawRemote()
    remote.frames()
    greeting(remote, with_caps(1000))
    assert_failed(remote, FrameError, DiscReason.PROTOCOL_ERROR)


@either_end
@pytest.mark.parametrize("key", [b"", b"\1" * 63, b"\1" * 65, bytes(64), b"\1\2"], ids=len)
def test_hello_with_no_key_is_an_invalid_identity(key: bytes, dials: bool) -> None:
    remote = RawRemote(dials=dials)
    remote.frames()
    greeting(remote, encode([5, b"x", [], 0, key]))
    assert_failed(remote, InvalidIdentity, DiscReason.INVALID_IDENTITY)


@either_end
@both_codings
def test_hello_with_the_key_of_another_is_an_unexpected_identity(version: int, dials: bool) -> None:
    remote = RawRemote(dials=dials)
    remote.frames()
    greeting(remote, encode_hello(make_hello(ALICE, version=version)))
    assert_failed(remote, UnexpectedIdentity, DiscReason.UNEXPECTED_IDENTITY, snappy=version >= 5)


@pytest.mark.parametrize(
    "version, snappy", [(0, False), (3, False), (4, False), (5, True), (55, True)]
)
def test_snappy_is_used_both_ways_from_version_5_on(version: int, snappy: bool) -> None:
    remote = RawRemote().greet(version)
    assert remote.machine.state is State.OPEN and remote.machine.compresses is snappy
    data = b"payload" * 20
    wire = bytes(compress(data)) if snappy else data
    assert messages_of(remote.receive(remote.frame(16, wire))) == [(0, 0, data)]
    remote.machine.send_messages([(16, data)])
    remote.machine.ping()
    ping = bytes(compress(EMPTY)) if snappy else EMPTY
    assert remote.frames() == [(16, wire), (PING, ping)]


def test_our_own_older_version_turns_snappy_off() -> None:
    pair = Pair(versions=(4, 55)).drive()
    assert not pair.alice.machine.compresses and not pair.bob.machine.compresses


def test_our_hello_is_the_first_frame_and_not_compressed() -> None:
    (frame,) = RawRemote().frames()
    assert frame == (HELLO, encode_hello(make_hello(BOB)))


@both_codings
def test_second_hello_is_refused(version: int) -> None:
    remote = RawRemote().greet(version)
    remote.send(HELLO, encode_hello(make_hello(MALLORY)))
    assert_failed(remote, HelloError, DiscReason.PROTOCOL_ERROR, snappy=version == 5)


@pytest.mark.parametrize("code", [PING, PONG, 4, 15, 16, 10_000_536])
def test_message_before_hello_is_refused(code: int) -> None:
    remote = RawRemote()
    remote.frames()
    greeting(remote, b"\x01", code)
    error = assert_failed(remote, HelloError, DiscReason.PROTOCOL_ERROR)
    assert str(code) in str(error)


GO_CASES = FRAMES["hello_payloads"]["geth_read_protocol_handshake"][0]["cases"]


def test_no_case_of_go_ethereum_is_left_out() -> None:
    assert len(GO_CASES) == 6


@pytest.mark.parametrize("case", GO_CASES, ids=lambda case: case["expect"])
def test_first_message_is_judged_as_by_go_ethereum(case: dict[str, Any]) -> None:
    remote = RawRemote()
    remote.frames()
    payload = unhex(case["payload"]) if "payload" in case else encode(bytes(2050))
    assert len(payload) == case.get("payload_length", len(payload))
    greeting(remote, payload, case["message_code"])
    if case["expect"].startswith("disconnect reason 8"):
        assert remote.end.events[-1] == DisconnectReceived(DiscReason.QUITTING)
    elif "identity" in case["expect"]:
        assert_failed(remote, InvalidIdentity, DiscReason.INVALID_IDENTITY)
    elif "too big" in case["expect"]:
        assert_failed(remote, FrameError, DiscReason.PROTOCOL_ERROR)
    else:
        assert_failed(remote, HelloError, DiscReason.PROTOCOL_ERROR)


STATIC_A = PrivateKey.from_bytes(
    unhex("49a7b37aa6f6645917e7b807e9d1c00d4fa71f18343b0d4122a4d2df64dd6fee")
)


@pytest.mark.parametrize("case", FRAMES["hello_payloads"]["identity_rules"]["cases"], ids=name_of)
def test_hello_of_the_vectors_is_judged_as_expected(case: dict[str, Any]) -> None:
    remote = RawRemote(key=STATIC_A, protocols=[(Cap("eth", 68), 17)])
    remote.frames()
    greeting(remote, unhex(case["payload"]))
    event = remote.end.events[-1]
    name, expect = case["name"], case["expect"]
    if "unexpected identity" in expect:
        assert_failed(remote, UnexpectedIdentity, DiscReason.UNEXPECTED_IDENTITY)
    elif expect == "disconnect":
        assert_failed(remote, InvalidIdentity, DiscReason.INVALID_IDENTITY)
    elif expect.startswith("reject"):
        assert_failed(remote, HelloError, DiscReason.PROTOCOL_ERROR)
    else:
        assert isinstance(event, HelloReceived)
        shared = name not in ("no-caps", "cap-random-two-bytes", "cap-name-9-chars")
        assert bool(event.shared) is shared
        assert remote.machine.compresses is (event.hello.version >= 5)


# Message codes.


@both_codings
@pytest.mark.parametrize("code", [24, 25, 127, 128, 1000, 2**32, 2**64 - 1])
def test_code_outside_every_protocol_is_refused(code: int, version: int) -> None:
    remote = RawRemote().greet(version)
    remote.send(23, b"the last one")
    remote.send(code, b"x")
    error = assert_failed(
        remote, InvalidMessageCode, DiscReason.PROTOCOL_ERROR, snappy=version == 5
    )
    assert str(code) in str(error)
    assert remote.end.messages == [(1, 4, b"the last one")]


def test_every_subprotocol_code_is_refused_when_nothing_is_shared() -> None:
    remote = RawRemote(protocols=[]).greet()
    remote.send(16, b"")
    assert_failed(remote, InvalidMessageCode, DiscReason.PROTOCOL_ERROR)


@pytest.mark.parametrize("code", range(4, 16))
def test_codes_that_the_base_protocol_does_not_use_are_ignored(code: int) -> None:
    remote = RawRemote().greet()
    assert remote.receive(remote.frame(code, b"not snappy at all")) == []
    assert remote.machine.state is State.OPEN and remote.frames() == []
    assert messages_of(remote.send(16, b"after")) == [(0, 0, b"after")]


def test_base_message_does_not_disturb_a_run() -> None:
    remote = RawRemote().greet(4)
    frames = [
        (16, b"a"),
        (PING, EMPTY),
        (17, b"b"),
        (9, b""),
        (19, b"c"),
        (PONG, EMPTY),
        (19, b"d"),
    ]
    events = remote.receive(b"".join(remote.frame(code, data) for code, data in frames))
    assert messages_of(events) == [(0, 0, b"a"), (0, 1, b"b"), (1, 0, b"c"), (1, 0, b"d")]


# Sizes.


def test_largest_frame_is_received() -> None:
    remote = RawRemote().greet(4)
    data = NOISE[: MAX_MESSAGE_SIZE - 1]
    frame = remote.frame(16, data)
    assert len(frame) == 32 + MAX_MESSAGE_SIZE + 1 + 16
    assert messages_of(remote.receive(frame)) == [(0, 0, data)]
    assert messages_of(remote.send(16, b"after")) == [(0, 0, b"after")]


@pytest.mark.parametrize("versions", [(5, 5), (5, 4)], ids=["snappy", "plain"])
def test_noise_of_16_mib_less_1_kib_passes(versions: tuple[int, int]) -> None:
    pair = Pair(versions=versions, delivery=cut_at([1 << 18])).drive()
    data = NOISE[: MAX_MESSAGE_SIZE - 1024]
    pair.alice.machine.send_messages([(16, data), (17, b"after")])
    pair.drive()
    assert pair.bob.messages == [(0, 0, data), (0, 1, b"after")]


def test_largest_message_passes_when_it_compresses() -> None:
    pair = Pair().drive()
    pair.alice.machine.send_messages([(16, bytes(MAX_MESSAGE_SIZE))])
    pair.drive()
    assert pair.bob.messages == [(0, 0, bytes(MAX_MESSAGE_SIZE))]


@both_codings
def test_empty_message_passes(version: int) -> None:
    remote = RawRemote().greet(version)
    assert messages_of(remote.send(16, b"")) == [(0, 0, b"")]


def test_frame_of_size_0_is_refused() -> None:
    remote = RawRemote().greet()
    remote.receive(remote.writer.seal(b""))
    assert_failed(remote, FrameError, DiscReason.PROTOCOL_ERROR)


# Compression.

BOMB = bytes(compress(bytes(MAX_MESSAGE_SIZE + 1)))
BLOCK = bytes(compress(bytes(MAX_MESSAGE_SIZE)))

BAD_BLOCKS: dict[str, bytes] = {
    "empty": b"",
    "garbage": b"\xff" * 50,
    "a bomb that says so": BOMB,
    "a bomb that lies": b"\xe8\x07" + BLOCK[4:],
    "16 MiB claimed by nothing": b"\xff\xff\xff\x07",
    "4 GiB claimed by nothing": b"\xff\xff\xff\xff\x0f",
    "cut short": bytes(compress(b"abcdefgh" * 100))[:-1],
    "not compressed": b"plain text, not compressed",
}


@pytest.mark.parametrize("name", BAD_BLOCKS)
def test_bad_snappy_is_refused_and_what_came_before_is_delivered(name: str) -> None:
    remote = RawRemote().greet()
    before = remote.frame(16, bytes(compress(b"before")))
    remote.receive(before + remote.frame(16, BAD_BLOCKS[name]) + remote.frame(16, b"\0"))
    assert remote.end.messages == [(0, 0, b"before")]
    assert_failed(remote, CompressionError, DiscReason.PROTOCOL_ERROR)


def test_bomb_costs_no_more_than_its_frame() -> None:
    remote = RawRemote().greet()
    frame = remote.frame(16, BOMB)
    tracemalloc.start()
    remote.receive(frame)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * len(BOMB) < MAX_MESSAGE_SIZE // 4
    assert_failed(remote, CompressionError, DiscReason.PROTOCOL_ERROR)


def test_bad_snappy_in_a_ping_or_pong_is_ignored() -> None:
    remote = RawRemote().greet()
    assert remote.receive(remote.frame(PONG, b"\xff") + remote.frame(PING, b"\xff")) == []
    assert [code for code, _data in remote.frames()] == [PONG]


# MACs and replays.


def flipped(data: bytes, position: int) -> bytes:
    changed = bytearray(data)
    changed[position] ^= 1
    return bytes(changed)


@pytest.mark.parametrize("size", [5, 50_000])
def test_bad_frame_mac_delivers_what_came_before_and_nothing_else(size: int) -> None:
    remote = RawRemote().greet(4)
    good = remote.frame(16, b"good")
    bad = flipped(remote.frame(16, bytes(size)), -1)
    events = remote.receive(good + bad + remote.frame(16, b"later"))
    assert messages_of(events) == [(0, 0, b"good")]
    assert [type(event) for event in events] == [MessagesReceived, ConnectionFailed]
    assert_failed(remote, FrameError, DiscReason.PROTOCOL_ERROR, snappy=False)


def test_bad_header_mac_is_refused_with_the_header_alone() -> None:
    remote = RawRemote().greet(4)
    header = remote.writer.seal(b"\x10", size=MAX_MESSAGE_SIZE)[:32]
    assert remote.receive(header[:16]) == []
    remote.receive(flipped(header[16:], 3))
    assert_failed(remote, FrameError, DiscReason.PROTOCOL_ERROR, snappy=False)


def test_bad_mac_in_the_hello_is_refused() -> None:
    remote = RawRemote()
    remote.frames()
    frame = remote.frame(HELLO, encode_hello(make_hello(MALLORY)))
    remote.receive(flipped(frame, 40))
    assert_failed(remote, FrameError, DiscReason.PROTOCOL_ERROR)


def test_announced_frame_costs_nothing_until_it_comes() -> None:
    remote = RawRemote().greet()
    header = remote.writer.seal(b"\x10", size=MAX_MESSAGE_SIZE)[:32]
    tracemalloc.start()
    remote.receive(header)
    for _ in range(20):
        remote.receive(b"\0")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 * 1024
    assert remote.machine.state is State.OPEN
    remote.wait(FRAME_READ_TIMEOUT_S)
    assert_failed(remote, RemoteTimeout, DiscReason.READ_TIMEOUT)


def test_replayed_auth_does_not_get_past_the_first_frame() -> None:
    old = Pair(seed="old").drive()
    fresh = End(Connection(BOB, make_hello(BOB), PROTOCOLS, seeded("fresh"), 0.0))
    fresh.take(fresh.machine.receive_data(b"".join(old.from_alice), 0.0), 0.0)
    # Anybody may have recorded the auth; only its sender can go on.
    assert fresh.events[0] == IdentityKnown(ALICE.public_key)
    assert len(fresh.events) == 2 and type(fresh.failure) is FrameError
    assert fresh.state is State.CLOSED and fresh.machine.remote_hello is None


def test_replayed_ack_does_not_get_past_the_first_frame() -> None:
    old = Pair(seed="old").drive()
    machine = Connection(
        ALICE, make_hello(ALICE), PROTOCOLS, seeded("fresh"), 0.0, remote=BOB.public_key
    )
    fresh = End(machine)
    fresh.take(machine.receive_data(b"".join(old.from_bob), 0.0), 0.0)
    assert len(fresh.events) == 2 and type(fresh.failure) is FrameError
    assert fresh.state is State.CLOSED and machine.remote_hello is None


def test_reflected_auth_is_refused() -> None:
    """Our own auth, sent back to us, is no ack."""
    machine = Connection(ALICE, make_hello(ALICE), PROTOCOLS, seeded(1), 0.0, remote=BOB.public_key)
    (auth,) = machine.data_to_send()
    (event,) = machine.receive_data(auth, 0.0)
    assert isinstance(event, ConnectionFailed) and type(event.error) is HandshakeError
    assert machine.data_to_send() == []


def test_reflected_frames_are_refused() -> None:
    remote = RawRemote().greet()
    remote.machine.send_messages([(16, b"echo")])
    events = remote.receive(remote.output())
    assert type(failure_of(events)) is FrameError


def test_failed_handshake_says_nothing_to_the_remote() -> None:
    """There is no key yet to say it with, and no byte that could tell what was wrong."""
    machine = Connection(BOB, make_hello(BOB), PROTOCOLS, seeded(1), 0.0)
    (event,) = machine.receive_data(b"\1\x90" + bytes(400), 0.0)
    assert isinstance(event, ConnectionFailed) and type(event.error) is HandshakeError
    assert machine.data_to_send() == [] and not machine.has_data_to_send
    assert machine.step is DialStep.AUTH


# Disconnect.

ENCODINGS: dict[str, Callable[[int], bytes]] = {
    "list": lambda reason: encode([reason]),
    "integer": lambda reason: encode(reason),
    "list with more": lambda reason: encode([reason, b"because"]),
}


# Nobody compresses for a remote of version 4, but some do not compress for one of version 5.
@pytest.mark.parametrize(
    "version, compressed",
    [(4, False), (5, False), (5, True)],
    ids=["plain", "snappy, but not here", "snappy"],
)
@pytest.mark.parametrize("form", ENCODINGS)
@pytest.mark.parametrize("reason", [*range(18), 0x42, 0x7F, 0x80, 0xFE])
def test_disconnect_is_understood_in_every_form(
    reason: int, form: str, compressed: bool, version: int
) -> None:
    remote = RawRemote().greet(version)
    events = remote.send(DISCONNECT, ENCODINGS[form](reason), snappy=compressed)
    assert events == [DisconnectReceived(DiscReason(reason))]
    assert remote.machine.state is State.CLOSED and remote.machine.error is None
    assert remote.output() == b""


@either_end
@pytest.mark.parametrize("compressed", [False, True], ids=["bare", "compressed"])
@pytest.mark.parametrize("form", ENCODINGS)
@pytest.mark.parametrize("reason", [0, 2, 4, 8, 0x10, 0x42, 0x90])
def test_disconnect_before_hello_is_understood_in_every_form(
    reason: int, form: str, compressed: bool, dials: bool
) -> None:
    remote = RawRemote(dials=dials)
    remote.frames()
    events = remote.send(DISCONNECT, ENCODINGS[form](reason), snappy=compressed)
    assert events == [DisconnectReceived(DiscReason(reason))]
    assert remote.machine.state is State.CLOSED and remote.output() == b""
    assert remote.machine.step is DialStep.HELLO


@pytest.mark.parametrize("before_hello", [True, False])
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("payload", [b"", EMPTY])
def test_disconnect_without_a_reason_was_requested(
    payload: bytes, compressed: bool, before_hello: bool
) -> None:
    remote = RawRemote() if before_hello else RawRemote().greet()
    events = remote.send(DISCONNECT, payload, snappy=compressed)
    assert events == [DisconnectReceived(DiscReason.REQUESTED)]


@pytest.mark.parametrize("before_hello", [True, False])
@pytest.mark.parametrize("payload", [b"\xff" * 40, b"\xc1" * 2000, b"\x82\x01\0", b"\xc2\x81\x04"])
def test_disconnect_that_nobody_can_read_ends_the_connection_all_the_same(
    payload: bytes, before_hello: bool
) -> None:
    remote = RawRemote() if before_hello else RawRemote().greet()
    events = remote.receive(remote.frame(DISCONNECT, payload))
    assert events == [DisconnectReceived(DiscReason.INVALID)]
    assert remote.machine.state is State.CLOSED


def test_disconnect_of_16_mib_ends_the_connection() -> None:
    remote = RawRemote().greet()
    events = remote.receive(remote.frame(DISCONNECT, BLOCK))
    assert [type(event) for event in events] == [DisconnectReceived]


def test_nothing_after_a_disconnect_is_read() -> None:
    remote = RawRemote().greet()
    frames = [remote.frame(16, bytes(compress(b"before"))), remote.frame(DISCONNECT, b"\xc1\x08")]
    frames += [remote.frame(16, bytes(compress(b"after"))), b"\xff" * 100]
    events = remote.receive(b"".join(frames))
    assert messages_of(events) == [(0, 0, b"before")]
    assert events[-1] == DisconnectReceived(DiscReason.QUITTING)


@both_codings
@pytest.mark.parametrize("reason", [r for r in DiscReason if r is not DiscReason.NETWORK_ERROR])
def test_our_disconnect_comes_after_what_was_sent(reason: DiscReason, version: int) -> None:
    remote = RawRemote().greet(version)
    remote.machine.send_messages([(16, b"last words")])
    remote.machine.disconnect(reason)
    frames = remote.frames()
    assert [code for code, _data in frames] == [16, DISCONNECT]
    payload = decompress(frames[1][1]) if version == 5 else frames[1][1]
    assert payload == encode([int(reason)])


def test_network_error_is_never_said() -> None:
    remote = RawRemote().greet()
    remote.machine.disconnect(DiscReason.NETWORK_ERROR)
    assert remote.output() == b"" and remote.machine.state is State.CLOSED


def test_disconnect_before_there_are_keys_is_silent() -> None:
    machine = Connection(BOB, make_hello(BOB), PROTOCOLS, seeded(1), 0.0)
    machine.disconnect(DiscReason.QUITTING)
    assert machine.state is State.CLOSED and machine.data_to_send() == []


def test_second_disconnect_is_not_sent() -> None:
    remote = RawRemote().greet()
    remote.machine.disconnect(DiscReason.QUITTING)
    remote.machine.disconnect(DiscReason.PROTOCOL_ERROR)
    assert told_in(remote.frames(), snappy=True) == [DiscReason.QUITTING]


# Ping and pong.


@both_codings
def test_ping_is_answered(version: int) -> None:
    remote = RawRemote().greet(version)
    assert remote.send(PING, EMPTY) == []
    assert remote.machine.has_data_to_send
    assert remote.frames() == [(PONG, bytes(compress(EMPTY)) if version == 5 else EMPTY)]
    assert not remote.machine.has_data_to_send


@pytest.mark.parametrize("count", [2, 1000])
def test_many_pings_that_wait_get_one_pong(count: int) -> None:
    remote = RawRemote().greet(4)
    for _ in range(3):
        remote.receive(b"".join(remote.frame(PING, EMPTY) for _ in range(count)))
    assert remote.frames() == [(PONG, EMPTY)]
    remote.send(PING, EMPTY)
    assert remote.frames() == [(PONG, EMPTY)]


def test_ping_before_a_disconnect_of_ours_gets_no_pong() -> None:
    remote = RawRemote().greet()
    remote.send(PING, EMPTY)
    remote.machine.disconnect(DiscReason.QUITTING)
    assert [code for code, _data in remote.frames()] == [DISCONNECT]
    assert not remote.machine.has_data_to_send


def test_pings_of_any_content_are_pings() -> None:
    remote = RawRemote().greet()
    for payload in (b"", b"\xff", b"\xc1\x80" * 50):
        remote.receive(remote.frame(PING, payload))
        assert [code for code, _data in remote.frames()] == [PONG]


# Time.


def test_quiet_machines_ping_every_15_s_and_stay() -> None:
    pair = Pair().drive()
    sent = len(pair.from_alice), len(pair.from_bob)
    pair.advance(PING_INTERVAL_S - 0.1)
    assert (len(pair.from_alice), len(pair.from_bob)) == sent
    for _ in range(20):
        before = len(b"".join(pair.from_alice)), len(b"".join(pair.from_bob))
        pair.advance(PING_INTERVAL_S)
        after = len(b"".join(pair.from_alice)), len(b"".join(pair.from_bob))
        # a ping and a pong each way, 64 bytes each
        assert [b - a for a, b in zip(before, after, strict=True)] == [128, 128]
    assert pair.alice.state is pair.bob.state is State.OPEN


def test_ping_is_due_15_s_after_the_last_ping_whatever_else_is_said() -> None:
    remote = RawRemote().greet()
    for _ in range(3):
        for _ in range(14):
            remote.wait(1.0)
            remote.send(16, b"talk")
            remote.machine.send_messages([(16, b"talk")])
            assert PING not in [code for code, _data in remote.frames()]
        remote.wait(1.0)
        assert [code for code, _data in remote.frames()] == [PING]


def test_silent_remote_is_left_after_30_s() -> None:
    remote = RawRemote().greet()
    remote.wait(PING_INTERVAL_S)
    assert [code for code, _data in remote.frames()] == [PING]
    assert remote.wait(FRAME_READ_TIMEOUT_S - PING_INTERVAL_S - 0.1) == []
    remote.wait(0.1)
    error = assert_failed(remote, RemoteTimeout, DiscReason.READ_TIMEOUT)
    assert "30 s" in str(error) and isinstance(error, TimeoutError)


@pytest.mark.parametrize("code", [PING, PONG, 7, 16])
def test_any_complete_frame_is_a_sign_of_life(code: int) -> None:
    remote = RawRemote().greet()
    for _ in range(10):
        assert remote.wait(29.0) == []
        remote.send(code, EMPTY)
    assert remote.machine.state is State.OPEN


def test_bytes_that_are_no_complete_frame_are_no_sign_of_life() -> None:
    remote = RawRemote().greet()
    frame = remote.frame(16, bytes(100))
    for position in range(29):
        remote.wait(1.0)
        remote.receive(frame[position : position + 1])
    remote.wait(1.0)
    assert_failed(remote, RemoteTimeout, DiscReason.READ_TIMEOUT)


def test_silence_counts_for_nothing_while_reading_is_held() -> None:
    remote = RawRemote().greet()
    remote.machine.hold_reading()
    for _ in range(10):
        assert remote.wait(PING_INTERVAL_S) == []
        assert [code for code, _data in remote.frames()] == [PING]  # ours go on
    remote.machine.release_reading(remote.now)
    assert remote.wait(29.9) == []
    remote.wait(0.1)
    assert type(failure_of(remote.end.events)) is RemoteTimeout


def test_deadline_is_the_next_thing_to_do() -> None:
    remote = RawRemote().greet()
    machine, start = remote.machine, remote.now
    assert machine.deadline == start + PING_INTERVAL_S
    remote.wait(PING_INTERVAL_S)
    assert machine.deadline == start + 2 * PING_INTERVAL_S == start + FRAME_READ_TIMEOUT_S
    machine.hold_reading()
    remote.wait(PING_INTERVAL_S)
    assert machine.deadline == start + 3 * PING_INTERVAL_S
    machine.release_reading(remote.now)
    assert machine.deadline == start + 3 * PING_INTERVAL_S
    machine.disconnect(DiscReason.QUITTING)
    assert machine.deadline is None


def test_handling_time_early_changes_nothing() -> None:
    remote = RawRemote().greet()
    deadline = remote.machine.deadline
    for _ in range(5):
        assert remote.wait(1.0) == [] and remote.output() == b""
    assert remote.machine.deadline == deadline


def start_of(step: str) -> tuple[Connection, RawRemote | None]:
    """A machine that waits for something, begun at time 1000."""
    if step == "auth":
        return Connection(BOB, make_hello(BOB), PROTOCOLS, seeded(1), 1000.0), None
    if step == "ack":
        remote = BOB.public_key
        machine = Connection(ALICE, make_hello(ALICE), PROTOCOLS, seeded(1), 1000.0, remote=remote)
        return machine, None
    remote_end = RawRemote(accepts=step == "hello")
    if step == "greeted":
        remote_end.machine.accept_identity(1000.0)
        remote_end.send(HELLO, encode_hello(make_hello(MALLORY)))
    remote_end.frames()
    return remote_end.machine, remote_end


STEPS = {
    "auth": (State.AWAIT_AUTH, DialStep.AUTH),
    "ack": (State.AWAIT_ACK, DialStep.ACK),
    "identified": (State.IDENTIFIED, DialStep.HELLO),
    "hello": (State.AWAIT_HELLO, DialStep.HELLO),
    "greeted": (State.GREETED, DialStep.HELLO),
}


@pytest.mark.parametrize("name", STEPS)
def test_handshake_times_out_after_5_s_at_each_step(name: str) -> None:
    state, step = STEPS[name]
    machine, remote = start_of(name)
    assert (machine.state, machine.step) == (state, step)
    assert machine.deadline == 1000.0 + HANDSHAKE_TIMEOUT_S == 1005.0
    assert machine.handle_timeout(1004.9) == []
    (event,) = machine.handle_timeout(1005.0)
    assert isinstance(event, ConnectionFailed)
    assert type(event.error) is RemoteTimeout and str(event.error) == f"no {step} in 5 s"
    assert machine.step is step and machine.state is State.CLOSED
    if remote is None:
        assert name == "ack" or machine.data_to_send() == []
    else:
        assert told_in(remote.frames(), snappy=name in ("hello", "greeted")) == [
            DiscReason.READ_TIMEOUT
        ]


def test_slow_steps_share_the_5_s() -> None:
    remote = RawRemote()
    remote.wait(4.9)
    frame = remote.frame(HELLO, encode_hello(make_hello(MALLORY)))
    remote.receive(frame[:-1])
    remote.wait(0.1)
    assert type(failure_of(remote.end.events)) is RemoteTimeout
    assert remote.receive(frame[-1:]) == []


# Closed is closed.


def close(remote: RawRemote, how: str) -> None:
    if how == "disconnected by us":
        remote.machine.disconnect(DiscReason.QUITTING)
    elif how == "disconnected by the remote":
        remote.send(DISCONNECT, b"\xc1\x08")
    elif how == "failed":
        remote.send(99, b"")
    else:
        remote.wait(FRAME_READ_TIMEOUT_S)
    remote.frames()


@pytest.mark.parametrize(
    "how", ["disconnected by us", "disconnected by the remote", "failed", "timed out"]
)
def test_closed_machine_ignores_everything(how: str) -> None:
    remote = RawRemote().greet()
    close(remote, how)
    machine, error = remote.machine, remote.machine.error
    assert machine.state is State.CLOSED
    assert remote.send(16, b"late") == remote.receive(b"\xff" * 100) == []
    assert remote.send(DISCONNECT, b"\xc1\x04") == []
    assert remote.wait(1000.0) == []
    machine.send_messages([(16, b"late")])
    machine.disconnect(DiscReason.PROTOCOL_ERROR)
    machine.hold_reading()
    machine.release_reading(remote.now)
    assert remote.output() == b"" and not machine.has_data_to_send
    assert machine.deadline is None and machine.error is error
    for accept in (machine.accept_identity, machine.accept_hello):
        with pytest.raises(RuntimeError, match="closed"):
            accept(remote.now)


def test_closed_machine_does_not_ping() -> None:
    remote = RawRemote().greet()
    close(remote, "disconnected by us")
    remote.machine.ping()
    assert remote.output() == b""


def test_messages_are_not_sent_before_the_hellos() -> None:
    remote = RawRemote()
    remote.frames()
    remote.machine.send_messages([(16, b"early")])
    assert remote.output() == b""


# Any input in any state.

DOCUMENTED = (
    HandshakeError,
    FrameError,
    CompressionError,
    HelloError,
    RemoteTimeout,
    InvalidMessageCode,
)
STATES = [*STEPS, "open", "open, plain", "closed"]


def machine_in(name: str) -> Connection:
    if name in STEPS:
        return start_of(name)[0]
    remote = RawRemote().greet(4 if "plain" in name else 5)
    if name == "closed":
        remote.machine.disconnect(DiscReason.QUITTING)
    return remote.machine


@settings(max_examples=150, deadline=None)
@given(
    name=st.sampled_from(STATES),
    pieces=st.lists(st.binary(min_size=1, max_size=600), min_size=1, max_size=3),
)
def test_random_bytes_in_any_state_give_only_documented_errors(
    name: str, pieces: list[bytes]
) -> None:
    machine = machine_in(name)
    events = [event for piece in pieces for event in machine.receive_data(piece, 1001.0)]
    events += machine.handle_timeout(1040.0)
    if name == "closed":
        assert events == []
        return
    (event,) = events
    assert isinstance(event, ConnectionFailed) and isinstance(event.error, DOCUMENTED)
    assert machine.state is State.CLOSED and machine.error is event.error


@settings(max_examples=150, deadline=None)
@given(
    frames=st.lists(
        st.tuples(st.integers(0, 30) | st.integers(0, 2**64 - 1), st.binary(max_size=80)),
        min_size=1,
        max_size=6,
    ),
    greeted=st.sampled_from([None, 4, 5]),
    snappy=st.booleans(),
    cut=st.integers(1, 300),
)
def test_random_messages_give_only_documented_events(
    frames: list[tuple[int, bytes]], greeted: int | None, snappy: bool, cut: int
) -> None:
    remote = RawRemote() if greeted is None else RawRemote().greet(greeted)
    data = [(code, bytes(compress(data)) if snappy else data) for code, data in frames]
    sent = b"".join(remote.frame(code, payload) for code, payload in data)
    for start in range(0, len(sent), cut):
        remote.receive(sent[start : start + cut])
    failure = failure_of(remote.end.events)
    assert failure is None or isinstance(failure, DOCUMENTED)
    last = remote.end.events[-1]
    over = isinstance(last, ConnectionFailed | DisconnectReceived)
    assert (remote.machine.state is State.CLOSED) is over
    if not over:
        assert remote.end.messages == [
            in_capability(code, payload) for code, payload in frames if 16 <= code < 24
        ]
    assert len([code for code, _data in remote.frames() if code == PONG]) <= 1


COMMANDS: dict[str, Callable[[RawRemote], object]] = {
    "message": lambda remote: remote.send(16, b"x"),
    "ping": lambda remote: remote.send(PING, EMPTY),
    "garbage": lambda remote: remote.receive(b"\xff" * 48),
    "hello": lambda remote: remote.receive(remote.frame(HELLO, encode_hello(make_hello(MALLORY)))),
    "disconnect": lambda remote: remote.send(DISCONNECT, b"\xc1\x04"),
    "say": lambda remote: remote.machine.send_messages([(16, b"y"), (23, b"z")]),
    "our ping": lambda remote: remote.machine.ping(),
    "our disconnect": lambda remote: remote.machine.disconnect(DiscReason.QUITTING),
    "take": lambda remote: remote.machine.data_to_send(),
    "a second": lambda remote: remote.wait(1.0),
    "16 seconds": lambda remote: remote.wait(16.0),
    "hold": lambda remote: remote.machine.hold_reading(),
    "release": lambda remote: remote.machine.release_reading(remote.now),
}


@settings(max_examples=150, deadline=None)
@given(
    commands=st.lists(st.sampled_from(list(COMMANDS)), max_size=25),
    begin=st.sampled_from(["identified", "hello", "open"]),
)
def test_any_order_of_calls_is_harmless(commands: list[str], begin: str) -> None:
    remote = RawRemote(accepts=begin != "identified")
    if begin == "open":
        remote.greet()
    machine = remote.machine
    for command in commands:
        was_closed, said = machine.state is State.CLOSED, len(remote.end.events)
        COMMANDS[command](remote)
        if was_closed:
            assert machine.state is State.CLOSED and len(remote.end.events) == said
        assert (machine.deadline is None) is (machine.state is State.CLOSED)
    endings = [
        event
        for event in remote.end.events
        if isinstance(event, ConnectionFailed | DisconnectReceived)
    ]
    assert len(endings) <= 1
    assert not endings or remote.end.events[-1] is endings[0]
