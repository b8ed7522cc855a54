"""``p2p decode``: lines for people, objects for programs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import p2p
from p2p.discover.v4 import wire
from tests.capture.captures import ALICE_END as ALICE
from tests.capture.captures import BOB_END as BOB
from tests.capture.captures import (
    PACKETS,
    TALK,
    udp,
    write_pcap,
    write_pcapng,
)
from tests.cli.conftest import Run

pytest.importorskip("pcapy")

TEXTS = """
from dataclasses import dataclass
from p2p import messages

@messages.message(1)
class Text:
    author: str
    text: str

ALPHA = messages.Messages("alpha", 1, [Text], length=3)
OTHER = 5
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a capture, its key log, and a module."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    write_pcap(tmp_path / "file.pcap", PACKETS)
    (tmp_path / "keys").write_text(TALK.keys.line + "\n", encoding="ascii")
    (tmp_path / "captured_texts.py").write_text(TEXTS, encoding="utf-8")
    return tmp_path


def test_messages_are_shown_by_name(run: Run, folder: Path) -> None:
    result = run(
        *("decode", "file.pcap", "--keylog", "keys", "--protocol", "captured_texts:ALPHA")
    )
    assert (result.exit_code, result.err) == (0, "")
    ends = [f"{ALICE} → {BOB}", f"{BOB} → {ALICE}"]
    lines = [line.split("#1   ")[1] for line in result.out.splitlines()]
    assert lines[0] == f"{ends[0]}  connection"
    assert "  p2p Hello  version=5 name=test caps=[alpha/1, beta/2]" in lines[1]
    assert f"{ends[0]}  alpha/1 Text  author=alice text=hello \\x1b[31m" in lines
    assert any(line.startswith(f"{ends[1]}  alpha/1 Text  Text: ") for line in lines)
    assert f"{ends[1]}  beta/2 0x00  0x0102" in lines
    assert lines[-2].endswith("p2p Disconnect  QUITTING")
    assert lines[-1].endswith("closed (FIN)")


def test_json_has_every_field(run: Run, folder: Path) -> None:
    records = run("decode", "file.pcap", "--keylog", "keys", "--json").records
    kinds = [record["event"] for record in records]
    assert kinds == ["connection", *["message"] * 6, "end"]
    first = next(record for record in records if record.get("wire_code") == 17)
    payload = p2p.rlp.encode(["alice", "hello \x1b[31m"])
    assert first["payload"] == "0x" + payload.hex()
    assert (first["source"], first["destination"]) == (str(ALICE), str(BOB))
    assert (first["cap"], first["is_authentic"], first["value"]) == ("alpha/1", True, None)


def test_gaps_and_what_follows_them_are_marked(run: Run, folder: Path) -> None:
    write_pcap(folder / "file.pcap", PACKETS[:6] + PACKETS[7:])
    out = run("decode", "file.pcap", "--keylog", "keys").out
    assert "  gap: 1 message lost, 80 bytes" in out and "p2p Disconnect ?  QUITTING" in out


def test_capture_that_begins_in_a_connection_says_so(run: Run, folder: Path) -> None:
    write_pcap(folder / "file.pcap", PACKETS[5:])
    out = run("decode", "file.pcap", "--keylog", "keys").out
    assert out.count("connection, from its middle") == 1
    assert out.count("earlier messages are not in the capture") == 2  # each direction
    assert "gap" not in out and "p2p Hello ?" in out


def test_capture_without_its_keys_says_so(run: Run, folder: Path) -> None:
    result = run("decode", "file.pcap")
    assert result.exit_code == 0
    assert "connection, encrypted: no secrets of it in a key log" in result.out
    assert "give the key log of one end: --keylog FILE" in result.err
    assert "--keylog FILE" not in run("decode", "file.pcap", "--keylog", "keys").err


def test_packets_of_discovery(run: Run, folder: Path) -> None:
    packet, _ = wire.encode(p2p.generate_key(), wire.FindNode(bytes(64), 99))
    write_pcap(folder / "file.pcap", [udp(ALICE, BOB, packet)])
    assert f"{ALICE} → {BOB}  v4 findnode  target=0x000" in run("decode", "file.pcap").out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("no.pcap",), 5, "no.pcap: No such file or directory"),
        (("keys",), 2, "keys is no capture: unknown file format"),
        (("file.pcap", "--keylog", "file.pcap.gz"), 5, "No such file"),
        (("file.pcap", "--protocol", "captured_texts:OTHER"), 2, "is a int, not p2p.messages"),
        (("file.pcap", "--protocol", "captured_texts:NONE"), 2, "captured_texts:NONE: "),
        (("file.pcap", "--protocol", "nowhere:X"), 2, "No module named 'nowhere'"),
        (("file.pcap", "--protocol", "eth/1"), 2, "unknown: give eth/69"),
    ],
)
def test_errors_are_one_line(
    run: Run, folder: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    result = run("decode", *arguments)
    assert result.exit_code == code and words in result.err
    assert len(result.err.splitlines()) == 1


def test_time_that_no_calendar_has_is_shown_in_seconds(run: Run, tmp_path: Path) -> None:
    """It was a defect with exit code 70."""
    file = tmp_path / "late.pcapng"
    packet, _ = wire.encode(p2p.generate_key(), wire.FindNode(bytes(64), 99))
    write_pcapng(file, [udp(ALICE, BOB, packet)], start_us=2**64 - 1)
    result = run("decode", file)
    assert result.exit_code == 0
    assert result.out.startswith("18446744073709.5") and "findnode" in result.out.lower()
