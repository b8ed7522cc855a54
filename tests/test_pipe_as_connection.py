"""A message pipe behaves as a connection does: the same steps have the same outcomes on both.

Each scenario gets two ends and tells what came of its steps. It is played on a pipe and on a
connection of two servers, and both must tell the same.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from contextlib import suppress
from enum import IntEnum
from typing import Any

import pytest

import p2p
import p2p.testing
from p2p.errors import ArgumentError, ArgumentTypeError
from tests.kit.nodes import Nodes
from tests.kit.waiting import PATIENCE_S

LENGTH = 8
LARGEST = 2**24 - 1
#: Noise does not compress: it is too large for a frame before zeros are.
NOISE = random.Random(1).randbytes(LARGEST)


class Ends:
    """Two read-writers that are joined, and the ways to part them."""

    def __init__(
        self,
        ours: p2p.MsgReadWriter,
        theirs: p2p.MsgReadWriter,
        leave: Callable[[int], None],
        they_leave: Callable[[int], None],
    ) -> None:
        self.ours = ours
        self.theirs = theirs
        self.leave = leave
        self.they_leave = they_leave


def on_a_pipe(nodes: Nodes) -> Ends:
    protocol = nodes.talks().protocol("test", 1, LENGTH)
    ours, theirs = p2p.testing.msg_pipe(protocol)
    return Ends(ours, theirs, ours.close, theirs.close)


def on_a_connection(nodes: Nodes) -> Ends:
    ours, theirs = nodes.pair()
    return Ends(ours.rw, theirs.rw, ours.peer.disconnect, theirs.peer.disconnect)


def outcome(call: Callable[[], Any]) -> object:
    """What a call returns, or all that a program can tell of its error."""
    try:
        return call()
    except Exception as error:
        kinds = [kind for kind in type(error).__mro__ if kind not in (p2p.PipeClosed, EOFError)]
        attributes = {name: vars(error)[name] for name in vars(error) if name != "connection_id"}
        return kinds, str(error), attributes


def ended(rw: p2p.MsgReadWriter) -> object:
    """Read until there is nothing more: the messages, and the error at the end."""
    read: list[object] = []
    while isinstance(found := outcome(lambda: rw.read_msg(PATIENCE_S)), p2p.Msg):
        read.append((found.code, found.payload))
    return read, found


def write_ends(rw: p2p.MsgReadWriter) -> object:
    """Write until that fails: the error. The end of a connection takes a moment to arrive."""
    while (found := outcome(lambda: rw.write_msg(p2p.Msg(0)))) is None:
        pass
    return found


class Code(IntEnum):
    STATUS = 3


class OwnMsg:
    """Looks like a message."""

    code = 4
    payload = b"x"


def mutated(**attributes: object) -> p2p.Msg:
    msg = p2p.Msg(0, b"x")
    for name, value in attributes.items():
        setattr(msg, name, value)
    return msg


#: What is written; each has one outcome, and what arrives is compared.
WRITTEN: dict[str, Any] = {
    "a message": p2p.Msg(1, b"abc"),
    "the last code": p2p.Msg(LENGTH - 1),
    "a code behind the last": p2p.Msg(LENGTH),
    "a negative code": p2p.Msg(-1),
    "a huge code": p2p.Msg(2**70),
    "a code of an enum": p2p.Msg(Code.STATUS),
    "a bool for a code": p2p.Msg(True),
    "a bytearray": p2p.Msg(0, bytearray(b"abc")),  # type: ignore[arg-type]
    "a memoryview": p2p.Msg(0, memoryview(b"abc")),  # type: ignore[arg-type]
    "something like a message": OwnMsg(),
    "a tuple": (0, b"x"),
    "bytes": b"x",
    "None": None,
    "a code that became text": mutated(code="1"),
    "a code that became None": mutated(code=None),
    "a payload that became text": mutated(payload="x"),
    "a payload that became a number": mutated(payload=5),
    "a payload that became a bytearray": mutated(payload=bytearray(b"y")),
    "the largest message": p2p.Msg(0, bytes(LARGEST)),
    "one byte more": p2p.Msg(0, bytes(LARGEST + 1)),
    "20 MB": p2p.Msg(0, bytes(20_000_000)),
    "noise that fits": p2p.Msg(0, NOISE[: LARGEST - 1024]),
    "noise that does not": p2p.Msg(0, NOISE),
}


def write(ends: Ends, msg: Any) -> object:
    written = []

    def write_both() -> None:
        written.append(outcome(lambda: ends.ours.write_msg(msg)))
        ends.ours.write_msg(p2p.Msg(7, b"end"))

    writer = threading.Thread(target=write_both)  # the second waits while the first is not read
    writer.start()
    read: list[object] = []
    while not read or read[-1] != (7, b"end"):
        found = ends.theirs.read_msg(PATIENCE_S)
        assert isinstance(found.received_at, float)
        read.append((found.code, found.payload))
    writer.join(PATIENCE_S)
    return written, read


def send_values(ends: Ends) -> object:
    sent = [
        outcome(lambda: p2p.send(ends.ours, 1, [1, "a"])),
        outcome(lambda: p2p.send(ends.ours, 9, [1, "a"])),
        outcome(lambda: p2p.send(ends.ours, "1", [])),  # type: ignore[arg-type]
        outcome(lambda: p2p.send(ends.ours, 1, -1)),
        outcome(lambda: p2p.send_items(ends.ours, 2, 1, "a")),
    ]
    return sent, [outcome(lambda: ends.theirs.read_msg(PATIENCE_S)) for _ in range(2)]


def wait_in_vain(ends: Ends) -> object:
    times: list[Any] = [0, 0.01, -1, "soon", float("nan"), b""]
    return [outcome(lambda time=time: ends.ours.read_msg(time)) for time in times]  # type: ignore[misc]


def they_leave(ends: Ends) -> object:
    for number in range(3):
        ends.theirs.write_msg(p2p.Msg(number, bytes(number)))
    ends.they_leave(p2p.DiscReason.USELESS_PEER)
    return ended(ends.ours), write_ends(ends.ours), ended(ends.ours), state(ends.ours)


def we_leave(ends: Ends) -> object:
    ends.ours.write_msg(p2p.Msg(1, b"last words"))
    ends.leave(p2p.DiscReason.REQUESTED)
    theirs = ended(ends.theirs)
    _late, ours = ended(ends.ours)  # type: ignore[misc]
    return theirs, write_ends(ends.ours), ours, write_ends(ends.theirs), state(ends.theirs)


def leave_for_no_reason(ends: Ends) -> object:
    reasons: list[Any] = [-1, "quitting", None, 1.5]
    refused = [outcome(lambda reason=reason: ends.leave(reason)) for reason in reasons]  # type: ignore[misc]
    ends.ours.write_msg(p2p.Msg(1))
    return refused, ends.theirs.read_msg(PATIENCE_S)


def leave_twice(ends: Ends) -> object:
    ends.leave(p2p.DiscReason.USELESS_PEER)
    ends.leave(p2p.DiscReason.REQUESTED)
    first = ended(ends.theirs)
    ends.they_leave(p2p.DiscReason.QUITTING)
    return first, ended(ends.theirs), ended(ends.ours)


def leave_while_the_other_reads(ends: Ends) -> object:
    outcomes: list[object] = []
    reader = threading.Thread(target=lambda: outcomes.append(ended(ends.theirs)))
    reader.start()
    ends.ours.write_msg(p2p.Msg(1))
    ends.leave(p2p.DiscReason.REQUESTED)
    reader.join(PATIENCE_S)
    return outcomes


def iterate_to_the_end(ends: Ends) -> object:
    for number in range(3):
        ends.ours.write_msg(p2p.Msg(number))
    ends.leave(p2p.DiscReason.REQUESTED)
    return [msg.code for msg in ends.theirs]


def send_by_methods(ends: Ends) -> object:
    sent = [
        outcome(lambda: ends.ours.send(1, [1, "a"])),
        outcome(lambda: ends.ours.send(9, [1, "a"])),
        outcome(lambda: ends.ours.send("1", [])),  # type: ignore[arg-type]
        outcome(lambda: ends.ours.send(1, -1)),
        outcome(lambda: ends.ours.send_items(2, 1, "a")),
    ]
    return sent, [outcome(lambda: ends.theirs.read_msg(PATIENCE_S)) for _ in range(2)]


def close_one_end(ends: Ends) -> object:
    ends.ours.write_msg(p2p.Msg(1, b"last words"))
    ends.ours.close(p2p.DiscReason.USELESS_PEER)
    ends.ours.close()
    refused = outcome(lambda: ends.ours.close(-1))
    return refused, ended(ends.theirs), write_ends(ends.ours), state(ends.ours)


def _leave_block(error: BaseException | None) -> Callable[[Ends], object]:
    def leave_block(ends: Ends) -> object:
        with suppress(p2p.P2PError, KeyError), ends.ours as ours:
            ours.send(0, "said")
            if error is not None:
                raise error
        return ended(ends.theirs), write_ends(ends.ours)

    return leave_block


def leave_block_by_an_error_about_a_message(ends: Ends) -> object:
    ends.theirs.send(0, "no number")
    with suppress(p2p.DecodeError), ends.ours as ours:
        ours.read_msg(PATIENCE_S).decode(list[int])
    return ended(ends.theirs)


def leave_block_by_one_about_a_message_of_another(ends: Ends) -> object:
    one, other = p2p.testing.msg_pipe()
    other.send(0, "no number")
    msg = one.read_msg()
    msg.connection_id = 123_456_789
    with suppress(p2p.DecodeError), ends.ours:
        msg.decode(list[int])
    return ended(ends.theirs)


def state(rw: Any) -> object:
    return rw.is_closed


SCENARIOS = [
    send_values,
    send_by_methods,
    close_one_end,
    _leave_block(None),
    _leave_block(p2p.Disconnect(p2p.DiscReason.USELESS_PEER)),
    _leave_block(p2p.Timeout("of something")),
    _leave_block(KeyError("of the program")),
    leave_block_by_an_error_about_a_message,
    leave_block_by_one_about_a_message_of_another,
    wait_in_vain,
    they_leave,
    we_leave,
    leave_for_no_reason,
    leave_twice,
    leave_while_the_other_reads,
    iterate_to_the_end,
]


@pytest.mark.parametrize("play", SCENARIOS)
def test_same_steps_same_outcome(nodes: Nodes, play: Callable[[Ends], object]) -> None:
    on_connection = play(on_a_connection(nodes))
    assert play(on_a_pipe(nodes)) == on_connection


def test_same_messages_same_outcome(nodes: Nodes) -> None:
    """One connection for all: what is refused harms nobody."""
    connection = on_a_connection(nodes)
    for name, msg in WRITTEN.items():
        on_connection = write(connection, msg)
        assert (name, write(on_a_pipe(nodes), msg)) == (name, on_connection)


def test_error_of_a_message_says_what_is_wanted() -> None:
    ours, _theirs = p2p.testing.msg_pipe()
    with pytest.raises(ArgumentTypeError, match=r"^msg: wanted a Msg, .*; got \(0, b'x'\) "):
        ours.write_msg((0, b"x"))  # type: ignore[arg-type]
    with pytest.raises(ArgumentTypeError, match=r"^payload: wanted bytes .*; got 'text' "):
        p2p.Msg(0, "text")  # type: ignore[arg-type]
    with pytest.raises(ArgumentTypeError, match=r"^code: wanted an int; got 1.5 \(float\)$"):
        p2p.Msg(1.5)  # type: ignore[arg-type]


def test_pipe_that_was_told_a_length_has_its_codes() -> None:
    ours, theirs = p2p.testing.msg_pipe(length=3)
    ours.write_msg(p2p.Msg(2))
    assert theirs.read_msg(PATIENCE_S).code == 2
    for end in (ours, theirs):
        with pytest.raises(
            p2p.errors.CodeOutOfRange, match="code is 3, the pipe has codes 0 to 2$"
        ):
            end.write_msg(p2p.Msg(3))


def test_pipe_that_was_told_nothing_has_the_codes_of_any_protocol() -> None:
    ours, theirs = p2p.testing.msg_pipe()
    ours.write_msg(p2p.Msg(2**32 - 1))
    assert theirs.read_msg(PATIENCE_S).code == 2**32 - 1
    with pytest.raises(p2p.errors.CodeOutOfRange):
        ours.write_msg(p2p.Msg(2**32))


@pytest.mark.parametrize(
    "arguments",
    [
        {"length": 0},
        {"length": "8"},
        {"length": True},
        {"length": 2**32 + 1},
        {"protocol": "test"},
        {"protocol": 8},
        {"protocol": p2p.Protocol("test", 1, 8, print), "length": 8},
    ],
    ids=repr,
)
def test_pipe_of_something_else_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError, match=r"^(length|protocol): wanted "):
        p2p.testing.msg_pipe(**arguments)


def test_end_of_a_pipe_is_that_of_a_peer() -> None:
    ours, theirs = p2p.testing.msg_pipe()
    theirs.close(p2p.DiscReason.TOO_MANY_PEERS)
    with pytest.raises(p2p.PeerDisconnected) as raised:
        ours.read_msg()
    assert isinstance(raised.value, p2p.PipeClosed)
    assert (raised.value.reason, raised.value.by_remote) == (4, True)
    assert raised.value.disc_reason is p2p.DiscReason.TOO_MANY_PEERS
