"""What strangers may put into a capture or a key log: errors of one line, in bounded time."""

from __future__ import annotations

import random
import struct
from pathlib import Path
from typing import Any

import pytest

from p2p.cli.exitcode import ExitCode
from tests.capture.captures import PACKETS, TALK, write_pcap
from tests.cli.conftest import Run
from tests.cli.test_hostile import checked

pytest.importorskip("pcapy")
pytestmark = pytest.mark.slow


def pcap(tmp_path: Path) -> bytes:
    write_pcap(tmp_path / "whole.pcap", PACKETS)
    return (tmp_path / "whole.pcap").read_bytes()


def decode(run: Run, tmp_path: Path, data: bytes) -> Any:
    path, keys = tmp_path / "file.pcap", tmp_path / "keys"
    path.write_bytes(data)
    keys.write_text(TALK.keys.line + "\n", encoding="ascii")
    return checked(run, "decode", path, "--keylog", keys)


def test_every_cut_of_a_capture_is_read_up_to_it(run: Run, tmp_path: Path) -> None:
    whole = pcap(tmp_path)
    for size in {*range(0, 60), *range(60, len(whole), 97)}:
        result = decode(run, tmp_path, whole[:size])
        assert len(result.err.splitlines()) <= 1
        assert result.exit_code == (ExitCode.OK if size >= 24 else ExitCode.USAGE), size


@pytest.mark.parametrize("seed", range(20))
def test_a_changed_capture_is_no_defect(run: Run, tmp_path: Path, seed: int) -> None:
    chosen, data = random.Random(seed), bytearray(pcap(tmp_path))
    for _ in range(chosen.choice([1, 4, 30])):
        data[chosen.randrange(len(data))] = chosen.choice([0, 0x7F, 0xFF, chosen.randrange(256)])
    assert len(decode(run, tmp_path, bytes(data)).err.splitlines()) <= 1


@pytest.mark.parametrize("captured", [0, 2**18 + 1, 2**31 - 1, 2**32 - 1])
def test_size_of_a_packet_is_not_believed(run: Run, tmp_path: Path, captured: int) -> None:
    head = pcap(tmp_path)[:24]
    record = struct.pack("<IIII", 1, 2, captured, captured)
    result = decode(run, tmp_path, head + record + b"x" * 100)
    assert len(result.err.splitlines()) <= 1


@pytest.mark.parametrize("data", [b"", b"\x00" * 1000, b"hello\n" * 99, b"\x1b[31m" * 99])
def test_what_is_no_capture_is_one_line(run: Run, tmp_path: Path, data: bytes) -> None:
    result = decode(run, tmp_path, data)
    assert result.exit_code == ExitCode.USAGE and len(result.err.splitlines()) == 1


@pytest.mark.parametrize("text", ["\x00" * 99, "x" * 10**6, "\u202e\n" * 99, "RLPX 1 2 3\n" * 999])
def test_a_key_log_with_anything_is_read_or_one_line(run: Run, tmp_path: Path, text: str) -> None:
    path, keys = tmp_path / "file.pcap", tmp_path / "keys"
    path.write_bytes(pcap(tmp_path))
    keys.write_text(text, encoding="utf-8")
    assert len(checked(run, "decode", path, "--keylog", keys).err.splitlines()) <= 1
