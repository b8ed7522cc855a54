from __future__ import annotations

from collections.abc import Callable

import pytest

from p2p.codec import encode
from p2p.errors import (
    DiscReason,
)
from p2p.rlpx import (
    MAX_MESSAGE_SIZE,
    Connection,
    DisconnectReceived,
    State,
)
from p2p.rlpx.messages import DISCONNECT, EMPTY
from p2p.rlpx.snappy import compress, decompress
from tests.rlpx.checks import (
    both_codings,
    either_end,
    told_in,
)
from tests.rlpx.pair import (
    BOB,
    PROTOCOLS,
    RawRemote,
    make_hello,
    messages_of,
    seeded,
)

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
    assert remote.machine.last_state is State.AWAIT_HELLO


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
    events = remote.receive(remote.frame(DISCONNECT, bytes(compress(bytes(MAX_MESSAGE_SIZE)))))
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
