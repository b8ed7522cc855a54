"""How the end of a handler ends its connection, and nothing else."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import pytest

import p2p
import tests.kit.nodes
from p2p.codec import encode
from tests.kit.nodes import Nodes, Talk, await_event
from tests.kit.remote import Remote
from tests.kit.waiting import PATIENCE_S


class Pick(p2p.P2PError):
    """An error of a program that says how its connection is to end."""

    disc_reason = p2p.DiscReason.USELESS_PEER


class Foreign(Exception):
    """The same, of a program that does not use our base class."""

    disc_reason = p2p.DiscReason.TOO_MANY_PEERS


class Broken(Exception):
    """Carries something that is no reason."""

    disc_reason = "bad"


def joined(nodes: Nodes) -> tuple[p2p.Server, Remote, Talk]:
    talks = nodes.talks()
    server = nodes.start(protocols=[talks.protocol()])
    remote = nodes.remote(server).open()
    return server, remote, talks.next()


def failures(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.exc_info]


def test_handler_that_returns_quits(nodes: Nodes, caplog: pytest.LogCaptureFixture) -> None:
    server, remote, talk = joined(nodes)
    events = server.subscribe_events()
    talk.end()
    assert remote.ending() is p2p.DiscReason.QUITTING
    assert await_event(events, "drop").error == "client quitting (local)"
    assert server.peers == []
    assert failures(caplog) == []


def test_what_the_handler_wrote_arrives_before_it_quits(nodes: Nodes) -> None:
    _server, remote, talk = joined(nodes)
    for number in range(500):
        talk.rw.write_msg(p2p.Msg(number % 8, bytes(500)))
    talk.end()
    assert remote.ending() is p2p.DiscReason.QUITTING
    assert [code for code, _ in remote.messages] == [number % 8 for number in range(500)]


def test_handler_that_raises_is_logged_once_with_traceback_and_peer(
    nodes: Nodes, caplog: pytest.LogCaptureFixture
) -> None:
    server, remote, talk = joined(nodes)
    events = server.subscribe_events()
    talk.fail(ZeroDivisionError("of the handler"))
    assert remote.ending() is p2p.DiscReason.SUBPROTOCOL_ERROR
    ended = "handler of test/1 was ended by ZeroDivisionError: of the handler"
    place = f" (at {tests.kit.nodes.__file__}:"
    assert await_event(events, "drop").error.startswith(f"subprotocol error: {ended}{place}")
    (record,) = failures(caplog)
    assert record.levelno == logging.ERROR
    assert record.getMessage() == f"{talk.peer}: handler of test/1 failed"
    assert record.exc_text and "ZeroDivisionError: of the handler" in record.exc_text
    assert "in run" in record.exc_text


async def handle_later(peer: object, rw: object) -> None: ...


def handle_bit_by_bit(peer: object, rw: object) -> Iterator[None]:
    yield


@pytest.mark.parametrize("function", [handle_later, handle_bit_by_bit])
def test_handler_that_has_run_nothing_is_logged(
    nodes: Nodes, caplog: pytest.LogCaptureFixture, function: Callable[..., object]
) -> None:
    """A Protocol cannot see it: the function that it is given runs, and calls one that does not."""
    calls = partial(lambda other, peer, rw: other(peer, rw), function)
    server = nodes.start(protocols=[p2p.Protocol("test", 1, 8, calls)])
    assert nodes.remote(server).open().ending() is p2p.DiscReason.SUBPROTOCOL_ERROR
    (record,) = failures(caplog)
    assert record.exc_text and "the handler of test/1 has run nothing" in record.exc_text


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (p2p.Disconnect(p2p.DiscReason.USELESS_PEER), p2p.DiscReason.USELESS_PEER),
        (p2p.Disconnect(), p2p.DiscReason.REQUESTED),
        (p2p.Disconnect(0x42), p2p.DiscReason(0x42)),
        (p2p.DecodeError("what is this"), p2p.DiscReason.PROTOCOL_ERROR),
        (p2p.UnexpectedMessage("another"), p2p.DiscReason.PROTOCOL_ERROR),
        (p2p.Timeout("nothing"), p2p.DiscReason.SUBPROTOCOL_ERROR),
        (Pick("of ours"), p2p.DiscReason.USELESS_PEER),
        (Foreign("of theirs"), p2p.DiscReason.TOO_MANY_PEERS),
        (Broken("no reason"), p2p.DiscReason.SUBPROTOCOL_ERROR),
        (OSError("disk full"), p2p.DiscReason.SUBPROTOCOL_ERROR),
        (KeyboardInterrupt(), p2p.DiscReason.SUBPROTOCOL_ERROR),
        (SystemExit(1), p2p.DiscReason.QUITTING),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else str(value),
)
def test_error_decides_the_reason(
    nodes: Nodes, error: BaseException, reason: p2p.DiscReason
) -> None:
    server, remote, talk = joined(nodes)
    events = server.subscribe_events()
    talk.fail(error)
    assert remote.ending() == reason
    assert str(reason) in await_event(events, "drop").error


def test_what_a_remote_can_bring_about_is_one_line_of_the_log(
    nodes: Nodes, caplog: pytest.LogCaptureFixture
) -> None:
    """An error's cause may be the program's own, with the remote's bytes in it."""

    @dataclass
    class Named:
        name: str

        def __post_init__(self) -> None:
            raise ValueError(f"no name: {self.name}")

    def run(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        rw.read_msg().decode(Named)

    caplog.set_level(logging.DEBUG, "p2p")
    server = nodes.start(protocols=[p2p.Protocol("test", 1, 8, run)])
    remote = nodes.remote(server).open()
    remote.send_payload(0, encode(["\x1b[2J\nWARNING"]))
    assert remote.ending() is p2p.DiscReason.PROTOCOL_ERROR
    (text,) = [r.getMessage() for r in caplog.records if r.name == "p2p.peer"]
    line = run.__code__.co_firstlineno + 1
    assert "DecodeError in message 0: " in text
    assert text.endswith(f"refused by Named (at {__file__}:{line} in run)")
    assert "\x1b" not in caplog.text and "no name" not in caplog.text
    assert failures(caplog) == []


def test_payload_that_does_not_decode_ends_the_connection_as_a_breach(nodes: Nodes) -> None:
    def run(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        for msg in rw:
            msg.decode(tuple[int, int])

    server = nodes.start(protocols=[p2p.Protocol("test", 1, 8, run)])
    remote = nodes.remote(server).open()
    remote.send_payload(0, b"\xc1\x01")
    assert remote.ending() is p2p.DiscReason.PROTOCOL_ERROR


@pytest.mark.parametrize(
    "error",
    [p2p.Disconnect(), p2p.Disconnect(p2p.DiscReason.USELESS_PEER, "another chain"), SystemExit()],
    ids=str,
)
def test_chosen_end_is_no_warning(
    nodes: Nodes, caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    _server, remote, talk = joined(nodes)
    talk.fail(error)
    remote.ending()
    assert [record for record in caplog.records if record.levelno > logging.DEBUG] == []


def test_exit_of_a_handler_ends_the_handler_only(nodes: Nodes) -> None:
    def run(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        sys.exit(3)

    server = nodes.start(protocols=[p2p.Protocol("test", 1, 8, run)])
    assert nodes.remote(server).open().ending() is p2p.DiscReason.QUITTING
    assert nodes.remote(server).open().ending() is p2p.DiscReason.QUITTING


def test_handler_that_lets_the_end_of_its_peer_out_is_not_logged(
    nodes: Nodes, caplog: pytest.LogCaptureFixture
) -> None:
    def run(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        while True:
            rw.read_msg()

    server = nodes.start(protocols=[p2p.Protocol("test", 1, 8, run)])
    events = server.subscribe_events()
    remote = nodes.remote(server).open()
    remote.send_disconnect(p2p.DiscReason.TOO_MANY_PEERS)
    remote.sock.close()
    assert await_event(events, "drop").error == "too many peers (remote)"
    assert failures(caplog) == []


def test_end_of_another_peer_that_a_handler_lets_out_is_a_failure_of_its_own(
    nodes: Nodes, caplog: pytest.LogCaptureFixture
) -> None:
    """A relay that writes to a peer which has left."""
    talks = nodes.talks()
    server = nodes.start(protocols=[talks.protocol()])
    first = nodes.remote(server).open()
    first_talk = talks.next()
    second = nodes.remote(server).open()
    second_talk = talks.next()
    first.send_disconnect(p2p.DiscReason.TOO_MANY_PEERS)
    with pytest.raises(p2p.PeerDisconnected) as raised:
        first_talk.read()
    second_talk.fail(raised.value)
    assert second.ending() is p2p.DiscReason.SUBPROTOCOL_ERROR
    (record,) = failures(caplog)
    assert record.levelno == logging.ERROR
    assert record.getMessage() == f"{second_talk.peer}: handler of test/1 failed"


@pytest.mark.parametrize("fails", [False, True])
def test_end_of_a_handler_harms_no_other_peer(
    nodes: Nodes, fails: bool, caplog: pytest.LogCaptureFixture
) -> None:
    talks = nodes.talks()
    server = nodes.start(protocols=[talks.protocol()])
    first = nodes.remote(server).open()
    first_talk = talks.next()
    second = nodes.remote(server).open()
    second_talk = talks.next()
    if fails:
        first_talk.fail(RuntimeError("one of two"))
    else:
        first_talk.end()
    assert first.ending() is not None
    second.send_payload(3, b"\xc0")
    assert second_talk.read().code == 3
    second_talk.rw.write_msg(p2p.Msg(4))
    assert second.next_message() == (4, b"")
    assert second_talk.peer in server.peers


def test_end_of_one_protocol_s_handler_ends_the_connection_for_the_others(nodes: Nodes) -> None:
    a, b = nodes.talks(), nodes.talks()
    server = nodes.start(protocols=[a.protocol("a"), b.protocol("b")])
    events = server.subscribe_events()
    remote = nodes.remote(server, caps=[("a", 1), ("b", 1)]).open()
    talk_a, talk_b = a.next(), b.next()
    talk_a.end()
    assert remote.ending() is p2p.DiscReason.QUITTING
    with pytest.raises(p2p.PeerDisconnected) as raised:
        talk_b.read()
    assert raised.value.reason is p2p.DiscReason.QUITTING
    await_event(events, "drop")
    assert server.peers == []
    assert not talk_b.peer.is_connected


def test_handler_runs_in_a_thread_named_after_peer_and_protocol(nodes: Nodes) -> None:
    names: list[str] = []
    ran = threading.Event()

    def run(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        names.append(threading.current_thread().name)
        names.append(f"p2p-peer-{peer.id.short}-test")
        ran.set()

    server = nodes.start(protocols=[p2p.Protocol("test", 1, 8, run)])
    nodes.remote(server).open()
    assert ran.wait(PATIENCE_S)
    assert names[0] == names[1]


def test_reason_of_a_disconnect_before_the_return_stays(nodes: Nodes) -> None:
    def run(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        peer.disconnect(p2p.DiscReason.USELESS_PEER)

    server = nodes.start(protocols=[p2p.Protocol("test", 1, 8, run)])
    assert nodes.remote(server).open().ending() is p2p.DiscReason.USELESS_PEER


def test_thread_of_a_handler_is_named_only_while_the_handler_runs(nodes: Nodes) -> None:
    server, remote, talk = joined(nodes)
    events = server.subscribe_events()
    rw = talk.peer._running[0]
    assert rw._thread is not None and rw._thread.name == f"p2p-peer-{talk.peer.id.short}-test"
    talk.end()
    remote.ending()
    await_event(events, "drop")
    assert rw._thread is None
