"""Counters of a connection, and observers of all connections of a server, over real sockets."""

from __future__ import annotations

import logging
from typing import Any, cast

import pytest

import p2p
from p2p.observe import NewConnection, Observer
from p2p.peers.traffic import MAX_CODES, CapCounters, PeerCounters, Totals, Traffic
from p2p.rlpx import Cap, ConnectionObserver, MessagesReceived, SharedCap
from tests.kit.nodes import Nodes, Talk, Talks
from tests.kit.observers import Failing, methods_of
from tests.kit.waiting import PATIENCE_S
from tests.rlpx.recording import Recording, replay

ALPHA, BETA = Cap("alpha", 1), Cap("beta", 2)
SHARED = [SharedCap(ALPHA, 16, 3), SharedCap(BETA, 19, 5)]
#: Payloads that the dialing end sends, and those it receives.
THERE = {ALPHA: [b"x" * size for size in (0, 1, 300)], BETA: [b"y" * 20_000]}
BACK = {ALPHA: [b"z" * 70], BETA: []}


def new_traffic(totals: Totals | None = None) -> Traffic:
    traffic = Traffic(totals or Totals([ALPHA, BETA]))
    traffic.open(SHARED)
    return traffic


def test_messages_are_counted_by_capability() -> None:
    traffic = new_traffic()
    traffic.count_out([(16, b"1"), (18, b"22"), (19, b""), (23, b"4444"), (17, b"55555")])
    traffic.count_out([])
    traffic.count_out([(20, b"666666")])
    traffic.count_in(MessagesReceived(1, [(0, b"1", 0.0), (4, b"22", 0.0)]))
    counters = traffic.counters()
    assert counters.by_cap == {ALPHA: CapCounters(0, 3, 0, 8), BETA: CapCounters(2, 3, 3, 10)}
    assert (counters.messages_in, counters.messages_out) == (2, 6)


def test_messages_of_all_connections_are_counted_by_code() -> None:
    totals = Totals([ALPHA, BETA])
    one, other = new_traffic(totals), new_traffic(totals)
    one.count_out([(16, b"1"), (16, b"22"), (18, b""), (16, b"333"), (19, b"4444")])
    other.count_out([(18, b"55555")])
    one.count_in(MessagesReceived(1, [(4, b"1", 0.0), (4, b"22", 0.0), (0, b"333", 0.0)]))
    other.count_in(MessagesReceived(1, [(4, b"4444", 0.0)]))
    assert totals.sent == {ALPHA: {0: [3, 6], 2: [2, 5]}, BETA: {0: [1, 4]}}
    assert totals.received == {ALPHA: {}, BETA: {4: [3, 7], 0: [1, 3]}}


def test_large_codes_share_one_count() -> None:
    totals = Totals([ALPHA])
    traffic = Traffic(totals)
    traffic.open([SharedCap(ALPHA, 16, 2**32)])
    codes = [MAX_CODES - 1, MAX_CODES, MAX_CODES + 1, 2**32 - 1]
    for _ in range(2):
        traffic.count_in(MessagesReceived(0, [(code, b"xx", 0.0) for code in codes]))
    traffic.count_out([(16 + code, b"x") for code in codes])
    assert totals.received == {ALPHA: {MAX_CODES - 1: [2, 4], MAX_CODES: [6, 12]}}
    assert totals.sent == {ALPHA: {MAX_CODES - 1: [1, 1], MAX_CODES: [3, 3]}}


def test_counters_are_those_of_one_moment() -> None:
    totals = Totals()
    traffic, other = Traffic(totals), Traffic(totals)
    before = traffic.counters()
    traffic.received(5)
    other.received(7)
    traffic.sent(2)
    assert before == PeerCounters(0, 0, {})
    assert (traffic.counters().bytes_in, traffic.counters().bytes_out) == (5, 2)
    assert (totals.bytes_in, totals.bytes_out) == (12, 2)


class Conversation(Observer):
    """Two servers that have sent each other THERE and BACK, and parted."""

    def __init__(self, nodes: Nodes) -> None:
        self.recordings: list[Any] = []
        talks = [{cap: nodes.talks() for cap in (ALPHA, BETA)} for _ in range(2)]
        here, there = (self.new(nodes, own) for own in talks)
        there.start()
        here.start()
        here.connect(there.self, PATIENCE_S)
        ours, theirs = ({cap: own[cap].next() for cap in own} for own in talks)
        for cap in (ALPHA, BETA):
            exchange(ours[cap], theirs[cap], THERE[cap])
            exchange(theirs[cap], ours[cap], BACK[cap])
        self.here, self.there = ours[ALPHA].peer, theirs[ALPHA].peer
        self.here.disconnect()
        self.here.wait_closed(PATIENCE_S)
        self.there.wait_closed(PATIENCE_S)
        for server in (here, there):
            server.stop(0.0)

    def new(self, nodes: Nodes, talks: dict[Cap, Talks]) -> p2p.Server:
        lengths = {shared.cap: shared.length for shared in SHARED}
        protocols = [own.protocol(*cap, lengths[cap]) for cap, own in talks.items()]
        return nodes.new(protocols=protocols, observer=self)

    def connection(self, new: NewConnection) -> ConnectionObserver:
        self.recordings.append(Recording())
        return cast(ConnectionObserver, self.recordings[-1])


class FailingConversation(Conversation):
    """The same with observers that fail."""

    def __init__(self, nodes: Nodes, fails: str) -> None:
        self.fails = fails
        super().__init__(nodes)

    def connection(self, new: NewConnection) -> ConnectionObserver:
        if self.fails == "connection":
            raise Mistake
        self.recordings.append(Failing(self.fails, Mistake()))
        return cast(ConnectionObserver, self.recordings[-1])


class Mistake(BaseException):
    """Not even an Exception."""


def exchange(sender: Talk, receiver: Talk, payloads: list[bytes]) -> None:
    for payload in payloads:
        sender.rw.write_msg(p2p.Msg(1, payload))
    for payload in payloads:
        assert receiver.read().payload == payload


@pytest.fixture
def conversation(nodes: Nodes) -> Conversation:
    return Conversation(nodes)


def test_counters_of_a_peer_are_what_was_sent(conversation: Conversation) -> None:
    one, other = conversation.here.counters, conversation.there.counters
    for cap in (ALPHA, BETA):
        there, back = sum(map(len, THERE[cap])), sum(map(len, BACK[cap]))
        counts = len(BACK[cap]), len(THERE[cap])
        assert one.by_cap[cap] == CapCounters(*counts, back, there)
        assert other.by_cap[cap] == CapCounters(*counts[::-1], there, back)
    assert (one.messages_in, one.messages_out) == (1, 4)
    assert (one.bytes_in, one.bytes_out) == (other.bytes_out, other.bytes_in)
    for recording in conversation.recordings:
        size_in = sum(len(data) for data, _now in recording.told("data_in"))
        size_out = sum(map(len, recording.joined("data_out")))
        dialed = recording.told("setup")[0].remote is not None
        counters: Any = one if dialed else other
        assert (counters.bytes_in, counters.bytes_out) == (size_in, size_out)


def test_recordings_of_connections_of_servers_replay(conversation: Conversation) -> None:
    assert len(conversation.recordings) == 2
    for recording in conversation.recordings:
        assert replay(recording).calls == recording.calls
        assert recording.told("command")[-1] == "drop_buffers"


@pytest.mark.parametrize("fails", ["connection", *methods_of(ConnectionObserver)])
def test_observer_that_fails_harms_no_connection(
    nodes: Nodes, fails: str, caplog: pytest.LogCaptureFixture
) -> None:
    conversation = FailingConversation(nodes, fails)
    assert conversation.here.counters.messages_out == 4
    lines = [line for line in caplog.records if line.levelno >= logging.ERROR]
    assert [line.name for line in lines] == ["p2p.server"] * 2
    for recording in conversation.recordings:
        assert [name for name, _ in recording.calls].index(fails) == len(recording.calls) - 1
