from __future__ import annotations

from typing import Any

import pytest

from p2p.codec import encode
from p2p.crypto import PrivateKey
from p2p.errors import (
    DiscReason,
    FrameError,
    HelloError,
    InvalidIdentity,
    UnexpectedIdentity,
)
from p2p.rlpx import (
    Cap,
    DisconnectReceived,
    HelloReceived,
    State,
)
from p2p.rlpx.messages import EMPTY, HELLO, PING, PONG, encode_hello
from p2p.rlpx.snappy import compress
from tests.rlpx.checks import (
    assert_failed,
    both_codings,
    either_end,
    greeting,
)
from tests.rlpx.pair import (
    ALICE,
    BOB,
    MALLORY,
    Pair,
    RawRemote,
    make_hello,
    messages_of,
)
from tests.rlpx.vectors import FRAMES, name_of, unhex

KEY = MALLORY.public_key.to_bytes()


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
