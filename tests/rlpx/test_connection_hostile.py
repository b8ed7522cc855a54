from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2p.errors import (
    CompressionError,
    DiscReason,
    FrameError,
    HandshakeError,
    HelloError,
    InvalidMessageCode,
    RemoteTimeout,
)
from p2p.rlpx import (
    MAX_MESSAGE_SIZE,
    Connection,
    ConnectionFailed,
    DisconnectReceived,
    IdentityKnown,
    MessagesReceived,
    State,
)
from p2p.rlpx.connection import (
    FRAME_READ_TIMEOUT_S,
)
from p2p.rlpx.messages import DISCONNECT, EMPTY, HELLO, PING, PONG, encode_hello
from p2p.rlpx.snappy import compress, decompress
from tests.rlpx.checks import (
    STEPS,
    assert_failed,
    in_capability,
    start_of,
)
from tests.rlpx.pair import (
    ALICE,
    BOB,
    MALLORY,
    PROTOCOLS,
    End,
    Memory,
    Pair,
    RawRemote,
    failure_of,
    make_hello,
    messages_of,
    seeded,
)

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
    with Memory() as memory:
        remote.receive(frame)
    assert memory.peak < 4 * len(BOMB) < MAX_MESSAGE_SIZE // 4
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
    with Memory() as memory:
        remote.receive(header)
        for _ in range(20):
            remote.receive(b"\0")
    assert memory.peak < 16 * 1024
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
    assert machine.last_state is State.AWAIT_AUTH


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


@pytest.mark.slow
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


@pytest.mark.slow
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
        opened = decompress if greeted == 5 else bytes
        assert remote.end.messages == [
            in_capability(code, opened(payload)) for code, payload in data if 16 <= code < 24
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


@pytest.mark.slow
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
