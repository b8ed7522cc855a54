"""Recordings: what is written, what is read, and what becomes of a broken file."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis.strategies import binary, integers, lists, text, tuples

import p2p
from p2p.capture import Recorded, Recording, RecordingReadWriter
from p2p.testing import msg_pipe

TEST = p2p.Protocol("test", 3, 8)


def test_recording_has_what_passed_and_the_end(tmp_path: Path) -> None:
    path = tmp_path / "talk.jsonl"
    ours, theirs = msg_pipe(TEST)
    with path.open("w", encoding="utf-8") as file:
        rw = RecordingReadWriter(ours, file, TEST, peer="node\x1b[1m")
        theirs.write_msg(p2p.Msg(16 - 16, b"\x01"))
        first = rw.read_msg(1.0)
        rw.write_msg(p2p.Msg(7, b"answer"))
        theirs.read_msg(1.0)
        theirs.close(p2p.DiscReason.QUITTING)
        with pytest.raises(p2p.PeerDisconnected):
            rw.read_msg(1.0)
        assert rw.is_closed
        rw.close()
    found = Recording.load(path)
    assert (found.name, found.version, found.length) == ("test", 3, 8)
    assert found.peer == "node\\x1b[1m"
    assert [entry.from_peer for entry in found.entries] == [True, False, True]
    assert [entry.msg for entry in found.entries] == [first, p2p.Msg(7, b"answer"), None]
    assert found.entries[-1].end is p2p.DiscReason.QUITTING
    assert [entry.end for entry in found.of_peer()] == [None, p2p.DiscReason.QUITTING]
    times = [entry.at for entry in found.entries]
    assert times == sorted(times) and 0 <= times[0]


def test_end_of_ours_is_recorded_once() -> None:
    file = io.StringIO()
    rw = RecordingReadWriter(msg_pipe(TEST)[0], file, TEST)
    rw.close(p2p.DiscReason.USELESS_PEER)
    rw.close()
    with pytest.raises(p2p.PeerDisconnected):
        rw.read_msg(0.0)
    (line,) = file.getvalue().splitlines()[1:]
    assert {**json.loads(line), "at": 0} == {"at": 0, "from": "us", "end": 3}


def test_message_that_could_not_be_written_is_not_recorded() -> None:
    file = io.StringIO()
    rw = RecordingReadWriter(msg_pipe(TEST)[0], file, TEST)
    with pytest.raises(p2p.errors.CodeOutOfRange):
        rw.write_msg(p2p.Msg(8, b""))
    assert len(file.getvalue().splitlines()) == 1


@given(lists(tuples(integers(0, 7), binary(max_size=99))), text(max_size=20))
def test_any_messages_are_read_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, said: list[tuple[int, bytes]], peer: str
) -> None:
    path = tmp_path_factory.mktemp("recording") / "file"
    ours, theirs = msg_pipe(TEST)
    with path.open("w", encoding="utf-8") as file:
        rw = RecordingReadWriter(ours, file, TEST, peer=peer)
        for code, payload in said:
            rw.write_msg(p2p.Msg(code, payload))
            theirs.read_msg(1.0)
    found = [(e.msg.code, e.msg.payload) for e in Recording.load(path).entries if e.msg]
    assert found == said


HEAD = '{"p2p-recording": 1, "name": "test", "version": 1, "length": 8}'
#: JSON of times that are none; the first was an OverflowError.
STRANGE_TIMES = ("1" + 400 * "0", "NaN", "Infinity", "1e999", "-1", '"5"', "true", "[]")


@pytest.mark.parametrize(
    ("lines", "number"),
    [
        (["text"], 1),
        (["[]"], 1),
        (["{}"], 1),
        ([HEAD.replace("1,", "2,", 1)], 1),
        ([HEAD.replace("8", "-8")], 1),
        ([HEAD.replace('"test"', "5")], 1),
        ([HEAD, "", "{"], 3),
        ([HEAD, '{"at": 0, "from": "nobody", "code": 1, "payload": ""}'], 2),
        ([HEAD, '{"at": 0, "from": "us", "code": 8, "payload": ""}'], 2),
        ([HEAD, '{"at": 0, "from": "us", "code": true, "payload": ""}'], 2),
        ([HEAD, '{"at": 0, "from": "us", "code": 1, "payload": "0g"}'], 2),
        ([HEAD, '{"at": null, "from": "us", "end": 1}'], 2),
        ([HEAD, "[" * 100_000], 2),
        *(([HEAD, f'{{"at": {at}, "from": "us", "end": 1}}'], 2) for at in STRANGE_TIMES),
    ],
)
def test_broken_line_is_named_by_its_number(
    tmp_path: Path, lines: list[str], number: int
) -> None:
    path = tmp_path / "file"
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(p2p.DecodeError, match=f"^line {number} is none of a recording"):
        Recording.load(path)


def test_empty_file_is_no_recording(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(p2p.DecodeError, match="the file is empty"):
        Recording.load(tmp_path / "file")


def test_unknown_keys_are_ignored(tmp_path: Path) -> None:
    line = '{"at": 1, "from": "peer", "code": 1, "payload": "c0", "name": "Hello", "x": [1]}'
    (tmp_path / "file").write_text(f"{HEAD[:-1]}, \"more\": null}}\n{line}\n", encoding="utf-8")
    found = Recording.load(tmp_path / "file")
    assert found.entries == (Recorded(1.0, True, p2p.Msg(1, b"\xc0")),)
