"""What strangers may put into DNS and into a capture: errors of one line, in bounded time."""

from __future__ import annotations

import random
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import dns.rcode
import pytest

import p2p
from p2p.cli.exitcode import ExitCode
from tests.capture.captures import write_pcap
from tests.cli.conftest import Run
from tests.cli.test_decode import PACKETS, TALK
from tests.dnsdisc.zone import KEY, records_of
from tests.kit.nameserver import name_server

DOMAIN = "nodes.example.org"
URL = str(p2p.dnsdisc.Link(KEY.public_key, DOMAIN))
pytestmark = pytest.mark.slow
ROOT = "enrtree-root:v1 e="
#: Most memory of a command, beyond that of its imports.
MAX_BYTES = 32 * 2**20


def signed() -> p2p.dnsdisc.SignedTree:
    return p2p.dnsdisc.Tree(3, records_of(4), []).sign(KEY, DOMAIN)


def checked(run: Run, *words: object) -> Any:
    """Run a command; whatever it meets, it writes whole lines of printable text, and little."""
    tracemalloc.start()
    try:
        result = run(*words)
        assert tracemalloc.get_traced_memory()[1] < MAX_BYTES
    finally:
        tracemalloc.stop()
    assert result.exit_code in (0, 1, 2, 3, 5), result.err
    assert "Traceback" not in result.err and "a defect of p2p" not in result.err
    assert all(len(line) < 2000 and line.isprintable() for line in result.err.splitlines())
    return result


# DNS

TEXTS: dict[str, Any] = {
    "blank": " ",
    "not a list": "v=spf1 -all",
    "escape codes": f"{ROOT}\x1b[31m l=\x07 seq=1 sig=\x00",
    "right to left": ROOT + "\u202e" * 40,
    "long": ROOT + "A" * 60_000,
    "many": [f"text {number}" for number in range(400)],
    "number": f"{ROOT}{'A' * 26} l={'A' * 26} seq={'9' * 400} sig={'A' * 87}",
    "signature": f"{ROOT}{'A' * 26} l={'A' * 26} seq=1 sig={'A' * 87}",
    "refused": dns.rcode.REFUSED,
    "failed": dns.rcode.SERVFAIL,
}


@pytest.mark.parametrize("command", ["check", "sync"])
@pytest.mark.parametrize("kind", TEXTS)
def test_root_with_hostile_text_is_one_line(
    run: Run, tmp_path: Path, command: str, kind: str
) -> None:
    with name_server({DOMAIN: TEXTS[kind]}) as server:
        words = ["dns", command, URL, *([tmp_path / "copy"] if command == "sync" else [])]
        result = checked(run, *words, "--server", f"127.0.0.1:{server.port}")
    assert result.exit_code in (ExitCode.NEGATIVE, ExitCode.NO_ANSWER)
    assert len(result.err.splitlines()) == 1 and DOMAIN in result.err


@pytest.mark.parametrize("kind", TEXTS)
def test_entry_with_hostile_text_is_a_problem_and_the_rest_is_read(run: Run, kind: str) -> None:
    records: dict[str, Any] = dict(signed().records)
    name = next(name for name, text in records.items() if text.startswith("enr:"))
    records[name] = TEXTS[kind]
    with name_server(records) as server:
        result = checked(run, "dns", "check", URL, "--server", f"127.0.0.1:{server.port}", "--json")
    assert result.exit_code == ExitCode.NEGATIVE
    (record,) = result.records
    (problem,) = record["problems"]
    assert record["nodes"] == 3 and problem["name"].lower() == name.lower()
    assert len(problem["reason"]) < 1000 and problem["reason"].isprintable()


def test_branches_that_lead_to_each_other_end(run: Run) -> None:
    records: dict[str, Any] = dict(signed().records)
    branches = [name for name, text in records.items() if text.startswith("enrtree-branch:")]
    hashes = ",".join(name.partition(".")[0] for name in records if name != DOMAIN)
    records.update(dict.fromkeys(branches, f"enrtree-branch:{hashes}"))
    with name_server(records) as server:
        checked(run, "dns", "check", URL, "--server", f"127.0.0.1:{server.port}")
        assert len(server.asked) < 100


# captures


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
