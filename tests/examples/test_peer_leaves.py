"""The how-to "My peer just leaves": its table is what events and log say, and its programs run."""

from __future__ import annotations

import logging
import re
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import p2p
import p2p.testing
from p2p.codec import encode
from p2p.discover.v4 import requests as exchange
from tests.kit import inspect
from tests.kit.nodes import HOST, Nodes, Talk, await_event, closed_port
from tests.kit.remote import Remote
from tests.kit.waiting import PATIENCE_S, eventually

TEXT = (Path(__file__).resolve().parents[2] / "docs/howto/peer-leaves.md").read_text("utf-8")
SOURCES = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
#: The text of the event of each row; "..." stands for anything.
ROWS = re.findall(r"^\| `([^`]+)` \|", TEXT, re.MULTILINE)
PLACED = " (at ...)"


def as_pattern(text: str) -> str:
    return re.escape(text).replace(re.escape("..."), ".+")


class Case:
    def __init__(
        self, server: p2p.Server, clock: p2p.testing.SimulatedClock, remote: Remote, talk: Talk
    ):
        self.server = server
        self.clock = clock
        self.remote = remote
        self.talk = talk

    def run(self, handler: Callable[[p2p.MsgReadWriter], object]) -> None:
        """Let the handler do this, and end as it ends."""
        self.remote.send_payload(3)
        try:
            handler(self.talk.rw)
        except Exception as error:
            self.talk.fail(error)
        self.remote.ending()

    def leave(self, reason: int) -> None:
        self.remote.send_disconnect(reason)
        self.remote.sock.close()


def be_silent(case: Case) -> None:
    inspect.settle(case.server)
    case.clock.advance(30.0)
    case.remote.ending()


def disconnect(case: Case) -> None:
    case.talk.peer.disconnect()
    case.remote.ending()


def end(case: Case) -> None:
    case.talk.end()
    case.remote.ending()


def refuse(_rw: p2p.MsgReadWriter) -> None:
    raise p2p.Disconnect(p2p.DiscReason.USELESS_PEER, "another chain")


def send_beyond_length(case: Case) -> None:
    case.remote.send_payload(8)
    case.remote.ending()


BREACH, FAILURE = "breach of protocol: ", "subprotocol error: "
BY = "handler of ... was ended by "
CASES: dict[str, Callable[[Case], object]] = {
    f"{BREACH}{BY}DecodeError in message ...: ...{PLACED}": lambda case: case.run(
        lambda rw: rw.read_msg(PATIENCE_S).decode(str)
    ),
    f"{BREACH}{BY}UnexpectedMessage in message ...: ...{PLACED}": lambda case: case.run(
        lambda rw: p2p.expect_msg(rw, 4, timeout=PATIENCE_S)
    ),
    f"{BREACH}message code ... belongs to no protocol": send_beyond_length,
    f"{FAILURE}{BY}Timeout: no message within ... s{PLACED}": lambda case: case.run(
        lambda rw: [rw.read_msg(PATIENCE_S), rw.read_msg(timeout=0)]
    ),
    f"{FAILURE}{BY}...: ...{PLACED}": lambda case: case.run(lambda rw: 1 // 0),
    f"useless peer: {BY}Disconnect: ...{PLACED}": lambda case: case.run(refuse),
    "client quitting (local)": end,
    "disconnect requested (local)": disconnect,
    "breach of protocol (remote)": lambda case: case.leave(2),
    "subprotocol error (remote)": lambda case: case.leave(16),
    "useless peer (remote)": lambda case: case.leave(3),
    "too many peers (remote)": lambda case: case.leave(4),
    "client quitting (remote)": lambda case: case.leave(8),
    "network error (remote)": lambda case: case.remote.sock.close(),
    "read timeout: nothing received for 30 s": be_silent,
}
#: Shown in tests/hostile/test_slow.py.
ELSEWHERE = ["network error: remote has not read for 20 s"]


def test_each_row_is_shown() -> None:
    assert ROWS == [*CASES, *ELSEWHERE]


@pytest.fixture
def case(nodes: Nodes) -> Case:
    clock = p2p.testing.SimulatedClock()
    talks = nodes.talks()
    server = nodes.start(protocols=[talks.protocol()], clock=clock)
    remote = nodes.remote(server).open()
    return Case(server, clock, remote, talks.next())


@pytest.mark.parametrize("event", CASES)
def test_row_is_what_event_and_log_say(
    case: Case, caplog: pytest.LogCaptureFixture, event: str
) -> None:
    caplog.set_level(logging.DEBUG, "p2p")
    events = case.server.subscribe_events()
    CASES[event](case)
    case.remote.sock.close()
    case.talk.end()
    dropped = await_event(events, "drop").error
    assert re.fullmatch(as_pattern(event), dropped)
    (row,) = [row for row in TEXT.splitlines() if row.startswith(f"| `{event}` |")]
    log = row.split(" | ")[1]
    lines = [r for r in caplog.records if r.name == "p2p.peer"]
    if log == "–":
        assert lines == []
        return
    (line,) = lines
    said = re.match(r"`([^`]*)`", log)
    wanted = as_pattern(said[1]) if said else re.escape(dropped.partition(": ")[2])
    assert re.search(wanted, line.getMessage())
    assert line.levelname in log
    assert bool(line.exc_info) == ("traceback" in log)


# the programs


def test_events_of_the_how_to_tell_why(
    nodes: Nodes, capsys: pytest.CaptureFixture[str]
) -> None:
    talks = nodes.talks()
    server = nodes.start(protocols=[talks.protocol()])
    watcher = threading.Thread(target=lambda: exec(SOURCES[0], {"server": server}))
    watcher.start()
    eventually(lambda: inspect.events(server).has_subscriptions)
    remote = nodes.remote(server).open()
    talks.next().end()
    remote.ending()
    remote.sock.close()
    server.stop()
    watcher.join()
    assert capsys.readouterr().out == f"{remote.node.id.short} client quitting (local)\n"


@contextmanager
def logging_as_before() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in ("", "p2p.peer", "p2p.server")]
    levels = [logger.level for logger in loggers]
    handlers = list(loggers[0].handlers)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        loggers[0].handlers[:] = handlers


def test_settings_of_the_log_show_the_end_of_every_peer(
    nodes: Nodes, caplog: pytest.LogCaptureFixture
) -> None:
    with logging_as_before():
        exec(SOURCES[1], {})
        talks = nodes.talks()
        server = nodes.start(protocols=[talks.protocol()])
        remote = nodes.remote(server).open()
        talks.next().fail(p2p.Disconnect())
        remote.ending()
        remote.sock.close()
        server.stop()
    assert "was ended by Disconnect: disconnect requested" in caplog.text
    assert f"removed peer {remote.node.id.short}" in caplog.text


def test_handler_that_catches_keeps_its_peer(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "REPLY_TIMEOUT_S", 0.05)
    port = closed_port()
    node = p2p.Node.from_parts(p2p.generate_key().public_key, HOST, port, port)
    names: dict[str, Any] = {"p2p": p2p, "node": node}
    exec(SOURCES[2], names)
    protocol = p2p.Protocol("test", 1, 8, names["run"])
    names["server"] = server = nodes.start(protocols=[protocol], no_discovery=False)
    remote = nodes.remote(server).open()
    for _ in range(2):
        remote.send_payload(0)
        assert remote.next_message() == (0, encode("it is down"))


def test_message_that_was_unpacked_is_the_peer_s(nodes: Nodes) -> None:
    names: dict[str, Any] = {"p2p": p2p, "zlib": zlib}
    exec(SOURCES[3], names)

    def run(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        names["unpacked"](rw.read_msg()).decode(str)

    server = nodes.start(protocols=[p2p.Protocol("test", 1, 8, run)])
    remote = nodes.remote(server).open()
    remote.send_payload(0, zlib.compress(b"\xc0"))
    assert remote.ending() is p2p.DiscReason.PROTOCOL_ERROR
