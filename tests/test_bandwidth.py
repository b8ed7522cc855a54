"""Limits on the bandwidth of a server, over real sockets."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

import p2p
import p2p.testing
from p2p.net.shares import BURST_S
from tests.kit import inspect
from tests.kit.nodes import Nodes, Talk
from tests.kit.waiting import PATIENCE_S, eventually

RATE = 1_000_000
OPTIONS = ("max_upload", "max_download", "max_upload_per_peer", "max_download_per_peer")


def payloads(count: int, size: int) -> list[bytes]:
    """Different payloads, which snappy cannot make smaller."""
    return [hashlib.shake_256(bytes([number])).digest(size) for number in range(count)]


@pytest.mark.parametrize("option", OPTIONS)
def test_all_messages_arrive_in_order_after_waits(nodes: Nodes, option: str) -> None:
    """In real time: they are twice as many bytes as may pass at once."""
    talk, other = nodes.pair(**{option: RATE})
    sender, reader = (talk, other) if "upload" in option else (other, talk)
    sent = payloads(50, 10_000)
    assert sum(map(len, sent)) == 2 * RATE * BURST_S
    for payload in sent:
        sender.rw.write_msg(p2p.Msg(1, payload))
    assert [reader.read().payload for _ in sent] == sent
    channel = inspect.session_with(talk.server, talk.peer.id).channel  # type: ignore[attr-defined]
    took_turns = channel.take_write_wait if "upload" in option else channel.take_read_wait
    assert inspect.on_io(talk.server, took_turns)  # type: ignore[attr-defined]


class Slow:
    """A server on a clock of its own, with a low limit, and a remote that is a usual server."""

    STEP_S = 0.05

    def __init__(self, nodes: Nodes, **options: Any) -> None:
        self.clock = p2p.testing.SimulatedClock()
        self.talk, self.other = nodes.pair(clock=self.clock, **options)
        self.server: p2p.Server = self.talk.server  # type: ignore[attr-defined]
        self.channel = inspect.session_with(self.server, self.talk.peer.id).channel

    def waits(self) -> bool:
        """Whether the channel does nothing until the clock moves."""
        flows = [flow for flow in (self.channel._reading, self.channel._writing) if flow]
        return any(flow.is_waiting for flow in flows)

    def pass_time(self, seconds: float, until: Callable[[], bool] = bool) -> None:
        """Move the clock in small steps; at each the channel has its turn, if it waits for one."""
        for _ in range(int(seconds / self.STEP_S)):
            eventually(lambda: inspect.on_io(self.server, self.waits) or until())
            if until():
                return
            self.clock.advance(self.STEP_S)
            inspect.settle(self.server)

    @property
    def unread(self) -> int:
        return int(self.server.metrics["p2p/queue/inbox/test/1"].value)


#: At 5 KB a second it takes 40 s, longer than the time limits of reading and of writing.
LARGE, LOW_RATE = 200_000, 5_000


def test_large_message_is_read_for_long_without_a_timeout(nodes: Nodes) -> None:
    slow = Slow(nodes, max_download=LOW_RATE)
    (payload,) = payloads(1, LARGE)
    slow.other.rw.write_msg(p2p.Msg(1, payload))
    slow.pass_time(35.0)
    assert slow.talk.peer.is_connected and slow.unread == 0
    slow.pass_time(10.0, until=lambda: slow.unread == 1)
    assert slow.talk.read().payload == payload


def test_large_message_is_written_for_long_without_a_timeout(nodes: Nodes) -> None:
    slow = Slow(nodes, max_upload_per_peer=LOW_RATE)
    (payload,) = payloads(1, LARGE)
    slow.talk.rw.write_msg(p2p.Msg(1, payload))
    slow.pass_time(35.0)
    assert slow.talk.peer.is_connected and slow.channel.unsent_bytes > 0
    slow.pass_time(10.0, until=lambda: slow.channel.unsent_bytes == 0)
    assert slow.other.read().payload == payload


def test_remote_that_says_nothing_still_runs_into_the_timeout(nodes: Nodes) -> None:
    slow = Slow(nodes, max_download=10_000, max_upload=10_000)
    other = slow.other.server  # type: ignore[attr-defined]
    session = inspect.session_with(other, slow.server.self.id)
    inspect.on_io(other, session.channel.pause_reading)  # it sends no pong either
    for _ in range(5):
        slow.clock.advance(15.0)
        inspect.settle(slow.server)
    eventually(lambda: not slow.talk.peer.is_connected)
    assert slow.talk.peer.disconnect_reason is not None
    assert slow.talk.peer.disconnect_reason.reason is p2p.DiscReason.READ_TIMEOUT


def test_messages_written_before_the_stop_are_sent_at_once(nodes: Nodes) -> None:
    talks = nodes.talks()
    there = nodes.start(protocols=[talks.protocol()])
    here = nodes.start(protocols=[p2p.Protocol("test", 1, 8)], max_upload=10_000)
    rw = here.connect(there.self, PATIENCE_S).open("test")
    other = talks.next()
    sent = payloads(30, 10_000)
    for payload in sent:
        rw.write_msg(p2p.Msg(1, payload))
    assert here.stop() == []
    assert [other.read().payload for _ in sent] == sent
    with pytest.raises(p2p.PeerDisconnected) as caught:
        other.read()
    assert caught.value.reason is p2p.DiscReason.QUITTING


def test_disconnect_comes_after_the_messages_written_before(nodes: Nodes) -> None:
    talk, other = nodes.pair(max_upload=200_000)
    sent = payloads(10, 10_000)
    for payload in sent:
        talk.rw.write_msg(p2p.Msg(1, payload))
    talk.peer.disconnect(p2p.DiscReason.USELESS_PEER)
    assert [other.read().payload for _ in sent] == sent
    with pytest.raises(p2p.PeerDisconnected) as caught:
        other.read()
    assert caught.value.reason is p2p.DiscReason.USELESS_PEER


def test_peers_share_the_upload_of_a_server(nodes: Nodes) -> None:
    """On simulated time: three peers that all want more than there is get the same."""
    clock = p2p.testing.SimulatedClock()
    talks = nodes.talks()
    server = nodes.start(protocols=[talks.protocol()], clock=clock, max_upload=100_000)
    theirs = [nodes.start() for _ in range(3)]
    for one in theirs:
        one.connect(server.self, PATIENCE_S)
    ends: list[Talk] = [talks.next() for _ in theirs]
    (payload,) = payloads(1, 500_000)
    for end in ends:
        end.rw.write_msg(p2p.Msg(1, payload))
    inspect.settle(server)
    for _ in range(100):
        clock.advance(0.1)
        inspect.settle(server)
        inspect.settle(server)

    def received() -> list[int]:
        return [one.peers[0].counters.bytes_in for one in theirs]

    eventually(lambda: sum(received()) >= 100_000 * 9)
    assert max(received()) - min(received()) <= 100_000 * BURST_S + 10_000
    assert sum(received()) <= 100_000 * (10.1 + BURST_S) + 5_000


def test_handshake_is_not_limited(nodes: Nodes) -> None:
    server = nodes.start(max_upload=1024, max_download=1024, clock=p2p.testing.SimulatedClock())
    for _ in range(5):
        nodes.start().connect(server.self, PATIENCE_S)
    eventually(lambda: server.peer_count == 5)


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("value", [0, 1023, -5, 1.5, "5000", True])
def test_wrong_limit_is_refused(nodes: Nodes, option: str, value: Any) -> None:
    with pytest.raises(p2p.ConfigError, match=f"^{option}: wanted bytes a second"):
        nodes.new(**{option: value})


def test_without_the_options_nothing_is_limited(nodes: Nodes) -> None:
    talk, _ = nodes.pair()
    server = talk.server  # type: ignore[attr-defined]
    session = inspect.session_with(server, talk.peer.id)
    assert session.channel._reading is None and session.channel._writing is None
