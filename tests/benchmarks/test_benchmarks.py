"""Each workload runs, with next to nothing to do, and reports. How fast it is, no test asks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from benchmarks import __main__ as program
from benchmarks import codec, memory, options, report
from benchmarks.discovery import MANY, TURNS, LoadedMessages, Lookups, Pings
from benchmarks.handshakes import Handshakes
from benchmarks.messages import Messages
from benchmarks.options import Options
from benchmarks.pinger import WINDOW
from benchmarks.process import GoNode, Process
from benchmarks.scale import FULL, LARGE, MEDIUM, QUICK, SMALL, Scale

#: So many pings that not all are on their way, and taken for lost, when the node is held up once.
PINGS = TURNS * 4 * WINDOW
TINY = Scale(1, small=300, busy=50, medium=20, large=4, round_trips=20, handshakes=8,
             crowds=(2, 4), pings=PINGS, lookups=1, nodes=3)  # fmt: skip
ROWS = report.rows(TINY.crowds)
#: A message that waits for the next ping, 15 s away, is stuck.
STUCK_S = 10.0


@pytest.fixture
def processes() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_codec_is_measured_beside_its_bare_calls() -> None:
    measured = codec.measure(TINY)
    expected = {f"{what} {way} {size}" for what in ("codec", "bare") for way in ("write", "read")
                for size in (SMALL, MEDIUM, LARGE)}  # fmt: skip
    assert expected < set(measured)
    assert all(value > 0 for value in measured.values())


def test_messages_are_measured_one_way_busy_and_to_and_fro(processes: ExitStack) -> None:
    measured = Messages(processes).measure(TINY)
    assert {f"one-way {size}" for size in (SMALL, MEDIUM, LARGE)} < set(measured)
    assert {"busy receiver 1", "busy sender 1", "busy receiver 3", "busy sender 3"} < set(measured)
    assert 0 < measured["round trip p50"] <= measured["round trip p99"]


def test_options_are_measured_beside_none(processes: ExitStack) -> None:
    measured = Options(processes).measure(TINY)
    kinds = ("counted", "uncounted", "limited", "plain", "page closed", "page open")
    assert measured.keys() == {f"{kind} one-way" for kind in kinds}
    assert all(value > 0 for value in measured.values())


def test_options_are_compared_turn_by_turn(capsys: pytest.CaptureFixture[str]) -> None:
    options.main(["--rounds", "1", "--turns", "2", "--count", str(TINY.small)])
    heading, *lines = capsys.readouterr().out.splitlines()
    assert "quartiles" in heading and len(lines) == len(options.COMPARED)
    for line, kind in zip(lines, options.COMPARED, strict=True):
        median, low, _to, high = line.removeprefix(kind).split()
        assert 0 < float(low) <= float(median) <= float(high)


def test_no_large_message_is_stuck_until_the_next_ping(processes: ExitStack) -> None:
    listener = processes.enter_context(Process("listen"))
    dialer = processes.enter_context(Process("dial", listener.greeting["url"]))
    for size in (MEDIUM, LARGE):
        assert dialer.ask("send", count=30, size=size)["seconds"] < STUCK_S


def test_handshakes_are_measured_beside_their_curve_operations(processes: ExitStack) -> None:
    measured = Handshakes(processes).measure(TINY)
    assert 0 < measured["curve operations of one end"] < measured["curve operations"]
    assert measured["handshake"] > 0 and measured["handshake at a time"] > 0


def test_memory_of_idle_peers_is_measured_at_each_number_where_the_system_tells() -> None:
    expected = {"idle peer 2", "idle peer 4"} if memory.STATM.exists() else set()
    assert set(memory.measure(TINY)) == expected


def test_pings_are_measured_of_one_endpoint_and_of_many_beside_go_where_it_is_built(
    processes: ExitStack,
) -> None:
    pings = Pings(processes)
    measured = pings.measure(TINY)
    expected = {"ping 1", f"ping {MANY}"}
    if GoNode.PROGRAM.exists():
        expected |= {"go ping 1", f"go ping {MANY}"}
        assert not pings.missing
    assert set(measured) == expected
    assert all(value > 0 for value in measured.values())


def test_without_go_its_pings_are_left_out_and_the_way_to_it_is_told(
    processes: ExitStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GoNode, "PROGRAM", tmp_path / "go-peer")
    assert "build.sh" in Pings(processes).missing


def test_lookups_are_measured_in_cpu_of_who_asks_and_of_the_others(processes: ExitStack) -> None:
    measured = Lookups(processes, TINY).measure(TINY)
    assert set(measured) == {"lookup", "lookup of others", "lookup curve operations"}
    assert all(value > 0 for value in measured.values())


def test_messages_are_measured_while_packets_come(processes: ExitStack) -> None:
    measured = LoadedMessages(processes).measure(TINY)
    assert set(measured) == {"quiet one-way", "loaded one-way", "loaded ping", "load"}
    assert measured["quiet one-way"] > 0 and measured["loaded one-way"] > 0


def test_a_process_that_fails_is_reported(capfd: pytest.CaptureFixture[str]) -> None:
    with Process("listen") as listener, pytest.raises(RuntimeError, match="failed"):
        listener.ask("nothing")
    assert "'Listener' object has no attribute 'nothing'" in capfd.readouterr().err


def test_the_table_has_a_line_for_each_figure_and_says_whether_the_aim_is_met(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Everything takes 2 s, but for what limits it, which takes 1 s: each ratio is 0.5.
    limits = {key for row in ROWS for key in row.limits}
    samples = {row.key: [2.0] for row in ROWS} | {key: [1.0] for key in limits}
    program.write(samples, TINY, tmp_path / "bench.json")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + len(ROWS)
    shown = {line[:34].strip(): line.split() for line in lines}
    assert shown["one way, 1 MiB"][-4:] == ["0.50", ">=", "0.7", "NO"]
    assert shown["handshakes, one after the other"][-4:] == ["0.50", ">=", "0.5", "yes"]
    assert shown["idle peer, one of 2"][-4:] == ["KiB", "<=", "100", "yes"]


def test_the_json_has_figures_samples_and_what_they_were_made_with(tmp_path: Path) -> None:
    samples = {row.key: [2.0] for row in ROWS} | {key: [1.0] for row in ROWS for key in row.limits}
    program.write(samples, TINY, tmp_path / "new" / "bench.json")
    document = json.loads((tmp_path / "new" / "bench.json").read_text(encoding="utf-8"))
    assert [figure["name"] for figure in document["figures"]] == [row.name.strip() for row in ROWS]
    assert document["samples"]["round trip"] == [2.0]
    assert set(document) > {"date", "python", "cpu", "p2p", "crypto_backend"}
    used = {"coincurve": "coincurve", "btclib": "btclib-secp256k1"}[document["secp256k1_backend"]]
    assert document["libraries"][used]


def test_a_ratio_compares_within_a_round_and_the_slowest_limit_counts() -> None:
    row = report.Row("x", "x", "x/s", report.per_second, ("a", "b"), 0.5)
    samples = {"x": [2.0, 20.0, 4.0], "a": [1.0, 18.0, 1.0], "b": [0.5, 1.0, 2.0]}
    shown = report.figure(samples, row)
    assert (shown.figure, shown.ratio, shown.ok) == (0.25, 0.5, True)


def test_without_what_it_compares_with_a_line_has_no_ratio_and_no_verdict() -> None:
    row = report.Row("x", "x", "x/s", report.per_second, ("a",), 0.5)
    shown = report.figure({"x": [2.0]}, row)
    assert (shown.figure, shown.ratio, shown.ok) == (0.5, None, None)
    line = report.table_text([shown], ["x"]).splitlines()[1]
    assert line.split() == ["x", "0.5", "x/s", ">=", "0.5"]


def test_a_quick_run_does_less_than_a_full_one() -> None:
    assert QUICK.rounds * QUICK.small < FULL.rounds * FULL.small
