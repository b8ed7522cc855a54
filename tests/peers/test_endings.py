"""What an error that ends a handler means for its connection, and what is said of it."""

from __future__ import annotations

import inspect
import logging
import re
import socket
from collections.abc import Callable
from typing import Any

import pytest

import p2p
import p2p.testing
from p2p import errors
from p2p.codec import decode
from p2p.discover.v4 import requests as exchange
from p2p.loglimit import LINES_PER_MINUTE
from p2p.mailbox import Mailbox
from p2p.peers.endings import end_by
from p2p.peers.peer import ProtocolReadWriter
from tests.kit.nodes import HOST, Nodes, await_event, closed_port
from tests.kit.remote import Remote
from tests.kit.waiting import PATIENCE_S

pytestmark = pytest.mark.slow

LIST = b"\xc0"  # as RLP; no text


class Outside:
    """A server, a peer whose handler meets errors, and another peer with its talk."""

    def __init__(self, nodes: Nodes, **options: Any) -> None:
        self.nodes = nodes
        talks = nodes.talks()
        self.server = nodes.start(protocols=[talks.protocol()], **options)
        self.remote = nodes.remote(self.server).open()
        self.talk = talks.next()
        self.other_remote = nodes.remote(self.server).open()
        self.other = talks.next()

    def talkative(self) -> p2p.Server:
        """Another server, which has a protocol without a handler."""
        return self.nodes.start(protocols=[p2p.Protocol("test", 1, 8)])

    def other_message(self) -> p2p.Msg:
        self.other_remote.send_payload(3, LIST)
        return self.other.read()


def silent_node() -> p2p.Node:
    port = closed_port()
    return p2p.Node.from_parts(p2p.generate_key().public_key, HOST, port, port)


def ping_of_a_silent_node(outside: Outside) -> None:
    assert outside.server.discovery_v4 is not None
    outside.server.discovery_v4.ping(silent_node())


def impatient_ping(outside: Outside) -> None:
    assert outside.server.discovery_v4 is not None
    outside.server.discovery_v4.ping(silent_node(), timeout=0)


def record_of_a_silent_node(outside: Outside) -> None:
    assert outside.server.discovery_v4 is not None
    outside.server.discovery_v4.request_enr(silent_node())


def dial_that_is_refused(outside: Outside) -> None:
    outside.server.connect(silent_node())


def dial_of_a_node_that_says_nothing(outside: Outside) -> None:
    with socket.create_server((HOST, 0)) as listening:
        port = listening.getsockname()[1]
        node = p2p.Node.from_parts(p2p.generate_key().public_key, HOST, port, port)
        outside.server.connect(node, timeout=0.05)


def peer_that_does_not_come(outside: Outside) -> None:
    outside.talkative().accept(timeout=0)


def end_that_does_not_come(outside: Outside) -> None:
    outside.other.peer.wait_closed(timeout=0)


def subscription_that_was_closed(outside: Outside) -> None:
    events = outside.server.subscribe_events()
    events.close()
    events.get()


def wrong_argument(outside: Outside) -> None:
    outside.server.connect("enode://")  # type: ignore[arg-type]


def removal_that_takes_too_long(outside: Outside) -> None:
    outside.server.remove_peer(outside.other.peer.node, timeout=0.01)


def event_that_does_not_come(outside: Outside) -> None:
    with outside.server.subscribe_events() as events:
        events.get(timeout=0)


def silence_of_another_peer(outside: Outside) -> None:
    outside.other.rw.read_msg(timeout=0)


def message_of_another_peer(outside: Outside) -> None:
    outside.other_message().decode(str)


def unexpected_message_of_another_peer(outside: Outside) -> None:
    outside.other_remote.send_payload(3, LIST)
    p2p.expect_msg(outside.other.rw, 4, timeout=PATIENCE_S)


def end_of_another_peer(outside: Outside) -> None:
    outside.other_remote.send_disconnect(p2p.DiscReason.TOO_MANY_PEERS)
    outside.other.read()


def write_to_a_peer_that_has_left(outside: Outside) -> None:
    outside.other.peer.disconnect(p2p.DiscReason.USELESS_PEER)
    outside.other.rw.write_msg(p2p.Msg(0))


def bytes_of_a_file(outside: Outside) -> None:
    decode(LIST, str)


def message_of_its_own_making(outside: Outside) -> None:
    p2p.Msg(0, LIST).decode(str)


def message_of_a_pipe(outside: Outside) -> None:
    one, other = p2p.testing.msg_pipe()
    one.write_msg(p2p.Msg(0))
    p2p.expect_msg(other, 1, timeout=0)


def pipe_that_is_closed(outside: Outside) -> None:
    one, _other = p2p.testing.msg_pipe()
    one.close()
    one.read_msg()


ASK_THE_NETWORK = [ping_of_a_silent_node, impatient_ping, record_of_a_silent_node]
ELSEWHERE = [
    *ASK_THE_NETWORK,
    dial_that_is_refused,
    dial_of_a_node_that_says_nothing,
    peer_that_does_not_come,
    end_that_does_not_come,
    subscription_that_was_closed,
    wrong_argument,
    removal_that_takes_too_long,
    event_that_does_not_come,
    silence_of_another_peer,
    message_of_another_peer,
    unexpected_message_of_another_peer,
    end_of_another_peer,
    write_to_a_peer_that_has_left,
    bytes_of_a_file,
    message_of_its_own_making,
    message_of_a_pipe,
    pipe_that_is_closed,
]


#: Those that end since a time has run out.
OUT_OF_TIME = re.compile(r"silen|impatient|says_nothing|too_long|not_come")


def errors_logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR and r.exc_info]


@pytest.mark.parametrize("meet", ELSEWHERE, ids=lambda meet: meet.__name__)
def test_peer_does_not_pay_for_others(
    nodes: Nodes,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    meet: Callable[[Outside], None],
) -> None:
    """An error about anything but this connection is a failure of the program."""
    monkeypatch.setattr(exchange, "REPLY_TIMEOUT_S", 0.05)
    options = {"no_discovery": False} if meet in ASK_THE_NETWORK else {}
    outside = Outside(nodes, **options)
    with pytest.raises(p2p.P2PError) as met:
        meet(outside)
    if OUT_OF_TIME.search(meet.__name__):
        assert isinstance(met.value, p2p.Timeout)
    outside.talk.fail(met.value)
    assert outside.remote.ending() is p2p.DiscReason.SUBPROTOCOL_ERROR
    assert errors_logged(caplog) == [f"{outside.talk.peer}: handler of test/1 failed"]


# every class of errors, by origin

CLASSES = [
    value for value in vars(errors).values()
    if inspect.isclass(value) and issubclass(value, p2p.P2PError)
]  # fmt: skip
ARGUMENTS: dict[str, Any] = {
    **{"message": "text", "reason": p2p.DiscReason.USELESS_PEER, "by_remote": True, "step": None},
    **{"retry_in_s": 3.5, "ours": [], "theirs": [], "failures": []},
}


def made(kind: type[p2p.P2PError]) -> p2p.P2PError:
    if not inspect.isfunction(kind.__init__):
        return kind("text")
    return kind(**{name: ARGUMENTS[name] for name in inspect.signature(kind).parameters})


def raise_from_reading(rw: ProtocolReadWriter, error: p2p.P2PError) -> None:
    rw._inbox.close(lambda: error, discard=True)
    rw.read_msg(timeout=0)


def raise_from_writing(rw: ProtocolReadWriter, error: p2p.P2PError) -> None:
    rw._outbox.close(lambda: error, discard=True)
    rw.write_msg(p2p.Msg(0))


def raise_from_the_library(_rw: ProtocolReadWriter, error: p2p.P2PError) -> None:
    mailbox = Mailbox()
    mailbox.close(lambda: error, discard=True)
    mailbox.get(timeout=0)


def raise_from_the_program(_rw: ProtocolReadWriter, error: p2p.P2PError) -> None:
    raise error


def end_of_a_handler(
    run: Callable[[ProtocolReadWriter, p2p.P2PError], None],
    used: ProtocolReadWriter,
    own: ProtocolReadWriter,
    error: p2p.P2PError,
) -> tuple[p2p.DiscReason, int]:
    try:
        run(used, error)
    except p2p.P2PError as raised:
        end = end_by(raised, own)
        return end.reason, end.level
    raise AssertionError("nothing was raised")


@pytest.fixture
def two(nodes: Nodes) -> tuple[ProtocolReadWriter, ProtocolReadWriter]:
    """The read-writers of two peers of one server, neither of which has a handler that reads."""
    outside = Outside(nodes)
    return outside.talk.peer._running[0], outside.other.peer._running[0]


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_reason_of_each_error_by_origin(
    two: tuple[ProtocolReadWriter, ProtocolReadWriter], kind: type[p2p.P2PError]
) -> None:
    own, other = two
    failure = (p2p.DiscReason.SUBPROTOCOL_ERROR, logging.ERROR)
    for run in (raise_from_reading, raise_from_writing):
        assert end_of_a_handler(run, other, own, made(kind)) == failure
    assert end_of_a_handler(raise_from_the_library, own, own, made(kind)) == failure
    for run in (raise_from_the_program, raise_from_reading, raise_from_writing):
        error = made(kind)
        reason, _level = end_of_a_handler(run, own, own, error)
        assert reason == error.disc_reason


def test_program_error_keeps_its_reason_in_any_thread(nodes: Nodes) -> None:
    """Raised by the program elsewhere, and let out by a handler."""
    outside = Outside(nodes)
    with pytest.raises(p2p.DecodeError) as raised:
        raise p2p.DecodeError("no chain of ours")
    outside.talk.fail(raised.value)
    assert outside.remote.ending() is p2p.DiscReason.PROTOCOL_ERROR


# warnings


def decode_text(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
    rw.read_msg().decode(str)


def expect_five(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
    p2p.expect_msg(rw, 5)


def lose_patience(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
    _ = rw.read_msg(timeout=0), rw.read_msg(timeout=0)  # there is one message at most


def refuse(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
    raise p2p.RemoteProtocolError("no chain of ours")


@pytest.mark.parametrize(
    ("run", "ended"),
    [
        (decode_text, "DecodeError in message 3: byte 0: a list stands where a string is expected"),
        (expect_five, "UnexpectedMessage in message 3: message code is 3, expected 5"),
        (lose_patience, "Timeout: no message within 0 s"),
        (refuse, "RemoteProtocolError: no chain of ours"),
    ],
)
def test_breach_is_a_warning_with_all_there_is(
    nodes: Nodes,
    caplog: pytest.LogCaptureFixture,
    run: Callable[[p2p.Peer, p2p.MsgReadWriter], None],
    ended: str,
) -> None:
    server = nodes.start(protocols=[p2p.Protocol("test", 1, 8, run)])
    events = server.subscribe_events()
    remote = nodes.remote(server).open()
    remote.send_payload(3, LIST)
    remote.ending()
    dropped = await_event(events, "drop")
    (record,) = [r for r in caplog.records if r.levelno > logging.DEBUG]
    line = run.__code__.co_firstlineno + 1
    text = f"handler of test/1 was ended by {ended} (at {__file__}:{line} in {run.__name__})"
    assert (record.levelno, record.name) == (logging.WARNING, "p2p.peer")
    assert record.getMessage() == f"{remote.node.id.short} {HOST}:{remote.node.tcp}: {text}"
    assert record.exc_info is None
    assert dropped.error.endswith(f": {text}")


def breach(
    nodes: Nodes,
    server: p2p.Server,
    key: p2p.PrivateKey | None = None,
    reason: p2p.DiscReason = p2p.DiscReason.PROTOCOL_ERROR,
) -> Remote:
    events = server.subscribe_events()
    remote = nodes.remote(server, key=key).open()
    remote.send_payload(3, LIST)
    assert remote.ending() is reason
    await_event(events, "drop")
    return remote


def test_warnings_are_few_and_one_for_each_peer(
    nodes: Nodes, caplog: pytest.LogCaptureFixture
) -> None:
    clock = p2p.testing.SimulatedClock()
    server = nodes.start(protocols=[p2p.Protocol("test", 1, 8, decode_text)], clock=clock)
    first = breach(nodes, server)
    breach(nodes, server, first.key)
    for _ in range(LINES_PER_MINUTE + 1):
        breach(nodes, server)
    warnings = [r for r in caplog.records if r.levelno == logging.WARNING]
    assert len(warnings) == LINES_PER_MINUTE
    clock.advance(60.0)
    breach(nodes, server)
    last = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING][-1]
    assert last.endswith(" (and 2 more like this)")


def test_failures_of_a_handler_are_few_lines(
    nodes: Nodes, caplog: pytest.LogCaptureFixture
) -> None:
    # Any remote can bring them about, by what it sends.
    def run(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        int(rw.read_msg().payload)

    server = nodes.start(
        protocols=[p2p.Protocol("test", 1, 8, run)],
        clock=p2p.testing.SimulatedClock(),
        max_peers=50,
    )
    for _ in range(LINES_PER_MINUTE + 3):
        breach(nodes, server, reason=p2p.DiscReason.SUBPROTOCOL_ERROR)
    failures = [r for r in caplog.records if r.getMessage().endswith("handler of test/1 failed")]
    assert [r.levelno for r in failures].count(logging.ERROR) == LINES_PER_MINUTE


def test_line_left_out_is_there_at_debug(nodes: Nodes, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "p2p.peer")
    server = nodes.start(protocols=[p2p.Protocol("test", 1, 8, decode_text)])
    first = breach(nodes, server)
    breach(nodes, server, first.key)
    levels = [r.levelno for r in caplog.records if "was ended by DecodeError" in r.getMessage()]
    assert levels == [logging.WARNING, logging.DEBUG]


def test_text_of_an_error_is_cut_and_escaped(
    nodes: Nodes, caplog: pytest.LogCaptureFixture
) -> None:
    outside = Outside(nodes)
    events = outside.server.subscribe_events()
    outside.talk.fail(p2p.RemoteProtocolError("\x1b[2J\n" + 1000 * "x"))
    outside.remote.ending()
    dropped = await_event(events, "drop")
    assert "RemoteProtocolError: \\x1b[2J\\nxxx" in dropped.error and "xxx... (at " in dropped.error
    assert len(dropped.error) < 500 and dropped.error.isprintable()
    assert "\x1b" not in caplog.text


class Mute(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


def test_error_without_a_text_ends_its_connection(nodes: Nodes) -> None:
    outside = Outside(nodes)
    events = outside.server.subscribe_events()
    outside.talk.fail(Mute())
    assert outside.remote.ending() is p2p.DiscReason.SUBPROTOCOL_ERROR
    assert "was ended by Mute: its text cannot be made" in await_event(events, "drop").error


def test_other_handlers_are_told_the_error(nodes: Nodes) -> None:
    a, b = nodes.talks(), nodes.talks()
    server = nodes.start(protocols=[a.protocol("a"), b.protocol("b")])
    nodes.remote(server, caps=[("a", 1), ("b", 1)]).open()
    other = b.next()
    a.next().fail(ZeroDivisionError("of the handler"))
    with pytest.raises(p2p.PeerDisconnected, match="handler of a/1 was ended by ZeroDivisionError"):
        other.read()


# the other side

DISCARD = p2p.Protocol("test", 1, 8, lambda _, rw: list(rw))


@pytest.mark.parametrize(
    ("reason", "level"),
    [
        (p2p.DiscReason.PROTOCOL_ERROR, logging.WARNING),
        (p2p.DiscReason.SUBPROTOCOL_ERROR, logging.INFO),
    ],
)
def test_peer_that_blames_us_is_in_the_log(
    nodes: Nodes, caplog: pytest.LogCaptureFixture, reason: p2p.DiscReason, level: int
) -> None:
    caplog.set_level(logging.INFO, "p2p.peer")
    clock = p2p.testing.SimulatedClock()
    server = nodes.start(protocols=[DISCARD], clock=clock)
    events = server.subscribe_events()
    key = p2p.generate_key()
    for _ in range(2):
        remote = nodes.remote(server, key=key).open()
        await_event(events, "add")
        remote.send_disconnect(reason)
        remote.sock.close()
        await_event(events, "drop")
    (record,) = [r for r in caplog.records if r.name == "p2p.peer"]
    assert record.levelno == level
    assert f": remote left after 0.0 s: {reason}; " in record.getMessage()


@pytest.mark.parametrize(
    "reason",
    [p2p.DiscReason.REQUESTED, p2p.DiscReason.TOO_MANY_PEERS, p2p.DiscReason.QUITTING],
    ids=str,
)
def test_peer_that_just_leaves_is_no_line(
    nodes: Nodes, caplog: pytest.LogCaptureFixture, reason: p2p.DiscReason
) -> None:
    caplog.set_level(logging.INFO, "p2p.peer")
    server = nodes.start(protocols=[DISCARD])
    events = server.subscribe_events()
    remote = nodes.remote(server).open()
    remote.send_disconnect(reason)
    remote.sock.close()
    await_event(events, "drop")
    assert [r for r in caplog.records if r.name == "p2p.peer"] == []


def test_code_beyond_the_length_is_a_warning(
    nodes: Nodes, caplog: pytest.LogCaptureFixture
) -> None:
    server = nodes.start(protocols=[DISCARD])
    events = server.subscribe_events()
    remote = nodes.remote(server).open()
    remote.send_payload(8)
    assert remote.ending() is p2p.DiscReason.PROTOCOL_ERROR
    await_event(events, "drop")
    (text,) = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert "breach of protocol: message code 8 (24 on the wire) belongs to no protocol" in text


def test_both_sides_of_a_breach_have_a_warning(
    nodes: Nodes, caplog: pytest.LogCaptureFixture
) -> None:
    here, there = nodes.pair()
    here.rw.write_msg(p2p.Msg(3, LIST))
    with pytest.raises(p2p.DecodeError) as raised:
        there.read().decode(str)
    events = here.server.subscribe_events()
    there.fail(raised.value)
    with pytest.raises(p2p.PeerDisconnected):
        here.read()
    here.end()
    await_event(events, "drop")
    warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert len(warnings) == 2
    assert f"{there.peer}: handler of test/1 was ended by DecodeError in message 3" in warnings[0]
    assert f"{here.peer}: remote left after " in warnings[1]
