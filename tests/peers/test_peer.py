"""What a handler sees of a peer, and what reading and writing promise."""

from __future__ import annotations

from typing import Any

import pytest

import p2p
import p2p.testing
from p2p.netutil import printable
from p2p.peers.peer import FULLNAME_LENGTH
from tests.kit.nodes import HOST, Nodes, Talk, await_event
from tests.kit.remote import Remote
from tests.kit.threadcalls import in_thread
from tests.kit.waiting import PATIENCE_S, eventually


def joined(nodes: Nodes, remote: dict[str, Any] | None = None, **options: Any) -> Any:
    """A server, the remote that has joined it, and the server's talk with it."""
    talks = nodes.talks()
    server = nodes.start(protocols=[talks.protocol()], **options)
    one = nodes.remote(server, **(remote or {})).open()
    return server, one, talks.next()


# what a peer is


def test_both_ends_know_each_other(nodes: Nodes) -> None:
    here, there = nodes.pair()
    dialer, listener = here.server, there.server
    assert here.peer.id == listener.self.id and there.peer.id == dialer.self.id
    assert (here.peer.fullname, there.peer.fullname) == ("listener", "dialer")
    assert here.peer.node == listener.self
    assert there.peer.node.public_key == dialer.self.public_key
    assert here.peer.caps == there.peer.caps == (p2p.Cap("test", 1),)
    assert here.peer.remote_addr == there.peer.local_addr
    assert here.peer.local_addr == there.peer.remote_addr
    assert here.peer.remote_addr == listener.self.tcp_endpoint


def test_peer_tells_who_dialed(nodes: Nodes) -> None:
    here, there = nodes.pair()
    assert (here.peer.inbound, here.peer.dyn_dialed) == (False, True)
    assert (there.peer.inbound, there.peer.dyn_dialed) == (True, False)
    assert not here.peer.static_dialed and not there.peer.static_dialed
    assert not here.peer.trusted and not there.peer.trusted


def test_running_cap_is_what_both_ends_run(nodes: Nodes) -> None:
    here, _there = nodes.pair()
    assert here.peer.running_cap("test", [1])
    assert here.peer.running_cap("test", [0, 1, 2])
    assert not here.peer.running_cap("test", [2])
    assert not here.peer.running_cap("test", [])
    assert not here.peer.running_cap("other", [1])


def test_lifetime_is_counted_on_the_server_s_clock(nodes: Nodes) -> None:
    clock = p2p.testing.SimulatedClock()
    here, _there = nodes.pair(clock=clock)
    assert here.peer.lifetime == 0
    clock.advance(12.5)
    assert here.peer.lifetime == 12.5


def test_handlers_have_what_they_read_and_what_waits_for_them(nodes: Nodes) -> None:
    here, there = nodes.pair()
    for code in range(3):
        here.rw.send_items(code, 7)
    there.read()
    eventually(lambda: there.peer.handlers[0].unread == 2)
    (state,) = there.peer.handlers
    assert (state.cap, state.reads) == (p2p.Cap("test", 1), 1)
    assert state.unread_bytes > 2 and not state.is_waiting
    assert "test_peer" not in p2p.observe.where_is(state.thread)
    assert "nodes.py" in p2p.observe.where_is(state.thread)


def test_handler_that_reads_is_waiting(nodes: Nodes) -> None:
    here, there = nodes.pair()
    reader = in_thread(there.read)
    eventually(lambda: there.peer.handlers[0].is_waiting)
    here.rw.send_items(0, 7)
    reader.join(PATIENCE_S)
    assert not there.peer.handlers[0].is_waiting
    there.end()
    eventually(lambda: there.peer.handlers[0].thread is None)


def test_protocol_without_a_handler_has_no_state(nodes: Nodes) -> None:
    server = nodes.start(protocols=[p2p.Protocol("test", 1, 8)])
    assert nodes.start().connect(server.self, PATIENCE_S).handlers
    eventually(lambda: server.peer_count == 1)
    assert server.peers[0].handlers == []


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("short", "short"),
        ("x" * 20, "x" * 20),
        ("x" * 21, "x" * 20 + "..."),
        ("a\x1b[31mb\r\n", "a\\x1b[31mb\\r\\n"),
        ("\x00\x07" * 9, "\\x00\\x07\\x00\\x07\\x00" + "..."),
        ("\u202egnirts", "\\u202egnirts"),
        ("Geth/é", "Geth/é"),
    ],
)
def test_name_is_escaped_and_cut_after_20_characters(nodes: Nodes, name: str, shown: str) -> None:
    _server, _remote, talk = joined(nodes, {"name": name})
    assert talk.peer.name == shown
    assert talk.peer.fullname.isprintable()


def test_full_name_is_cut_too() -> None:
    assert printable("y" * 2000, FULLNAME_LENGTH) == "y" * FULLNAME_LENGTH + "..."
    assert printable("\udc80", 20) == "\\udc80"


def test_peer_shows_id_and_address(nodes: Nodes) -> None:
    here, _there = nodes.pair()
    port = here.server.peers[0].remote_addr.port
    assert str(here.peer) == f"{here.peer.id.short} {HOST}:{port}"
    assert repr(here.peer).startswith(f"Peer({here.peer.id.short}")
    assert "test/1" in repr(here.rw)


def test_peer_s_logger_names_the_peer(nodes: Nodes, caplog: pytest.LogCaptureFixture) -> None:
    here, _there = nodes.pair()
    here.peer.log.warning("one %s", "line")
    (record,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert record.getMessage() == f"{here.peer}: one line"
    assert record.name == "p2p.peer"


# reading and writing


def test_messages_arrive_with_code_payload_and_time(nodes: Nodes) -> None:
    clock = p2p.testing.SimulatedClock()
    here, there = nodes.pair(clock=clock)
    there.rw.write_msg(p2p.Msg(7, b"\xc2\x01\x02"))
    msg = here.read()
    assert (msg.code, msg.payload, msg.received_at) == (7, b"\xc2\x01\x02", clock.monotonic())
    assert type(msg.payload) is bytes
    there.rw.write_msg(p2p.Msg(0, b""))
    assert here.read() == p2p.Msg(0, b"")


def test_go_s_spelling_of_reading_and_writing(nodes: Nodes) -> None:
    here, there = nodes.pair()
    here.rw.WriteMsg(p2p.Msg(1, b"\x05"))
    assert there.rw.ReadMsg(PATIENCE_S) == p2p.Msg(1, b"\x05")
    assert there.rw.ReadMsg.__doc__ and there.rw.WriteMsg.__doc__


@pytest.mark.parametrize("code", [-1, 8, 2**40])
def test_code_outside_the_protocol_is_refused_and_nothing_is_sent(nodes: Nodes, code: int) -> None:
    here, there = nodes.pair()
    with pytest.raises(p2p.errors.CodeOutOfRange, match="test/1 has codes 0 to 7"):
        here.rw.write_msg(p2p.Msg(code))
    here.rw.write_msg(p2p.Msg(7))
    assert there.read().code == 7


@pytest.mark.parametrize("payload", ["text", 5, None, [1, 2]])
def test_payload_that_is_no_bytes_is_refused(nodes: Nodes, payload: Any) -> None:
    here, there = nodes.pair()
    with pytest.raises(TypeError):
        here.rw.write_msg(p2p.Msg(0, payload))
    here.rw.write_msg(p2p.Msg(1, memoryview(b"ab")))  # type: ignore[arg-type]
    assert there.read() == p2p.Msg(1, b"ab")


def test_message_that_fits_into_no_frame_is_refused(nodes: Nodes) -> None:
    here, there = nodes.pair()
    with pytest.raises(p2p.errors.MessageTooLarge):
        here.rw.write_msg(p2p.Msg(0, bytes(2**24)))
    here.rw.write_msg(p2p.Msg(1))
    assert there.read().code == 1


def test_read_runs_out_of_time_and_the_connection_is_unharmed(nodes: Nodes) -> None:
    here, there = nodes.pair()
    with pytest.raises(p2p.Timeout):
        here.rw.read_msg(timeout=0)
    with pytest.raises(TimeoutError):
        here.rw.read_msg(timeout=0.02)
    p2p.send_items(there.rw, 1, "still here")
    assert here.read().decode(tuple[str]) == ("still here",)
    assert here.server.peer_count == 1


def test_many_threads_write_and_read_one_read_writer_and_nothing_is_lost(nodes: Nodes) -> None:
    here, there = nodes.pair()
    writers, each = 4, 2500
    got: list[list[int]] = [[] for _ in range(3)]

    def write(writer: int) -> None:
        for number in range(each):
            p2p.send(here.rw, writer, writer * each + number)

    def read(into: list[int]) -> None:
        while (number := there.read().decode(int)) != 2**32:
            into.append(number)

    readers = [in_thread(read, into) for into in got]
    threads = [in_thread(write, w) for w in range(writers)]
    for thread in threads:
        thread.join(PATIENCE_S)
    for _ in readers:
        p2p.send(here.rw, 0, 2**32)
    for thread in readers:
        thread.join(PATIENCE_S)
    assert not any(thread.is_alive() for thread in threads + readers)  # on a machine that stalls
    assert sorted(number for part in got for number in part) == list(range(writers * each))


def test_messages_of_one_writer_keep_their_order(nodes: Nodes) -> None:
    here, there = nodes.pair()

    def write() -> None:
        for number in range(10_000):
            p2p.send(here.rw, 0, number)

    thread = in_thread(write)
    for number in range(10_000):
        assert there.read().payload == (p2p.codec.encode(number))
    thread.join(PATIENCE_S)


def test_both_ways_at_once(nodes: Nodes) -> None:
    here, there = nodes.pair()
    payload = bytes(60_000)

    def write(talk: Talk) -> None:
        for number in range(100):
            talk.rw.write_msg(p2p.Msg(number % 8, payload))

    threads = [in_thread(write, talk) for talk in (here, there)]
    for number in range(100):
        for talk in (here, there):
            msg = talk.read()
            assert (msg.code, msg.size) == (number % 8, 60_000)
    for thread in threads:
        thread.join(PATIENCE_S)


def test_two_protocols_share_one_connection(nodes: Nodes) -> None:
    talks = [nodes.talks() for _ in range(4)]
    a1, b1, a2, b2 = talks
    here = nodes.start(protocols=[b1.protocol("bbb", 2, 3), a1.protocol("aaa", 1, 5)])
    there = nodes.start(protocols=[a2.protocol("aaa", 1, 5), b2.protocol("bbb", 2, 3)])
    here.connect(there.self)
    one_a, one_b, other_a, other_b = (talk.next() for talk in (a1, b1, a2, b2))
    one_b.rw.write_msg(p2p.Msg(2, b"b"))
    one_a.rw.write_msg(p2p.Msg(4, b"a"))
    other_a.rw.write_msg(p2p.Msg(0, b"c"))
    assert other_a.read() == p2p.Msg(4, b"a")
    assert other_b.read() == p2p.Msg(2, b"b")
    assert one_a.read() == p2p.Msg(0, b"c")
    assert one_a.peer is one_b.peer
    assert one_a.peer.running_cap("aaa", [1]) and one_a.peer.running_cap("bbb", [2])
    with pytest.raises(p2p.errors.CodeOutOfRange):
        one_b.rw.write_msg(p2p.Msg(3))
    with pytest.raises(p2p.Timeout):
        one_b.rw.read_msg(timeout=0)


def test_highest_shared_version_runs_alone(nodes: Nodes) -> None:
    old, new = nodes.talks(), nodes.talks()
    server = nodes.start(protocols=[old.protocol("p", 1), new.protocol("p", 2)])
    nodes.remote(server, caps=[("p", 1), ("p", 2), ("p", 3)]).open()
    assert new.next().peer.running_cap("p", [2])
    assert old.none_begun()
    nodes.remote(server, caps=[("p", 1)]).open()
    assert old.next().peer.running_cap("p", [1])


# the end


def test_iteration_ends_when_the_peer_leaves(nodes: Nodes) -> None:
    _server, remote, talk = joined(nodes)
    remote.send_payload(1)
    remote.send_payload(2)
    remote.send_disconnect(p2p.DiscReason.QUITTING)
    assert [msg.code for msg in talk.rw] == [1, 2]
    assert list(talk.rw) == []


def test_what_the_remote_sent_before_it_disconnected_is_still_read(nodes: Nodes) -> None:
    server, remote, talk = joined(nodes)
    for number in range(100):
        remote.machine.send_messages([(16, bytes([number]) * 1000)])
    remote.machine.disconnect(p2p.DiscReason.REQUESTED)
    remote.flush()
    remote.sock.close()
    assert [msg.payload[0] for msg in talk.rw] == list(range(100))
    with pytest.raises(p2p.PeerDisconnected) as raised:
        talk.rw.read_msg()
    assert (raised.value.reason, raised.value.by_remote) == (p2p.DiscReason.REQUESTED, True)


@pytest.mark.parametrize("reason", [0x00, 0x03, 0x04, 0x08, 0x10, 0x42])
def test_both_ends_learn_the_reason_and_who_gave_it(nodes: Nodes, reason: int) -> None:
    here, there = nodes.pair()
    here.peer.disconnect(reason)
    for talk, by_remote in ((here, False), (there, True)):
        with pytest.raises(p2p.PeerDisconnected) as raised:
            talk.read()
        assert (raised.value.reason, raised.value.by_remote) == (reason, by_remote)


def test_connection_that_just_ends_is_a_network_error(nodes: Nodes) -> None:
    _server, remote, talk = joined(nodes)
    remote.sock.close()
    with pytest.raises(p2p.PeerDisconnected) as raised:
        talk.read()
    assert raised.value.reason is p2p.DiscReason.NETWORK_ERROR
    assert raised.value.by_remote


def test_error_of_the_remote_is_the_cause(nodes: Nodes) -> None:
    _server, remote, talk = joined(nodes)
    remote.send_payload(100)
    with pytest.raises(p2p.PeerDisconnected, match="belongs to no protocol") as raised:
        talk.read()
    assert isinstance(raised.value.__cause__, p2p.errors.InvalidMessageCode)
    assert not raised.value.by_remote
    assert remote.ending() is p2p.DiscReason.PROTOCOL_ERROR


def test_everything_written_before_the_disconnect_arrives_before_it(nodes: Nodes) -> None:
    _server, remote, talk = joined(nodes)
    for number in range(200):
        talk.rw.write_msg(p2p.Msg(1, number.to_bytes(2, "big") * 2000))
    talk.peer.disconnect(p2p.DiscReason.USELESS_PEER)
    assert remote.ending() is p2p.DiscReason.USELESS_PEER
    numbers = [int.from_bytes(payload[:2], "big") for _, payload in remote.messages]
    assert numbers == list(range(200))


def test_remote_that_closes_its_end_still_gets_what_was_written(nodes: Nodes) -> None:
    here, there = nodes.pair()
    for number in range(200):
        p2p.send(here.rw, 0, [number, bytes(3000)])
    there.rw.write_msg(p2p.Msg(3))  # lies unread at the other end when that closes
    here.end()
    assert [msg.decode()[0] for msg in there.rw][199] == bytes([199])


def test_write_after_disconnect_is_refused(nodes: Nodes) -> None:
    here, there = nodes.pair()
    here.peer.disconnect(p2p.DiscReason.USELESS_PEER)
    with pytest.raises(p2p.PeerDisconnected) as raised:
        here.rw.write_msg(p2p.Msg(0))
    assert (raised.value.reason, raised.value.by_remote) == (p2p.DiscReason.USELESS_PEER, False)
    with pytest.raises(p2p.PeerDisconnected):
        there.read()
    with pytest.raises(p2p.PeerDisconnected) as raised:
        there.rw.write_msg(p2p.Msg(0))
    assert raised.value.by_remote


def test_first_reason_counts(nodes: Nodes) -> None:
    _server, remote, talk = joined(nodes)
    talk.peer.disconnect(p2p.DiscReason.USELESS_PEER)
    talk.peer.disconnect(p2p.DiscReason.REQUESTED)
    talk.end()
    assert remote.ending() is p2p.DiscReason.USELESS_PEER


@pytest.mark.parametrize("reason", [-1, "quitting", None])
def test_reason_that_is_no_number_is_refused(nodes: Nodes, reason: Any) -> None:
    here, _there = nodes.pair()
    with pytest.raises(p2p.errors.ArgumentError, match="^reason: wanted"):
        here.peer.disconnect(reason)
    assert here.server.peer_count == 1


def test_waiting_writer_wakes_when_the_peer_leaves(nodes: Nodes) -> None:
    _server, remote, talk = joined(nodes)
    errors: list[p2p.PeerDisconnected] = []

    def write() -> None:
        try:
            while True:
                talk.rw.write_msg(p2p.Msg(0, bytes(2**20)))
        except p2p.PeerDisconnected as error:
            errors.append(error)

    thread = in_thread(write)
    eventually(lambda: bool(talk.rw._outbox._writers))
    remote.sock.close()
    thread.join(PATIENCE_S)
    assert len(errors) == 1 and errors[0].by_remote


def test_peer_that_has_left_still_tells_what_it_was(nodes: Nodes) -> None:
    server, remote, talk = joined(nodes, {"name": "gone"})
    events = server.subscribe_events()
    remote.sock.close()
    talk.end()
    assert await_event(events, "drop").peer == talk.peer.id
    assert talk.peer.info()["name"] == talk.peer.name == "gone"
    assert server.peers == []
    talk.peer.disconnect()


def test_version_4_peer_is_served_without_compression(nodes: Nodes) -> None:
    _server, remote, talk = joined(nodes, {"version": 4})
    talk.rw.write_msg(p2p.Msg(1, bytes(1000)))
    assert remote.next_message() == (1, bytes(1000))
    remote.send_payload(2, b"\xc0")
    assert talk.read() == p2p.Msg(2, b"\xc0")
    assert isinstance(remote, Remote) and not remote.machine.compresses


#: Bytes of the largest frame; a code below 112 of the first protocol takes one of them.
LARGEST = 2**24 - 1


@pytest.mark.slow
def test_largest_message_of_a_version_4_peer_passes_both_ways(nodes: Nodes) -> None:
    _server, remote, talk = joined(nodes, {"version": 4})
    payload = bytes(LARGEST - 1)
    with pytest.raises(p2p.errors.MessageTooLarge):
        talk.rw.write_msg(p2p.Msg(1, bytes(LARGEST)))
    writer = in_thread(lambda: talk.rw.write_msg(p2p.Msg(1, payload)))
    assert remote.next_message() == (1, payload)
    writer.join(PATIENCE_S)
    remote.send_payload(2, payload)
    assert talk.read() == p2p.Msg(2, payload)


def test_largest_compressed_message_passes_both_ways(nodes: Nodes) -> None:
    here, there = nodes.pair()
    for one, other in ((here, there), (there, here)):
        with pytest.raises(p2p.errors.MessageTooLarge):
            one.rw.write_msg(p2p.Msg(1, bytes(LARGEST + 1)))
        one.rw.write_msg(p2p.Msg(1, bytes(LARGEST)))
        assert other.read() == p2p.Msg(1, bytes(LARGEST))


@pytest.mark.parametrize("code", [1.0, "1", None, b"1"], ids=repr)
def test_code_that_is_no_int_is_the_writer_s_error_and_harms_nobody(
    nodes: Nodes, code: Any
) -> None:
    _server, remote, talk = joined(nodes)
    with pytest.raises(TypeError):
        talk.rw.write_msg(p2p.Msg(code))
    talk.rw.write_msg(p2p.Msg(True))
    assert remote.next_message() == (1, b"")
