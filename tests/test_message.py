"""Messages, sending values, and expecting them."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import dataclass

import pytest

import p2p
import p2p.testing
from p2p.codec import encode
from tests.kit.waiting import PATIENCE_S


@dataclass
class Status:
    version: int
    name: str
    flag: bool = False


def test_message_has_a_size_and_may_be_sent_twice() -> None:
    msg = p2p.Msg(3, b"\xc2\x01\x02")
    one, other = p2p.testing.msg_pipe()
    one.write_msg(msg)
    one.write_msg(msg)
    assert msg.size == 3
    assert other.read_msg(PATIENCE_S) == other.read_msg(PATIENCE_S) == msg


def test_message_made_here_was_not_received() -> None:
    assert p2p.Msg(0).received_at is None
    assert p2p.Msg(0).payload == b""


@pytest.mark.parametrize("way", [copy.copy, lambda msg: pickle.loads(pickle.dumps(msg))])
def test_copy_of_a_message_came_by_the_same_connection(way: Callable[[p2p.Msg], p2p.Msg]) -> None:
    again = way(p2p.Msg(1, b"\xc0", received_at=5.0, connection_id=7))
    with pytest.raises(p2p.DecodeError) as raised:
        again.decode(str)
    assert (raised.value.connection_id, raised.value.msg_code) == (7, 1)


def test_messages_are_equal_by_code_and_payload() -> None:
    assert p2p.Msg(1, b"a") == p2p.Msg(1, b"a", received_at=5.0)
    assert p2p.Msg(1, b"a") != p2p.Msg(2, b"a")
    assert p2p.Msg(1, b"a") != p2p.Msg(1, b"b")
    assert p2p.Msg(1, b"a") != (1, b"a")


def test_message_shows_the_start_of_its_payload() -> None:
    assert repr(p2p.Msg(1, b"ab")) == "Msg(code=1, payload=6162, size=2)"
    assert len(repr(p2p.Msg(1, bytes(10_000)))) < 80


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        ("foo", str, "foo"),
        (1024, int, 1024),
        (b"\x00", bytes, b"\x00"),
        (True, bool, True),
        ([1, 2], list[int], [1, 2]),
        (("a", 1), tuple[str, int], ("a", 1)),
        ([7, "n"], Status, Status(7, "n")),
        ([7, "n", 1], Status, Status(7, "n", True)),
        ([1, ["a", []]], None, [b"\x01", [b"a", []]]),
    ],
)
def test_payload_is_decoded_as_the_type_asked_for(
    value: object, kind: object, expected: object
) -> None:
    assert p2p.Msg(0, encode(value)).decode(kind) == expected


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        (b"", None),
        (b"\xc1", None),
        (b"\x81\x01", bytes),  # not canonical
        (b"\x82\x00\x01", int),  # a leading zero
        (b"\x80\x80", bytes),  # more than one item
        (b"\xc2\x01\x02", tuple[int]),
        (b"\xc0", tuple[int]),
        (b"\xff" * 9, None),
        (b"\xc1" * 100_000, None),
    ],
)
def test_payload_that_is_something_else_is_refused(payload: bytes, kind: object) -> None:
    with pytest.raises(p2p.DecodeError):
        p2p.Msg(0, payload).decode(kind)


def test_send_encodes_a_value_and_send_items_a_list() -> None:
    one, other = p2p.testing.msg_pipe()
    p2p.send(one, 1, "foo")
    p2p.send_items(one, 2, "foo", 1)
    p2p.send_items(one, 3)
    p2p.send(one, 4, Status(1, "x"))
    assert other.read_msg(PATIENCE_S) == p2p.Msg(1, b"\x83foo")
    assert other.read_msg(PATIENCE_S) == p2p.Msg(2, b"\xc5\x83foo\x01")
    assert other.read_msg(PATIENCE_S) == p2p.Msg(3, b"\xc0")
    assert other.read_msg(PATIENCE_S).decode(Status) == Status(1, "x")


def test_methods_send_what_the_functions_send() -> None:
    one, other = p2p.testing.msg_pipe()
    one.send(1, "foo")
    one.send_items(2, "foo", 1)
    assert other.read_msg(PATIENCE_S) == p2p.Msg(1, b"\x83foo")
    assert other.read_msg(PATIENCE_S) == p2p.Msg(2, b"\xc5\x83foo\x01")


class Plain(p2p.MsgReadWriter):
    """A read-writer of a program, without an end."""

    def __init__(self) -> None:
        self.written: list[p2p.Msg] = []

    def read_msg(self, timeout: float | None = None) -> p2p.Msg:
        return self.written.pop()

    def write_msg(self, msg: p2p.Msg) -> None:
        self.written.append(msg)


def test_read_writer_of_a_program_needs_no_more_than_read_and_write() -> None:
    rw = Plain()
    rw.send(1, "foo")
    assert rw.read_msg() == p2p.Msg(1, b"\x83foo")
    with pytest.raises(NotImplementedError, match="Plain.close"):
        rw.close()
    with pytest.raises(NotImplementedError, match="Plain.is_closed"):
        _ = rw.is_closed


@pytest.mark.parametrize("value", [-1, 1.5, {"a": 1}])
def test_value_without_encoding_is_refused_and_nothing_is_sent(value: object) -> None:
    one, other = p2p.testing.msg_pipe()
    with pytest.raises(p2p.EncodeError):
        p2p.send(one, 0, value)
    with pytest.raises(p2p.EncodeError):
        p2p.send_items(one, 0, value)
    with pytest.raises(p2p.EncodeError):
        one.send(0, value)
    with pytest.raises(p2p.Timeout):
        other.read_msg(timeout=0)


def test_expected_message_is_returned() -> None:
    one, other = p2p.testing.msg_pipe()
    p2p.send_items(one, 5, "a", 1)
    p2p.send_items(one, 6, "anything")
    assert p2p.expect_msg(other, 5, ["a", 1], timeout=PATIENCE_S).code == 5
    assert p2p.expect_msg(other, 6, timeout=PATIENCE_S).decode(tuple[str]) == ("anything",)


def test_empty_content_is_compared_and_none_is_not() -> None:
    one, other = p2p.testing.msg_pipe()
    p2p.send_items(one, 5, "a")
    with pytest.raises(p2p.UnexpectedMessage):
        p2p.expect_msg(other, 5, [], timeout=PATIENCE_S)


def test_another_code_is_unexpected() -> None:
    one, other = p2p.testing.msg_pipe()
    p2p.send_items(one, 5)
    with pytest.raises(p2p.UnexpectedMessage, match="message code is 5, expected 6"):
        p2p.expect_msg(other, 6, timeout=PATIENCE_S)


def test_other_content_is_unexpected_and_both_are_shown() -> None:
    one, other = p2p.testing.msg_pipe()
    p2p.send_items(one, 5, "a")
    both = "2 bytes c161, expected 2 bytes c162"
    with pytest.raises(p2p.UnexpectedMessage, match=both) as raised:
        p2p.expect_msg(other, 5, ["b"], timeout=PATIENCE_S)
    assert raised.value.disc_reason is p2p.DiscReason.PROTOCOL_ERROR


def test_expecting_runs_out_of_time() -> None:
    one, other = p2p.testing.msg_pipe()
    with pytest.raises(p2p.Timeout):
        p2p.expect_msg(other, 5, timeout=0.01)
    one.close()
    with pytest.raises(p2p.PipeClosed):
        p2p.expect_msg(other, 5)
