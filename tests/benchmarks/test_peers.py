"""The benchmarks against others: what is made of the figures, and our own end of the workloads.

The others' programs are not needed here; ``make bench-peers`` builds and runs them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from benchmarks.peers import __main__ as program
from benchmarks.peers import handshakes, messages, process, report
from benchmarks.peers.crowds import sizes
from benchmarks.peers.discovery import TURNS, DiscoveryV5, Pings
from benchmarks.peers.process import Ends, Pair, Program
from benchmarks.peers.report import Aim, Row
from benchmarks.peers.scale import FULL, QUICK, Scale
from benchmarks.pinger import WINDOW
from benchmarks.process import ROOT

#: So many pings that not all are on their way, and taken for lost, when the node is held up once.
PINGS = TURNS * 4 * WINDOW
TINY = Scale(1, small=300, busy=50, medium=20, large=4, round_trips=20, handshakes=16,
             pings=PINGS, crowd_rounds=1, crowds=(2, 4), connected=4, peers=(1, 4),
             spread=40, nodes=4, lookups=4)  # fmt: skip
OURS = Pair("ours", "ours")
ROW = Row("x", "x", "x/s", Aim(1.0), Aim(5.0))
KEYS = {row.key for row in report.rows(TINY)}


@pytest.fixture(scope="module")
def ends() -> Iterator[Ends]:
    """Our own ends, started for all tests as for all rounds of a run."""
    with ExitStack() as stack:
        ends = Ends(stack)
        for role in ("dial", "shake"):
            ends.dialer(OURS, role)
        yield ends


# our own end


def test_messages_are_measured_with_the_cpu_of_both_ends(ends: Ends) -> None:
    figures = messages.small(ends, OURS, TINY)
    assert set(figures) <= KEYS and all(value > 0 for value in figures.values())
    parts = figures["message CPU to send"] + figures["message CPU to receive"]
    assert figures["message CPU"] == pytest.approx(parts)


def test_large_messages_and_round_trips_are_measured(ends: Ends) -> None:
    figures = messages.large(ends, OURS, TINY) | messages.ping_pong(ends, OURS, TINY)
    assert set(figures) <= KEYS and all(value > 0 for value in figures.values())
    assert figures["round trip p99 / p50"] >= 1


def test_with_busy_handlers_the_part_of_the_quiet_rate_is_told(ends: Ends) -> None:
    figures = messages.busy(ends, OURS, TINY)
    assert set(figures) <= KEYS and len(figures) == 8
    assert all(value > 0 for value in figures.values())


def test_handshakes_are_measured_in_one_lane_and_in_many(ends: Ends) -> None:
    figures = handshakes.whole(ends, OURS, TINY)
    assert set(figures) <= KEYS
    assert figures["handshakes 1"] > 0 and figures["handshakes 8"] > 0


def test_pings_are_measured_by_implementation() -> None:
    with ExitStack() as processes:
        figures = Pings(processes, ["ours"]).measure(TINY)
    assert set(figures) == {("pings 1", "ours"), ("pings 50", "ours")}
    assert {key for key, _ in figures} <= KEYS


def test_discovery_v5_is_measured_by_implementation() -> None:
    with ExitStack() as processes:
        figures = DiscoveryV5(processes, ["ours"], TINY).measure(TINY)
    keys = {"v5 pongs", "v5 ping CPU", "v5 handshakes", "v5 shake CPU", "v5 lookup CPU"}
    assert set(figures) == {(key, "ours") for key in keys} and keys <= KEYS
    assert all(value > 0 for value in figures.values())


def test_a_listener_tells_its_memory_before_and_after_collection() -> None:
    with Program("ours", "listen") as listener:
        assert listener.ask("memory").keys() == {"rss_bytes", "uncollected_bytes"}


def test_the_ends_of_a_pair_are_started_once(ends: Ends) -> None:
    assert ends.dialer(OURS, "dial") is ends.dialer(OURS, "dial")
    assert ends.listener(OURS) is ends.listener(OURS)


# what is measured when


def test_pairs_are_each_with_itself_then_each_with_each_other() -> None:
    names = [str(pair) for pair in program.pairs_of(["ours", "go"], crosswise=True)]
    assert names == ["ours", "go", "ours to go", "go to ours"]
    assert program.pairs_of(["ours"], crosswise=False) == [OURS]


def run_with(
    monkeypatch: pytest.MonkeyPatch, name: str, scale: Scale, kinds: list[str]
) -> list[str]:
    """The pairs that a workload is asked for, in their order."""
    asked: list[str] = []

    def workload(ends: Ends, pair: Pair, scale: Scale) -> messages.Figures:
        asked.append(str(pair))
        return {"x": 1.0}

    monkeypatch.setitem(program.WORKLOADS, name, workload)
    monkeypatch.setattr(program, "is_built", lambda kind: kind != "go" or "go" in kinds)
    program.Run(scale, program.pairs_of(kinds, True), lambda text: None).measure([name])
    return asked


def test_pairs_take_turns_and_another_is_first_in_each_round(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = run_with(monkeypatch, "small", TINY.with_rounds(2), ["ours", "go"])
    assert asked == ["ours", "go", "ours to go", "go to ours",
                     "go", "ours to go", "go to ours", "ours"]  # fmt: skip


def test_a_workload_of_one_end_has_no_pairs_of_two_implementations(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert run_with(monkeypatch, "idle", TINY, ["ours", "go"]) == ["ours", "go"]


def test_what_takes_gos_bare_connections_is_left_out_without_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert run_with(monkeypatch, "idle", TINY, ["ours"]) == []
    assert run_with(monkeypatch, "bare-handshakes", TINY, ["ours"]) == []


def test_busy_handlers_are_ours_only(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_with(monkeypatch, "busy", TINY, ["ours", "go"]) == ["ours"]


def test_crowds_have_fewer_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    scale = Scale(**{**vars(TINY), "rounds": 3})
    assert len(run_with(monkeypatch, "spread", scale, ["ours", "go"])) == 2


def test_what_is_not_built_is_left_out_and_the_way_to_it_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(process.PROGRAMS, "go", tmp_path / "go-bench")
    assert program.built(["ours", "go"]) == ["ours"]
    assert "build.sh go builds it" in capsys.readouterr().err


def test_a_slow_pair_does_a_share_of_the_work_and_has_smaller_crowds() -> None:
    slow, fast = Pair("ours", "node"), Pair("ours", "go")
    assert messages.share(1000, fast, QUICK) == 1000
    assert messages.share(1000, slow, QUICK) == 50
    assert messages.share(10, slow, QUICK, least=7) == 7
    assert sizes((100, 500), fast, QUICK) == [100, 500]
    assert sizes((100, 500), slow, QUICK) == [100]


def test_a_quick_run_does_less_than_a_full_one() -> None:
    assert QUICK.rounds * QUICK.small < FULL.rounds * FULL.small


# what is made of the figures


def test_a_ratio_compares_within_a_round() -> None:
    samples = {("x", "ours"): [2.0, 20.0, 3.0], ("x", "go"): [1.0, 40.0, 2.0]}
    assert report.ratio(samples, "x", "go") == 1.5
    assert report.ratio(samples, "x", "node") is None


def test_rounds_in_which_the_other_has_nothing_give_no_ratio() -> None:
    samples = {("x", "ours"): [0.5, 2.0], ("x", "go"): [0.0, 1.0]}
    assert report.ratio(samples, "x", "go") == 2.0
    assert report.ratio({**samples, ("x", "go"): [0.0, 0.0]}, "x", "go") is None


def test_each_aim_has_its_verdict() -> None:
    own = Row("y", "y", "x", own=Aim(3.0, is_least=False))
    samples = {("x", "ours"): [4.0], ("x", "go"): [4.0], ("x", "node"): [1.0], ("y", "ours"): [3.5]}
    found = report.verdicts(samples, [ROW, own])
    assert [(one.against, one.value, one.is_met) for one in found] == [
        ("go", 1.0, True), ("node", 4.0, False), ("itself", 3.5, False)]  # fmt: skip


def test_what_was_not_measured_has_no_verdict_and_no_line() -> None:
    assert report.verdicts({("x", "ours"): [1.0]}, [ROW]) == []
    assert len(report.main_table({}, [ROW]).splitlines()) == 1
    assert report.cross_table({}, [ROW], [Pair("ours", "go")]) == ""


def test_the_table_shows_medians_ratios_aims_and_whether_they_are_met() -> None:
    samples = {("x", "ours"): [1.0, 30.0, 20.0], ("x", "go"): [10.0], ("x", "node"): [2000.0]}
    samples = {key: values if len(values) == 3 else values * 3 for key, values in samples.items()}
    line = report.main_table(samples, [ROW]).splitlines()[1]
    assert line.split() == ["x", "20", "10", "2,000", "x/s", "2.00", ">=", "1", "yes",
                            "0.01", ">=", "5", "NO"]  # fmt: skip


def test_the_table_across_has_a_column_for_each_pair() -> None:
    pairs = program.pairs_of(["ours", "go"], crosswise=True)
    samples = {("x", "ours to go"): [1.0], ("x", "go to ours"): [2.0], ("x", "ours"): [3.0]}
    head, line = report.cross_table(samples, [ROW], pairs).splitlines()
    assert head.split() == ["ours", "to", "go", "go", "to", "ours", "unit"]
    assert line.split() == ["x", "1", "2", "x/s"]


def test_no_two_lines_are_of_the_same_measure() -> None:
    keys = [row.key for row in report.rows(FULL)]
    assert len(keys) == len(set(keys))


def test_the_json_has_all_figures_verdicts_and_versions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    samples = {("one way", "ours"): [1.0, 2.0], ("one way", "go"): [2.0, 4.0]}
    path = tmp_path / "new" / "peers.json"
    program.write(samples, TINY, [OURS], path)
    document = json.loads(path.read_text(encoding="utf-8"))
    assert document["figures"] == {"one way": {"ours": [1.0, 2.0], "go": [2.0, 4.0]}}
    (verdict,) = document["verdicts"]
    assert (verdict["against"], verdict["value"], verdict["ok"]) == ("go", 0.5, False)
    assert document["versions"]["go-ethereum"] and document["versions"]["@ethereumjs/devp2p"]
    assert "one way, 100 bytes" in capsys.readouterr().out


def test_the_command_line_runs_what_it_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(program, "QUICK", TINY)
    path = tmp_path / "peers.json"
    program.main(["small", "--quick", "--only", "ours", "--json", str(path)])
    assert set(json.loads(path.read_text(encoding="utf-8"))["figures"]) <= KEYS
    assert "ping-pong" not in capsys.readouterr().out


def test_an_unknown_workload_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        program.main(["nothing"])
    assert "unknown: nothing" in capsys.readouterr().err


def test_both_programs_are_pinned_like_those_of_the_interoperability_tests() -> None:
    here, there = ROOT / "benchmarks" / "peers", ROOT / "tests" / "interop"
    for name in ("go/go.mod", "node/package.json"):
        ours, theirs = ((folder / name).read_text(encoding="utf-8") for folder in (here, there))
        for pin in ("go-ethereum v", '"@ethereumjs/devp2p": '):
            ours_pin, theirs_pin = (text.partition(pin)[2].split()[:1] for text in (ours, theirs))
            assert ours_pin == theirs_pin
