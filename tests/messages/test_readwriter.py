"""Messages as objects on a read-writer, and the errors of those that do not fit."""

from __future__ import annotations

from typing import Any

import pytest

import p2p
from p2p import DiscReason
from p2p.errors import ArgumentTypeError, InvalidMessageCode
from p2p.messages import Messages, TypedReadWriter, message
from p2p.testing import PATIENCE_S, msg_pipe


@message(0)
class Hello:
    name: str


@message(2)
class Text:
    text: str


CHAT: Messages[Hello | Text] = Messages("chat", 1, [Hello, Text])


def pair() -> tuple[TypedReadWriter[Hello | Text], p2p.testing.MsgPipe]:
    ours, theirs = msg_pipe(length=CHAT.length)
    return TypedReadWriter(ours, CHAT), theirs


def test_message_is_written_and_read_as_an_object() -> None:
    rw, remote = pair()
    rw.write(Text("hi"))
    assert remote.read_msg(PATIENCE_S) == p2p.Msg(2, p2p.rlp.encode(["hi"]))
    remote.send_items(0, "alice")
    assert rw.read(PATIENCE_S) == Hello("alice")


def test_iteration_ends_with_the_stream() -> None:
    rw, remote = pair()
    remote.send_items(0, "alice")
    remote.send_items(2, "hi")
    remote.close()
    assert [*rw] == [Hello("alice"), Text("hi")]
    assert rw.is_closed


def test_expected_message_is_returned_with_its_type() -> None:
    rw, remote = pair()
    remote.send_items(0, "alice")
    assert rw.expect(Hello, PATIENCE_S).name == "alice"


def test_other_message_than_the_expected_one_is_an_error() -> None:
    rw, remote = pair()
    remote.send_items(2, "hi")
    with pytest.raises(p2p.UnexpectedMessage, match="^message is Text, expected Hello$") as raised:
        rw.expect(Hello, PATIENCE_S)
    assert raised.value.msg_code == 2
    assert raised.value.disc_reason == DiscReason.PROTOCOL_ERROR


def test_class_of_no_message_cannot_be_expected() -> None:
    rw, _ = pair()
    with pytest.raises(ArgumentTypeError, match="wanted a message of chat/1"):
        rw.expect(int, 0)


def test_read_waits_no_longer_than_it_may() -> None:
    rw, _ = pair()
    with pytest.raises(p2p.Timeout):
        rw.read(0)
    with pytest.raises(p2p.Timeout):
        rw.expect(Hello, 0)


@pytest.mark.parametrize(
    ("code", "wire", "error"),
    [(1, ["x"], InvalidMessageCode), (0, [["x"]], p2p.DecodeError)],
    ids=["code", "payload"],
)
def test_what_does_not_fit_ends_a_with_block_as_a_breach(
    code: int, wire: object, error: type[p2p.P2PError]
) -> None:
    rw, remote = pair()
    remote.send(code, wire)
    with pytest.raises(error), rw:
        rw.read(PATIENCE_S)
    with pytest.raises(p2p.PipeClosed) as raised:
        remote.read_msg(PATIENCE_S)
    assert raised.value.reason == DiscReason.PROTOCOL_ERROR


def test_close_has_a_reason() -> None:
    rw, remote = pair()
    rw.close(DiscReason.USELESS_PEER)
    with pytest.raises(p2p.PipeClosed) as raised:
        remote.read_msg(PATIENCE_S)
    assert raised.value.reason == DiscReason.USELESS_PEER
    with pytest.raises(p2p.PeerDisconnected):
        rw.write(Text("late"))


def test_wrong_arguments_are_refused() -> None:
    ours, _ = msg_pipe()
    wrong: Any = object()
    with pytest.raises(ArgumentTypeError, match="^rw: wanted a read-writer"):
        TypedReadWriter(wrong, CHAT)
    with pytest.raises(ArgumentTypeError, match="^messages: wanted the Messages of a protocol"):
        TypedReadWriter(ours, wrong)
    with pytest.raises(ArgumentTypeError, match="^message: wanted a message of chat/1"):
        TypedReadWriter(ours, CHAT).write(wrong)


def test_repr_names_the_protocol_and_the_read_writer() -> None:
    rw, _ = pair()
    assert repr(rw) == "<chat/1 on <MsgPipe, open, 0 to read>>"
