"""``p2p record`` and ``p2p replay``: what a node has said, and again."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import p2p
from p2p.capture import Recording
from tests.cli.conftest import Run
from tests.kit.nodes import Nodes

MODULE = """
import p2p
from p2p import messages

@messages.message(1)
class Text:
    text: str

TEXTS = messages.Messages("texts", 1, [Text], length=4)

def quiet(peer, rw):
    for msg in rw:
        TEXTS.decode(msg.code, msg.payload)

def loud(peer, rw):
    for msg in rw:
        rw.write_msg(msg)

def failing(peer, rw):
    raise ValueError("mine")

PROTOCOL = p2p.Protocol("texts", 1, 4, quiet)
NUMBER = 5
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a module."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "recorded_texts.py").write_text(MODULE, encoding="utf-8")
    return tmp_path


@pytest.fixture
def node(nodes: Nodes) -> p2p.Node:
    """A node that says three texts, and leaves."""

    def talk(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        for text in ("one", "two", "\x1b[1m"):
            rw.send_items(1, text)

    return nodes.start(protocols=[p2p.Protocol("texts", 1, 4, talk)]).self


def test_what_a_node_says_is_recorded(run: Run, folder: Path, node: p2p.Node) -> None:
    options = ("--protocol", "recorded_texts:TEXTS")
    result = run("record", node.url, "talk.jsonl", *options)
    assert result.exit_code == 0
    assert result.out.splitlines() == [
        "Text  text=one",
        "Text  text=two",
        "Text  text=\\x1b[1m",
        "3 messages recorded in talk.jsonl",
    ]
    recording = Recording.load("talk.jsonl")
    assert [entry.msg.code for entry in recording.entries if entry.msg] == [1, 1, 1]
    assert recording.entries[-1].end is p2p.DiscReason.QUITTING
    assert recording.peer == "node"


def test_protocol_without_known_messages(run: Run, folder: Path, node: p2p.Node) -> None:
    options = ("--raw", "texts/1", "--length", "4", "--json")
    records = run("record", node.url, "talk.jsonl", *options).records
    assert [record["name"] for record in records] == ["0x01"] * 3
    assert records[0]["payload"] == "0x" + p2p.rlp.encode(["one"]).hex()


def test_recording_ends_after_its_time(run: Run, folder: Path, nodes: Nodes) -> None:
    silent = nodes.start(protocols=[p2p.Protocol("texts", 1, 4)]).self
    options = ("--raw", "texts/1", "--length", "4", "--duration", "1ms")
    result = run("record", silent.url, "talk.jsonl", *options)
    assert (result.exit_code, result.out) == (0, "0 messages recorded in talk.jsonl\n")


@pytest.mark.parametrize(
    "options", [(), ("--raw", "texts/1"), ("--protocol", "eth/69", "--length", "1")]
)
def test_protocol_is_needed_once(run: Run, folder: Path, options: tuple[str, ...]) -> None:
    node = p2p.Node.from_parts(p2p.generate_key().public_key, "127.0.0.1", 1)
    result = run("record", node.url, "talk.jsonl", *options)
    assert result.exit_code == 2 and "give --protocol, or both --raw and --length" in result.err


@pytest.fixture
def recording(run: Run, folder: Path, node: p2p.Node) -> str:
    assert run("record", node.url, "talk.jsonl", "--raw", "texts/1", "--length", "4").exit_code == 0
    return "talk.jsonl"


@pytest.mark.parametrize("handler", ["quiet", "PROTOCOL"])
def test_handler_that_says_the_same(run: Run, recording: str, handler: str) -> None:
    result = run("replay", recording, "--handler", f"recorded_texts:{handler}")
    assert (result.exit_code, result.err) == (0, "")
    assert result.out == "0 messages of the handler, 0 not as recorded\n"


def test_handler_that_fails(run: Run, recording: str) -> None:
    result = run("replay", recording, "--handler", "recorded_texts:failing")
    assert result.exit_code == 1
    assert result.err == "p2p: the handler failed: ValueError: mine\n"


@pytest.mark.parametrize(
    ("handler", "words"),
    [
        ("recorded_texts", "give MODULE:FUNCTION"),
        ("recorded_texts:NUMBER", "is a int, not a handler"),
        ("recorded_texts:none", "recorded_texts:none: "),
    ],
)
def test_what_is_no_handler_is_refused(
    run: Run, folder: Path, handler: str, words: str
) -> None:
    result = run("replay", "talk.jsonl", "--handler", handler)
    assert result.exit_code == 2 and words in result.err


def test_file_that_is_no_recording(run: Run, folder: Path) -> None:
    result = run("replay", "recorded_texts.py", "--handler", "recorded_texts:quiet")
    assert result.exit_code == 2 and "line 1 is none of a recording" in result.err


def test_differences_are_shown(run: Run, folder: Path) -> None:
    lines = [
        '{"p2p-recording": 1, "name": "texts", "version": 1, "length": 4}',
        '{"at": 0, "from": "peer", "code": 1, "payload": "c0"}',
        '{"at": 1, "from": "us", "code": 2, "payload": "c101"}',
    ]
    Path("talk.jsonl").write_text("\n".join(lines), encoding="utf-8")
    result = run("replay", "talk.jsonl", "--handler", "recorded_texts:loud")
    assert result.exit_code == 1
    assert result.out.splitlines()[0] == "message 0: recorded 0x02 0xc101, now 0x01 0xc0"
