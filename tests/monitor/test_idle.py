"""While no page is open, connections are not observed for it; recorders get everything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import p2p
from p2p.messages import protocol
from p2p.monitor import front, observers
from p2p.monitor.sampling import ConnectionSampler, Sampler
from p2p.netutil import Endpoint
from tests.kit import inspect
from tests.kit.chat import CHAT, Data
from tests.kit.monitorpage import Page
from tests.kit.nodes import HOST, Nodes
from tests.kit.waiting import PATIENCE_S, eventually
from tests.rlpx.recording import Recording

ADDRESS = f"{HOST}:0"
PageOf = Callable[[p2p.Server], Page]


class Counted(ConnectionSampler):
    """The page's observer of a connection, with the number of batches that it was told of."""

    def __init__(self, sampler: Sampler, addr: Endpoint) -> None:
        super().__init__(sampler, addr)
        self.batches = 0
        made.append(self)

    def events(self, events: object) -> None:
        self.batches += 1
        super().events(events)  # type: ignore[arg-type]

    def command(self, name: str, *arguments: object) -> None:
        self.batches += 1
        super().command(name, *arguments)


made: list[Counted] = []


@pytest.fixture(autouse=True)
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(observers, "ConnectionSampler", Counted)
    yield
    made.clear()


class Recorder(p2p.observe.Observer):
    """Observer that records each connection."""

    def __init__(self) -> None:
        self.recordings: list[Recording] = []

    def connection(self, new: p2p.observe.NewConnection) -> Recording:
        self.recordings.append(Recording())
        return self.recordings[-1]


class Talking:
    """A connection to a server with a page, and a message forth and back."""

    def __init__(self, nodes: Nodes, **options: Any) -> None:
        self.server = nodes.start(
            monitor_addr=ADDRESS, protocols=[protocol(CHAT)], **options
        )
        other = nodes.start(protocols=[protocol(CHAT)])
        peer = self.server.connect(other.self, PATIENCE_S)
        self._ours = peer.open("chat")
        self._theirs = other.accept(PATIENCE_S).open("chat")

    def say(self, data: bytes) -> None:
        """Have a message pass in each direction."""
        msg = p2p.Msg(*CHAT.encode(Data(data)))
        for end, other in ((self._ours, self._theirs), (self._theirs, self._ours)):
            end.write_msg(msg)
            assert other.read_msg().payload == msg.payload
        inspect.settle(self.server)

    def await_idle(self, is_idle: bool) -> None:
        """Wait until the server has noted that a page is open, or that none is."""
        sampler = inspect.sampler(self.server)
        eventually(lambda: (sampler.looks <= 0) is is_idle)
        inspect.settle(self.server)


def test_connection_is_observed_while_a_page_is_open(nodes: Nodes) -> None:
    talking = Talking(nodes)
    (connection,) = made
    batches = connection.batches
    talking.say(b"1")
    assert connection.batches == batches > 0  # those of the handshake
    with Page(talking.server.monitor_url) as page:
        talking.say(b"2")
        rows = [page.message(cap="chat/1", direction=direction) for direction in ("in", "out")]
        assert {row["fields"][0][1] for row in rows} == {b"2".hex()}
        assert connection.batches > batches
    talking.await_idle(True)
    batches = connection.batches
    talking.say(b"3")
    assert connection.batches == batches


def test_key_log_beside_a_page_wants_nothing_of_open_connections(
    nodes: Nodes, tmp_path: Path
) -> None:
    talking = Talking(nodes, key_log=tmp_path / "keys")
    batches = made[0].batches
    talking.say(b"11")
    assert made[0].batches == batches


def test_connection_made_while_a_page_is_open_is_left_out_after_it(
    nodes: Nodes, page_of: PageOf
) -> None:
    talking = Talking(nodes)
    page = page_of(talking.server)
    other = nodes.start(protocols=[protocol(CHAT)])
    ours = talking.server.connect(other.self, PATIENCE_S).open("chat")
    ours.write_msg(p2p.Msg(*CHAT.encode(Data(b"4"))))
    page.message(cap="chat/1", direction="out", id=str(other.self.id))
    page.close()
    talking.await_idle(True)
    batches = made[-1].batches
    ours.write_msg(p2p.Msg(*CHAT.encode(Data(b"5"))))
    inspect.settle(talking.server)
    assert made[-1].batches == batches


@pytest.mark.parametrize("wish", [{"type": "pause"}, {"type": "watch", "samples_per_s": 0}])
def test_page_that_wants_no_samples_counts_as_none(
    nodes: Nodes, page_of: PageOf, wish: dict[str, object]
) -> None:
    talking = Talking(nodes)
    page = page_of(talking.server)
    talking.await_idle(False)
    page.send(**wish)
    talking.await_idle(True)
    batches = made[0].batches
    talking.say(b"6")
    assert made[0].batches == batches


def test_connection_is_left_out_when_a_period_had_its_looks(
    nodes: Nodes, page_of: PageOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(front, "TICK_S", PATIENCE_S)  # the first period does not end
    talking = Talking(nodes)
    page_of(talking.server)
    talking.await_idle(False)
    batches = made[0].batches
    sampler = inspect.sampler(talking.server)
    while sampler.looks > 0:
        talking.say(b"12")
    inspect.settle(talking.server)
    assert made[0].batches > batches
    batches = made[0].batches
    talking.say(b"13")
    assert made[0].batches == batches


def test_one_of_two_pages_is_enough(nodes: Nodes) -> None:
    talking = Talking(nodes)
    with ExitStack() as pages:
        first, second = (
            pages.enter_context(Page(talking.server.monitor_url)) for _ in range(2)
        )
        first.close()
        talking.say(b"7")
        second.message(cap="chat/1", direction="in")
        talking.await_idle(False)


def test_recorder_beside_a_page_gets_everything_from_the_first_byte(nodes: Nodes) -> None:
    recorder = Recorder()
    talking = Talking(nodes, observer=recorder)
    talking.say(b"8")  # before any page
    with Page(talking.server.monitor_url) as page:
        talking.say(b"9")
        page.message(cap="chat/1", direction="in")
    talking.await_idle(True)
    talking.say(b"10")
    (recording,) = recorder.recordings
    payloads = [CHAT.encode(Data(data))[1] for data in (b"8", b"9", b"10")]
    assert recording.calls[0][0] == "setup"
    assert [payload for _, _, payload, _ in recording.messages()] == payloads
    commands = [command for command in recording.told("command") if command[0] == "send_messages"]
    assert [payload for _, batch in commands for _, payload in batch] == payloads
