from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2p.errors import (
    DiscReason,
    FrameError,
    InvalidMessageCode,
)
from p2p.rlpx import (
    MAX_MESSAGE_SIZE,
    DisconnectReceived,
    HelloReceived,
    IdentityKnown,
    MessagesReceived,
    MessageWaiting,
    State,
)
from p2p.rlpx.connection import (
    FRAME_READ_TIMEOUT_S,
    FRAMES_AT_ONCE,
)
from p2p.rlpx.messages import DISCONNECT, EMPTY, HELLO, PING, PONG, encode_hello
from p2p.rlpx.snappy import compress
from tests.rlpx.checks import (
    assert_failed,
    both_codings,
    in_capability,
    told_in,
)
from tests.rlpx.pair import (
    ALICE,
    BOB,
    DELIVERIES,
    MALLORY,
    Delivery,
    Pair,
    RawRemote,
    cut_at,
    make_hello,
    messages_of,
)

NOISE = random.Random(7).randbytes(MAX_MESSAGE_SIZE)


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
        assert one.state is one.machine.last_state is State.OPEN
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


def test_one_frame_is_read_before_the_hello_is_accepted() -> None:
    remote = RawRemote(accepts=False)
    hello = remote.frame(HELLO, encode_hello(make_hello(MALLORY)))
    messages = [remote.frame(16 + n, bytes(compress(b"%d" % n))) for n in range(3)]
    assert remote.receive(hello + messages[0]) == []  # paused: identified
    events = remote.machine.accept_identity(remote.now)
    assert [type(event) for event in events] == [HelloReceived]
    assert remote.machine.read_ahead(remote.now) == [MessageWaiting()]
    assert remote.receive(messages[1] + messages[2][:9]) == []  # paused: greeted
    events = remote.machine.accept_hello(remote.now)
    assert messages_of(events) == [(0, 0, b"0"), (0, 1, b"1")]
    assert messages_of(remote.receive(messages[2][9:])) == [(0, 2, b"2")]


def test_disconnect_is_read_before_the_hello_is_accepted() -> None:
    remote = RawRemote(accepts=False)
    remote.machine.accept_identity(remote.now)
    remote.receive(remote.frame(HELLO, encode_hello(make_hello(MALLORY))))
    refusal = remote.frame(DISCONNECT, bytes(compress(b"\xc1\x05")))
    assert remote.receive(refusal) == [DisconnectReceived(DiscReason.ALREADY_CONNECTED)]
    assert remote.machine.state is State.CLOSED


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


@pytest.mark.slow
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
