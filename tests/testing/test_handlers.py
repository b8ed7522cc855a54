"""Handlers without a network: the remote is played, and nothing of a handler's end is lost."""

from __future__ import annotations

import threading
from typing import Any

import pytest

import p2p
from p2p import testing

R = p2p.DiscReason


def protocol(run: Any, length: int = 4) -> p2p.Protocol:
    return p2p.Protocol("test", 1, length, run)


def echo(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
    for msg in rw:
        rw.write_msg(msg)


def answer(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> str:
    """Answer one message, whose content must be a text."""
    text = rw.read_msg().decode(str)
    rw.send(3, text.upper())
    return text


def test_remote_and_handler_talk() -> None:
    with testing.run_handler(protocol(answer)) as remote:
        remote.send(0, "foo")
        msg = remote.expect(3, "FOO")
        assert msg.decode(str) == "FOO"
        assert remote.result() == "foo"
        assert remote.has_returned


def test_handler_that_reads_on_ends_with_the_block() -> None:
    with testing.run_handler(protocol(echo)) as remote:
        remote.send_items(1, "foo", 5)
        remote.expect(1, ["foo", 5])
        assert not remote.has_returned and not remote.is_closed
    assert remote.has_returned and remote.is_closed
    assert remote.result() is None


def test_peer_is_what_a_server_makes() -> None:
    seen = []

    def run(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        seen.append((peer, rw))

    made = protocol(run)
    with testing.run_handler(made, name="old node", inbound=True) as remote:
        remote.expect_end(R.QUITTING)
    ((peer, rw),) = seen
    assert peer is remote.peer and isinstance(peer, p2p.Peer)
    assert (peer.name, peer.inbound, peer.caps) == ("old node", True, (p2p.Cap("test", 1),))
    assert peer.running_cap("test", [1]) and not peer.running_cap("test", [2])
    assert rw.protocol is made and rw.connection_id == peer.connection_id
    assert peer.info()["protocols"] == {"test": "unknown"}
    assert not peer.is_connected
    peer.wait_closed(0)


def test_error_of_a_handler_is_raised_at_the_end_of_the_block() -> None:
    def run(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        rw.read_msg()
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"), testing.run_handler(protocol(run)) as remote:
        remote.send(0, "foo")


def test_error_of_a_handler_is_the_cause_of_a_failed_expectation() -> None:
    with pytest.raises(AssertionError, match="message 3 did not come: .*remote") as caught:
        with testing.run_handler(protocol(answer)) as remote:
            remote.send_items(0, "foo")
            remote.expect(3)
    ended = caught.value.__cause__
    assert isinstance(ended, p2p.PipeClosed) and ended.reason is R.PROTOCOL_ERROR
    assert isinstance(ended.__cause__, p2p.DecodeError)


def test_expected_end_has_the_reason_a_connection_would_have() -> None:
    def leave(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        raise p2p.Disconnect(R.USELESS_PEER)

    def fail(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        raise KeyError

    def disconnect(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        peer.disconnect(R.TOO_MANY_PEERS)

    cases = {leave: R.USELESS_PEER, fail: R.SUBPROTOCOL_ERROR, disconnect: R.TOO_MANY_PEERS}
    for run, reason in cases.items():
        with testing.run_handler(protocol(run)) as remote:
            assert remote.expect_end(reason).by_remote
    with testing.run_handler(protocol(answer)) as remote:
        remote.send_items(0, "no text")
        remote.expect_end(R.PROTOCOL_ERROR)
        with pytest.raises(p2p.DecodeError):
            remote.result()


def test_reason_of_a_remote_that_leaves_is_told() -> None:
    def run(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> p2p.PeerDisconnected | None:
        list(rw)
        return peer.disconnect_reason

    with testing.run_handler(protocol(run)) as remote:
        remote.close(R.TOO_MANY_PEERS)
        ended = remote.result()
    assert ended is not None and ended.reason is R.TOO_MANY_PEERS and ended.by_remote


def test_failed_expectations_name_what_is_missing() -> None:
    with testing.run_handler(protocol(echo)) as remote:
        with pytest.raises(AssertionError, match=r"message 1 with \['foo'\] did not come within 0"):
            remote.expect(1, ["foo"], timeout=0)
        remote.send(1, "bar")
        with pytest.raises(AssertionError, match=r"expected message 2; got message 1 with b'bar'"):
            remote.expect(2)
        with pytest.raises(AssertionError, match="the end did not come within 0"):
            remote.expect_end(timeout=0)
        remote.write_msg(p2p.Msg(0, b"\xc1"))
        with pytest.raises(AssertionError, match=r"expected the end .*; got message 0 with c1"):
            remote.expect_end(R.QUITTING)


def test_handler_that_does_not_return_is_named_with_its_line() -> None:
    goes_on = threading.Event()

    def run(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        goes_on.wait()

    with pytest.raises(AssertionError, match=r"has not returned within 0\.1 s.*test_handlers"):
        with testing.run_handler(protocol(run), timeout=0.1):
            pass
    goes_on.set()


def test_limits_are_those_of_a_connection() -> None:
    def run(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        rw.send(4, "beyond")

    with testing.run_handler(protocol(run)) as remote:
        with pytest.raises(p2p.errors.CodeOutOfRange):
            remote.send(4, "beyond")
        with pytest.raises(p2p.errors.CodeOutOfRange, match="test/1 has codes 0 to 3"):
            remote.result()


def test_messages_know_their_connection() -> None:
    def run(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> bool:
        msg = rw.read_msg()
        return msg.connection_id == peer.connection_id and msg.received_at is not None

    with testing.run_handler(protocol(run)) as remote:
        remote.send(0, "foo")
        assert remote.result() is True


def test_protocol_without_a_handler_is_refused() -> None:
    with pytest.raises(p2p.ArgumentError, match="test/1 has none"):
        with testing.run_handler(protocol(None)):
            pass


def test_coroutine_function_is_no_handler() -> None:
    def run(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> Any:
        async def nothing() -> None:
            """Nothing."""

        return nothing()

    with testing.run_handler(protocol(run)) as remote:
        remote.expect_end()
        with pytest.raises(p2p.ArgumentError, match="has run nothing"):
            remote.result()
