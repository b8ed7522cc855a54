"""Common checks of the connection machine."""

from __future__ import annotations

import pytest

from p2p.errors import (
    DiscReason,
    P2PError,
)
from p2p.rlpx import (
    Connection,
    State,
)
from p2p.rlpx.messages import DISCONNECT, HELLO, encode_hello
from p2p.rlpx.snappy import decompress
from tests.rlpx.pair import (
    ALICE,
    BOB,
    MALLORY,
    PROTOCOLS,
    RawRemote,
    failure_of,
    make_hello,
    seeded,
)

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


def in_capability(code: int, data: bytes) -> tuple[int, int, bytes]:
    """Return a message of PROTOCOLS as it arrives: alpha has codes 16 to 18, beta 19 to 23."""
    return (0, code - 16, data) if code < 19 else (1, code - 19, data)


def greeting(remote: RawRemote, payload: bytes, code: int = HELLO) -> None:
    """Have the remote say this as its first message."""
    remote.receive(remote.frame(code, payload))


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


#: For each step of the handshake its state, and the packet or message that is missing.
STEPS = {
    "auth": (State.AWAIT_AUTH, "handshake (auth)"),
    "ack": (State.AWAIT_ACK, "answer to the handshake (ack)"),
    "identified": (State.IDENTIFIED, "hello"),
    "hello": (State.AWAIT_HELLO, "hello"),
    "greeted": (State.GREETED, "hello"),
}
