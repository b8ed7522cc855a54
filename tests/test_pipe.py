"""A message pipe: what one end writes the other reads, until either is closed."""

from __future__ import annotations

import threading

import pytest

import p2p
import p2p.testing
from p2p.mailbox import LIMIT_BYTES
from tests.kit.waiting import PATIENCE_S, eventually


def test_each_end_reads_what_the_other_wrote() -> None:
    one, other = p2p.testing.msg_pipe()
    p2p.send(one, 8, [[0, 0]])
    p2p.send_items(other, 9, "to", "one")
    assert other.read_msg(PATIENCE_S) == p2p.Msg(8, b"\xc3\xc2\x80\x80")
    assert one.read_msg(PATIENCE_S).decode(tuple[str, str]) == ("to", "one")


def test_block_closes_both_ends() -> None:
    one, other = p2p.testing.msg_pipe()
    with one:
        one.write_msg(p2p.Msg(1))
    assert other.read_msg().code == 1
    with pytest.raises(p2p.PipeClosed):
        other.read_msg()


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (p2p.Disconnect(p2p.DiscReason.USELESS_PEER), p2p.DiscReason.USELESS_PEER),
        (KeyError("of the program"), p2p.DiscReason.REQUESTED),
        (None, p2p.DiscReason.PROTOCOL_ERROR),
    ],
    ids=repr,
)
def test_error_that_leaves_the_block_gives_the_reason(
    error: Exception | None, reason: p2p.DiscReason
) -> None:
    one, other = p2p.testing.msg_pipe()
    with pytest.raises((p2p.P2PError, KeyError)), one:
        if error is None:
            other.send(0, "no number")
            one.read_msg().decode(list[int])
        else:
            raise error
    with pytest.raises(p2p.PipeClosed) as closed:
        other.read_msg()
    assert (closed.value.reason, closed.value.by_remote) == (reason, True)


def test_messages_keep_their_order() -> None:
    one, other = p2p.testing.msg_pipe()
    for code in range(100):
        one.write_msg(p2p.Msg(code))
    assert [other.read_msg(PATIENCE_S).code for _ in range(100)] == list(range(100))


def test_go_s_spelling_works_too() -> None:
    one, other = p2p.testing.msg_pipe()
    one.WriteMsg(p2p.Msg(3, b"x"))
    assert other.ReadMsg(PATIENCE_S) == p2p.Msg(3, b"x")
    one.WriteMsg(p2p.Msg(4))
    assert other.ReadMsg() == p2p.Msg(4)


def test_message_is_a_copy() -> None:
    one, other = p2p.testing.msg_pipe()
    payload = bytearray(b"abc")
    one.write_msg(p2p.Msg(0, payload))  # type: ignore[arg-type]
    payload[0] = 0
    read = other.read_msg(PATIENCE_S)
    assert read.payload == b"abc" and type(read.payload) is bytes


@pytest.mark.parametrize("payload", ["text", 5, None, [1, 2]])
def test_payload_that_is_no_bytes_is_refused(payload: object) -> None:
    one, _other = p2p.testing.msg_pipe()
    with pytest.raises(TypeError):
        one.write_msg(p2p.Msg(0, payload))  # type: ignore[arg-type]


@pytest.mark.parametrize("code", [1.0, "1", None, b"1"])
def test_code_that_is_no_int_is_refused(code: object) -> None:
    one, other = p2p.testing.msg_pipe()
    with pytest.raises(TypeError):
        one.write_msg(p2p.Msg(code))  # type: ignore[arg-type]
    with pytest.raises(p2p.Timeout):
        other.read_msg(timeout=0)


def test_negative_code_is_refused() -> None:
    one, _other = p2p.testing.msg_pipe()
    with pytest.raises(p2p.errors.CodeOutOfRange):
        one.write_msg(p2p.Msg(-1))


def test_read_runs_out_of_time_and_the_pipe_goes_on() -> None:
    one, other = p2p.testing.msg_pipe()
    with pytest.raises(p2p.Timeout):
        other.read_msg(timeout=0)
    with pytest.raises(TimeoutError):
        other.read_msg(timeout=0.01)
    one.write_msg(p2p.Msg(1))
    assert other.read_msg(timeout=0).code == 1


@pytest.mark.parametrize("closer", [0, 1])
def test_close_of_either_end_closes_both(closer: int) -> None:
    ends = p2p.testing.msg_pipe()
    ends[closer].close()
    for end in ends:
        with pytest.raises(p2p.PipeClosed):
            end.write_msg(p2p.Msg(0))
        with pytest.raises(EOFError):
            end.read_msg()
    ends[closer].close()


def test_what_was_written_before_the_close_is_still_read() -> None:
    one, other = p2p.testing.msg_pipe()
    one.write_msg(p2p.Msg(1))
    one.write_msg(p2p.Msg(2))
    one.close()
    assert [msg.code for msg in other] == [1, 2]


def test_close_wakes_a_reader() -> None:
    one, other = p2p.testing.msg_pipe()
    errors: list[BaseException] = []

    def read() -> None:
        try:
            other.read_msg()
        except p2p.PipeClosed as error:
            errors.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    eventually(lambda: bool(other._incoming._readers))
    one.close()
    thread.join(PATIENCE_S)
    assert len(errors) == 1


def test_write_waits_while_a_megabyte_is_unread() -> None:
    one, other = p2p.testing.msg_pipe()
    written = threading.Event()

    def write() -> None:
        one.write_msg(p2p.Msg(0, bytes(LIMIT_BYTES)))
        one.write_msg(p2p.Msg(1))
        written.set()

    thread = threading.Thread(target=write)
    thread.start()
    eventually(lambda: bool(one._outgoing._writers))
    assert not written.is_set()
    assert other.read_msg(PATIENCE_S).size == LIMIT_BYTES
    assert written.wait(PATIENCE_S)
    thread.join()
    assert other.read_msg(PATIENCE_S).code == 1


def test_handler_is_tested_without_a_server() -> None:
    def echo(peer: object, rw: p2p.MsgReadWriter) -> None:
        for msg in rw:
            rw.write_msg(msg)

    ours, theirs = p2p.testing.msg_pipe()
    thread = threading.Thread(target=echo, args=(None, theirs))
    thread.start()
    p2p.send(ours, 2, "hello")
    p2p.expect_msg(ours, 2, "hello", timeout=PATIENCE_S)
    ours.close()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
