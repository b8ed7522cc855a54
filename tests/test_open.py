"""``Peer.open``: protocols without a handler, read and written by whatever thread opens them."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress

import pytest

import p2p
import p2p.testing
from p2p import DiscReason
from p2p.mailbox import LIMIT_BYTES
from p2p.peers.stalls import STALL_REPORT_S
from tests.kit import inspect
from tests.kit.nodes import Nodes, Talk
from tests.kit.waiting import PATIENCE_S, eventually

TEST = p2p.Protocol("test", 1, 8)
PAYLOAD = b"\xb9\xff\x00" + bytes(0xFF00)


class Ends:
    """A peer of a server whose protocols have no handlers, and the other end, which has some."""

    def __init__(self, nodes: Nodes, *protocols: p2p.Protocol, **options: object) -> None:
        self.talks = nodes.talks()
        theirs = [self.talks.protocol(), self.talks.protocol("test", 2)]
        theirs.append(self.talks.protocol("more"))
        self.there = nodes.start(name="there", protocols=theirs)
        self.here = nodes.start(protocols=protocols or [TEST], **options)
        self.peer = self.here.connect(self.there.self, timeout=PATIENCE_S)

    def next(self) -> Talk:
        return self.talks.next()


@pytest.fixture
def ends(nodes: Nodes) -> Ends:
    return Ends(nodes)


# talk


def test_messages_pass_both_ways_without_a_handler(ends: Ends) -> None:
    theirs = ends.next().rw
    with ends.peer.open("test") as rw:
        rw.send_items(3, "foo")
        assert theirs.read_msg(PATIENCE_S).decode(tuple[str]) == ("foo",)
        theirs.send(4, "bar")
        assert rw.read_msg(PATIENCE_S).decode(str) == "bar"


def test_two_servers_without_handlers(nodes: Nodes) -> None:
    there, here = nodes.start(protocols=[TEST]), nodes.start(protocols=[TEST])
    ours = here.connect(there.self, timeout=PATIENCE_S).open("test")
    eventually(lambda: there.peer_count == 1)
    theirs = there.peers[0].open("test")
    ours.send(0, "foo")
    assert theirs.read_msg(PATIENCE_S).decode(str) == "foo"
    theirs.close()
    with pytest.raises(p2p.PeerDisconnected):
        ours.read_msg(PATIENCE_S)


def test_messages_that_came_before_are_read(ends: Ends) -> None:
    theirs = ends.next().rw
    theirs.send(0, "early")
    eventually(lambda: not ends.peer._running[0]._inbox.is_empty)
    assert ends.peer.open("test").read_msg(PATIENCE_S).decode(str) == "early"


def test_no_thread_runs_for_the_peer(ends: Ends) -> None:
    ends.next()
    names = [thread.name for thread in threading.enumerate()]
    assert not [name for name in names if name.startswith(f"p2p-peer-{ends.peer.id.short}")]


# the end


def test_leaving_the_block_ends_the_connection(ends: Ends) -> None:
    theirs = ends.next().rw
    with ends.peer.open("test") as rw:
        rw.send(0, "last words")
    assert theirs.read_msg(PATIENCE_S).decode(str) == "last words"
    with pytest.raises(p2p.PeerDisconnected) as left:
        theirs.read_msg(PATIENCE_S)
    assert (left.value.reason, left.value.by_remote) == (DiscReason.REQUESTED, True)
    ends.peer.wait_closed(PATIENCE_S)
    assert rw.is_closed
    assert ends.here.peers == []
    with pytest.raises(p2p.PeerDisconnected):
        rw.read_msg()
    with pytest.raises(p2p.PeerDisconnected):
        rw.send(0, "too late")


def test_error_about_a_message_gives_the_reason(ends: Ends) -> None:
    theirs = ends.next().rw
    theirs.send(0, "no number")
    with pytest.raises(p2p.DecodeError), ends.peer.open("test") as rw:
        rw.read_msg(PATIENCE_S).decode(list[int])
    with pytest.raises(p2p.PeerDisconnected) as left:
        theirs.read_msg(PATIENCE_S)
    assert left.value.reason is DiscReason.PROTOCOL_ERROR


def test_close_gives_its_reason_and_the_first_counts(ends: Ends) -> None:
    theirs = ends.next().rw
    rw = ends.peer.open("test")
    rw.close(DiscReason.USELESS_PEER)
    rw.close()
    with pytest.raises(p2p.PeerDisconnected) as left:
        theirs.read_msg(PATIENCE_S)
    assert left.value.reason is DiscReason.USELESS_PEER


def test_close_in_a_handler_ends_its_connection(ends: Ends) -> None:
    rw = ends.peer.open("test")
    ends.next().rw.close(DiscReason.TOO_MANY_PEERS)
    with pytest.raises(p2p.PeerDisconnected) as left:
        rw.read_msg(PATIENCE_S)
    assert (left.value.reason, left.value.by_remote) == (DiscReason.TOO_MANY_PEERS, True)


def test_rest_is_read_when_the_peer_has_left(ends: Ends) -> None:
    talk = ends.next()
    talk.rw.send(0, "one")
    talk.rw.send(1, "two")
    talk.end()
    ends.peer.wait_closed(PATIENCE_S)
    rw = ends.peer.open("test")
    assert [rw.read_msg(0).code, rw.read_msg(0).code] == [0, 1]
    with pytest.raises(p2p.PeerDisconnected) as left:
        rw.read_msg(0)
    assert (left.value.reason, left.value.by_remote) == (DiscReason.QUITTING, True)
    assert left.value.connection_id == rw.connection_id


def test_reader_wakes_when_the_server_stops(ends: Ends) -> None:
    rw = ends.peer.open("test")
    outcomes: list[object] = []

    def read() -> None:
        try:
            rw.read_msg()
        except p2p.P2PError as error:
            outcomes.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    ends.here.stop()
    reader.join(PATIENCE_S)
    (error,) = outcomes
    assert isinstance(error, p2p.PeerDisconnected)
    assert error.reason is DiscReason.QUITTING


def test_reader_hears_of_a_crash(ends: Ends) -> None:
    rw = ends.peer.open("test")

    def fail() -> None:
        raise ValueError("a fault")

    inspect.post(ends.here, fail)
    with pytest.raises(p2p.LoopCrashed):
        rw.read_msg(PATIENCE_S)


def test_ctrl_c_while_reading_leaves_the_block(nodes: Nodes) -> None:
    ends = Ends(nodes)
    ends.next()
    rw = ends.peer.open("test")
    main = threading.main_thread().ident or 0

    def press() -> None:
        eventually(lambda: bool(rw._inbox._readers))
        signal.pthread_kill(main, signal.SIGINT)

    presser = threading.Thread(target=press)
    presser.start()
    with pytest.raises(KeyboardInterrupt), rw:
        rw.read_msg()
    presser.join(PATIENCE_S)
    ends.peer.wait_closed(PATIENCE_S)
    assert ends.here.stop() == []


def test_remove_peer_waits_for_no_handler(ends: Ends) -> None:
    ends.peer.open("test")
    ends.here.remove_peer(ends.peer.node, timeout=PATIENCE_S)
    assert not ends.peer.is_connected


# several protocols


def test_open_gives_the_same_read_writer_each_time(ends: Ends) -> None:
    assert ends.peer.open("test") is ends.peer.open("test")


def test_protocols_of_one_peer_are_opened_one_by_one(nodes: Nodes) -> None:
    ends = Ends(nodes, TEST, p2p.Protocol("more", 1, 8))
    talks = {talk.rw.protocol.name: talk for talk in (ends.next(), ends.next())}  # type: ignore[attr-defined]
    talks["more"].rw.send(0, "to more")
    talks["test"].rw.send(0, "to test")
    for name in ("test", "more"):
        assert ends.peer.open(name).read_msg(PATIENCE_S).decode(str) == f"to {name}"


def test_negotiated_version_is_opened(nodes: Nodes) -> None:
    ends = Ends(nodes, TEST, p2p.Protocol("test", 2, 8), p2p.Protocol("test", 3, 8))
    rw = ends.peer.open("test")
    assert rw.protocol.cap == p2p.Cap("test", 2)
    assert ends.peer.open("test", 2) is rw
    for version in (1, 3):
        with pytest.raises(p2p.errors.NoSharedCapability) as refused:
            ends.peer.open("test", version)
        assert str(refused.value).startswith(f"test/{version} is not in use with ")
        assert str(refused.value).endswith("; in use: test/2")


def test_handler_of_another_protocol_runs_beside(nodes: Nodes) -> None:
    talks = nodes.talks()
    ends = Ends(nodes, TEST, talks.protocol("more"))
    handled = talks.next()
    theirs = {talk.rw.protocol.name: talk for talk in (ends.next(), ends.next())}  # type: ignore[attr-defined]
    rw = handled.peer.open("test")
    assert rw is ends.peer.open("test")
    theirs["more"].rw.send(0, "for the handler")
    theirs["test"].rw.send(0, "for whoever opens it")
    assert handled.read().decode(str) == "for the handler"
    assert rw.read_msg(PATIENCE_S).decode(str) == "for whoever opens it"
    handled.end()
    with pytest.raises(p2p.PeerDisconnected) as left:
        rw.read_msg(PATIENCE_S)
    assert (left.value.reason, left.value.by_remote) == (DiscReason.QUITTING, False)


def test_peer_without_handlers_does_not_wait_for_the_last_one_s(nodes: Nodes) -> None:
    """A handler of its last connection lingers, and this one has none that could begin."""
    talks, key = nodes.talks(), p2p.generate_key()
    server = nodes.start(protocols=[TEST, talks.protocol("more")])
    first = nodes.remote(server, key=key, caps=[("more", 1)]).open()
    lingering = talks.next()
    first.send_disconnect(DiscReason.QUITTING)
    lingering.peer.wait_closed(PATIENCE_S)
    nodes.remote(server, key=key, caps=[("test", 1)]).open().send_payload(0, b"\x83foo")
    eventually(lambda: server.peer_count == 1)
    (peer,) = server.peers
    assert peer.open("test").read_msg(PATIENCE_S).decode(str) == "foo"


# refused


def test_protocol_that_the_peer_does_not_have(nodes: Nodes) -> None:
    ends = Ends(nodes, TEST, p2p.Protocol("mine", 1, 8))
    with pytest.raises(p2p.errors.NoSharedCapability) as refused:
        ends.peer.open("mine")
    text = f"mine is not in use with {ends.peer}; in use: test/1"
    assert str(refused.value) == text
    assert refused.value.ours == (p2p.Cap("mine", 1), p2p.Cap("test", 1))
    assert refused.value.theirs == ends.peer.caps


def test_protocol_that_the_server_does_not_have(ends: Ends) -> None:
    refusal = r"^name: wanted one of our protocols, test/1; got 'more' \(str\)$"
    with pytest.raises(p2p.errors.ArgumentError, match=refusal):
        ends.peer.open("more")
    with pytest.raises(p2p.errors.ArgumentError, match=r"^name: wanted one of our protocols"):
        ends.peer.open("test", 7)


def test_protocol_with_a_handler(nodes: Nodes) -> None:
    here, _ = nodes.pair()
    with pytest.raises(p2p.errors.ArgumentError, match="^name: wanted a protocol without"):
        here.peer.open("test")


# a reader that does not read


def test_protocol_that_nobody_reads_is_held_back_and_reported(
    nodes: Nodes, caplog: pytest.LogCaptureFixture
) -> None:
    clock = p2p.testing.SimulatedClock()
    ends = Ends(nodes, clock=clock)
    theirs = ends.next().rw

    # One read of the socket may go beyond the limit; what can be compressed, by many times that.
    msg = p2p.Msg(0, os.urandom(len(PAYLOAD)))

    def write() -> None:
        with suppress(p2p.PeerDisconnected):
            while True:
                theirs.write_msg(msg)

    writer = threading.Thread(target=write)
    writer.start()
    (session,) = inspect.sessions(ends.here)
    eventually(lambda: inspect.on_io(ends.here, lambda: session._held))  # with its timer
    assert ends.peer._running[0]._inbox._size < 2 * LIMIT_BYTES
    clock.advance(STALL_REPORT_S)
    text = "no thread has read test/1 for 10 s with a full inbox; Peer.open returns its end"
    eventually(lambda: text in caplog.text)
    rw = ends.peer.open("test")
    for _ in range(50):
        rw.read_msg(PATIENCE_S)
    rw.close()
    writer.join(PATIENCE_S)
