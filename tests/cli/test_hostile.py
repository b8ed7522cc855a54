"""What strangers may put into DNS: errors of one line, in bounded time."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import dns.rcode
import pytest

import p2p
from p2p.cli.exitcode import ExitCode
from tests.cli.conftest import Run
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
