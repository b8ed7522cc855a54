"""Faults happen at the message they were asked for, and at no other."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial

import pytest

import p2p
from p2p import testing
from p2p.testing import Fault, FaultyReadWriter

R = p2p.DiscReason
Ends = tuple[p2p.MsgReadWriter, p2p.MsgReadWriter]


@pytest.fixture
def pipe() -> Iterator[Ends]:
    ours, theirs = testing.msg_pipe()
    yield ours, theirs
    ours.close()


def read_all(rw: p2p.MsgReadWriter, count: int) -> list[str]:
    return [rw.read_msg(timeout=0).payload.decode() for _ in range(count)]


def write_all(rw: p2p.MsgReadWriter, *payloads: str) -> None:
    for payload in payloads:
        rw.write_msg(p2p.Msg(0, payload.encode()))


CHANGES: list[tuple[dict[int, Fault], list[str]]] = [
    ({}, ["a1", "b2", "c3"]),
    ({2: testing.swap()}, ["a1", "c3", "b2"]),
    ({1: testing.swap(), 2: testing.swap()}, ["c3", "a1", "b2"]),
    ({3: testing.truncate(1)}, ["a1", "b2", "c"]),
    ({1: testing.delay(0)}, ["a1", "b2", "c3"]),
]


@pytest.mark.parametrize("faults, arrived", CHANGES)
def test_messages_written_and_read_change_alike(
    pipe: Ends, faults: dict[int, Fault], arrived: list[str]
) -> None:
    ours, theirs = pipe
    write_all(FaultyReadWriter(ours, writes=faults), "a1", "b2", "c3")
    assert read_all(theirs, 3) == arrived
    write_all(ours, "a1", "b2", "c3")
    assert read_all(FaultyReadWriter(theirs, reads=faults), 3) == arrived


def test_corrupt_message_differs_in_one_byte(pipe: Ends) -> None:
    ours, theirs = pipe
    faulty = FaultyReadWriter(theirs, reads={1: testing.corrupt(), 2: testing.corrupt(-1)})
    for payload in (b"\x01\x02", b"\x01\x02", b"\x01\x02"):
        ours.write_msg(p2p.Msg(0, payload))
    payloads = [faulty.read_msg(timeout=0).payload for _ in range(3)]
    assert payloads == [b"\xfe\x02", b"\x01\xfd", b"\x01\x02"]


def test_corrupt_message_without_payload_gets_one(pipe: Ends) -> None:
    ours, theirs = pipe
    ours.write_msg(p2p.Msg(5))
    msg = FaultyReadWriter(theirs, reads={1: testing.corrupt()}).read_msg(timeout=0)
    assert (msg.code, msg.payload) == (5, b"\xff")


def test_failure_takes_the_place_of_a_message(pipe: Ends) -> None:
    ours, theirs = pipe
    faulty = FaultyReadWriter(ours, writes={2: testing.fail(OSError("broken"))})
    write_all(faulty, "a")
    with pytest.raises(OSError, match="broken"):
        write_all(faulty, "b")
    write_all(faulty, "c")
    assert read_all(theirs, 2) == ["a", "c"]


def test_disconnect_ends_both_sides(pipe: Ends) -> None:
    ours, theirs = pipe
    faulty = FaultyReadWriter(theirs, reads={2: testing.disconnect(R.TOO_MANY_PEERS)})
    write_all(ours, "a", "b")
    assert read_all(faulty, 1) == ["a"]
    for rw, by_remote in ((faulty, False), (ours, True)):
        with pytest.raises(p2p.PeerDisconnected) as caught:
            rw.read_msg(timeout=0)
        assert (caught.value.reason, caught.value.by_remote) == (R.TOO_MANY_PEERS, by_remote)
    assert faulty.is_closed


def test_message_waits_for_an_event(pipe: Ends) -> None:
    ours, theirs = pipe
    event = threading.Event()
    faulty = FaultyReadWriter(ours, writes={1: testing.wait_for(event)})
    writer = threading.Thread(target=write_all, args=(faulty, "a"))
    writer.start()
    with pytest.raises(p2p.Timeout):
        theirs.read_msg(timeout=0)
    event.set()
    assert theirs.read_msg(timeout=testing.PATIENCE_S).payload == b"a"
    writer.join()


def test_held_message_is_not_there_in_time(pipe: Ends) -> None:
    ours, theirs = pipe
    write_all(ours, "a")
    faulty = FaultyReadWriter(theirs, reads={1: testing.swap()})
    with pytest.raises(p2p.Timeout):
        faulty.read_msg(timeout=0)
    write_all(ours, "b")
    assert read_all(faulty, 2) == ["b", "a"]


def test_handler_gets_the_faulty_read_writer() -> None:
    def run(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> str:
        assert rw.connection_id == peer.connection_id
        return rw.read_msg().decode(str)

    protocol = p2p.Protocol("test", 1, 1, run)
    faulty = partial(FaultyReadWriter, reads={1: testing.truncate(1)})
    with testing.run_handler(protocol, wrap=faulty) as remote:
        remote.send(0, "foo")
        remote.expect_end(R.PROTOCOL_ERROR)


@pytest.mark.parametrize("number", [0, -1, True, "1"])
def test_number_of_no_message_is_refused(pipe: Ends, number: int) -> None:
    with pytest.raises(p2p.ArgumentError, match="from 1 up"):
        FaultyReadWriter(pipe[0], reads={number: testing.swap()})
