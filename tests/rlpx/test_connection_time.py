from __future__ import annotations

import pytest

from p2p.errors import (
    DiscReason,
    RemoteTimeout,
)
from p2p.rlpx import (
    ConnectionFailed,
    State,
)
from p2p.rlpx.connection import (
    FRAME_READ_TIMEOUT_S,
    HANDSHAKE_TIMEOUT_S,
    PING_INTERVAL_S,
)
from p2p.rlpx.messages import DISCONNECT, EMPTY, HELLO, PING, PONG, encode_hello
from p2p.rlpx.snappy import compress
from tests.rlpx.checks import (
    STEPS,
    assert_failed,
    both_codings,
    start_of,
    told_in,
)
from tests.rlpx.pair import (
    MALLORY,
    Pair,
    RawRemote,
    failure_of,
    make_hello,
)

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


@pytest.mark.parametrize("name", STEPS)
def test_handshake_times_out_after_5_s_at_each_step(name: str) -> None:
    state, missing = STEPS[name]
    machine, remote = start_of(name)
    assert (machine.state, machine.last_state) == (state, state)
    assert machine.deadline == 1000.0 + HANDSHAKE_TIMEOUT_S == 1005.0
    assert machine.handle_timeout(1004.9) == []
    (event,) = machine.handle_timeout(1005.0)
    assert isinstance(event, ConnectionFailed)
    assert type(event.error) is RemoteTimeout and str(event.error) == f"no {missing} in 5 s"
    assert machine.last_state is state and machine.state is State.CLOSED
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
