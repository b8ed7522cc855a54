"""Recordings against handlers: the same one, a changed one, one that fails or hangs."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

import p2p
from p2p.capture import Recorded, Recording, RecordingReadWriter
from p2p.testing import Difference, replay
from tests.kit.nodes import Nodes
from tests.kit.waiting import PATIENCE_S

SUM = p2p.Protocol("sum", 1, 4)


def add(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
    """Answer each number with the sum so far; leave at 100."""
    total = 0
    for msg in rw:
        total += msg.decode(int)
        rw.send(1, total)
        if total >= 100:
            return


def recorded(*said: tuple[bool, int, int], end: Recorded | None = None) -> Recording:
    entries = [
        Recorded(float(at), from_peer, p2p.Msg(code, p2p.rlp.encode(value)))
        for at, (from_peer, code, value) in enumerate(said)
    ]
    return Recording("sum", 1, 4, "a peer", (*entries, *([end] if end else [])))


TALK = recorded((True, 0, 5), (False, 1, 5), (True, 0, 7), (False, 1, 12))
LEFT = Recorded(9.0, True, None, p2p.DiscReason.USELESS_PEER)


@pytest.mark.parametrize("end", [None, LEFT])
def test_same_handler_says_the_same(end: Recorded | None) -> None:
    recording = recorded((True, 0, 5), (False, 1, 5), (True, 0, 7), (False, 1, 12), end=end)
    result = replay(recording, add)
    assert result.is_same and len(result.written) == 2


def test_end_of_the_handler_is_awaited() -> None:
    ours = Recorded(9.0, False, None, p2p.DiscReason.QUITTING)
    assert replay(recorded((True, 0, 100), (False, 1, 100), end=ours), add).is_same


def test_message_after_the_recorded_end_is_a_difference() -> None:
    def talk(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        rw.send(2, 1)

    ours = Recorded(9.0, False, None, p2p.DiscReason.QUITTING)
    (difference,) = replay(recorded(end=ours), talk).differences
    assert difference == Difference(0, None, p2p.Msg(2, b"\x01"))


def test_changed_handler_shows_differences() -> None:
    def double(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        for msg in rw:
            rw.send(1, 2 * msg.decode(int))

    result = replay(TALK, double)
    assert not result.is_same and result.error is None
    assert result.differences == (
        Difference(0, p2p.Msg(1, b"\x05"), p2p.Msg(1, b"\x0a")),
        Difference(1, p2p.Msg(1, b"\x0c"), p2p.Msg(1, b"\x0e")),
    )


def test_handler_that_fails_is_told_with_its_error() -> None:
    class Mistake(Exception):
        """Of the handler."""

    def fail(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        rw.read_msg(PATIENCE_S)
        raise Mistake

    result = replay(TALK, fail)
    assert isinstance(result.error, Mistake) and not result.is_same
    assert [difference.written for difference in result.differences] == [None, None]


def test_handler_may_fail_by_an_assertion() -> None:
    def fail(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        raise AssertionError("mine")

    assert str(replay(TALK, fail).error) == "mine"


def test_handler_that_says_less_ends_the_replay() -> None:
    def listen(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        for _ in rw:
            pass

    result = replay(TALK, listen, timeout=0.05)
    assert [one.written for one in result.differences] == [None, None] and result.error is None


def test_handler_that_does_not_end_is_named_with_its_line() -> None:
    def hang(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        peer.log.info("here")
        released.wait(PATIENCE_S)

    released = threading.Event()
    with pytest.raises(AssertionError, match="has not returned within .*test_replay.py"):
        try:
            replay(recorded(), hang, timeout=0.05)
        finally:
            released.set()
    for thread in threading.enumerate():
        if thread.name == "p2p-testing-sum":
            thread.join(PATIENCE_S)


def test_conversation_of_servers_can_be_replayed(nodes: Nodes, tmp_path: Path) -> None:
    path = tmp_path / "talk.jsonl"
    with path.open("w", encoding="utf-8") as file:

        def record(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
            add(peer, RecordingReadWriter(rw, file, SUM, peer=peer.name))

        server = nodes.start(protocols=[p2p.Protocol("sum", 1, 4, record)])
        with p2p.connect(server.self, name="sum", version=1, length=4) as rw:
            for number in (1, 2, 97):
                rw.send(0, number)
                rw.read_msg(PATIENCE_S)
        server.stop()
    recording = Recording.load(path)
    assert len(recording.entries) >= 6
    assert replay(recording, add).is_same


def test_what_is_no_recording_is_refused() -> None:
    with pytest.raises(p2p.ArgumentError, match="^recording: wanted"):
        replay("path", add)  # type: ignore[arg-type]
