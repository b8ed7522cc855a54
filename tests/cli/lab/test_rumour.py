"""p2p lab run, with the experiment rumour, in small networks over loopback."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

from p2p.cli.exitcode import ExitCode
from tests.kit.monitorpage import Page
from tests.kit.processes import Program

STAR = '[network]\nnodes = 5\ntopology = "star"\n[experiment]\nkind = "rumour"\nrepetitions = 2\n'


def of_type(records, kind):
    return [record for record in records if record["type"] == kind]


def test_rumour_reaches_each_node_of_a_star_over_the_hub(run):
    result = run("lab", "run", "-", "--json", stdin=STAR)
    assert result.exit_code == 0
    plan, *_, summary = result.records
    assert (plan["type"], plan["network"]["nodes"], plan["kind"]) == ("plan", 5, "rumour")
    for one in of_type(result.records, "run"):
        reached = [each for each in of_type(result.records, "reached") if each["run"] == one["run"]]
        hops = {each["node"]: each["hops"] for each in reached}
        from_hub = one["origin"] == "n0"
        # The way to the hub, and from the hub to all others.
        expected = {f"n{number}": 1 if from_hub or not number else 2 for number in range(5)}
        assert hops == {**expected, one["origin"]: 0}
        assert [each["time_s"] for each in reached] == sorted(each["time_s"] for each in reached)
        assert (one["messages"], one["duplicates"], one["ended"]) == (4, 0, True)
    assert summary["type"] == "summary" and summary["runs"] == 2 and summary["reached_share"] == 1


def test_in_a_full_network_most_messages_are_duplicates(run):
    text = STAR.replace("star", "full").replace("repetitions = 2", "repetitions = 1")
    (one,) = of_type(run("lab", "run", "-", "--json", stdin=text).records, "run")
    # The origin tells 4, each of them its 3 others.
    assert (one["reached"], one["messages"], one["duplicates"]) == (5, 16, 12)


def test_fan_out_limits_the_messages_of_a_node(run):
    text = STAR.replace("star", "full") + "fan_out = 1\n"
    for one in of_type(run("lab", "run", "-", "--json", stdin=text).records, "run"):
        # Each node that hears it tells one other, until one tells a node that has heard it.
        assert one["messages"] == one["reached"] - 1 + one["duplicates"]
        assert one["duplicates"] == 1


def test_same_seed_has_the_same_origins_and_counts(run):
    def counts(*options):
        records = run("lab", "run", "-", "--json", *options, stdin=STAR).records
        return [(one["origin"], one["reached"], one["hops"]) for one in of_type(records, "run")]

    assert counts("--seed", 9) == counts("--seed", 9)


def test_results_go_to_a_folder_and_a_page(run, tmp_path):
    out, report = tmp_path / "new" / "results", tmp_path / "report.html"
    result = run("lab", "run", "-", "--out", out, "--report", report, "--nodes", 3, stdin=STAR)
    assert result.exit_code == 0
    assert result.out.startswith("rumour: 3 nodes, star, seed 1\nrun 1: from n")
    assert "\nmean of 2 runs: 100.0% of the nodes in " in result.out
    records = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
    assert len(of_type(records, "reached")) == 6 and records[-1]["type"] == "summary"
    page = report.read_text()
    assert page.count('class="curve"') == 2 and "<dt>reached share</dt><dd>1</dd>" in page
    assert "<script" not in page and "http" not in page


@pytest.mark.parametrize("option", ["--out", "--report"])
def test_results_that_cannot_be_written_are_an_error_at_the_start(run, tmp_path, option):
    taken = tmp_path / "taken"
    (taken / "results.jsonl").mkdir(parents=True)
    path = taken if option == "--out" else tmp_path / "missing" / "report.html"
    result = run("lab", "run", "-", option, path, stdin=STAR)
    assert (result.exit_code, result.out) == (ExitCode.SYSTEM, "")
    assert str(path) in result.err and len(result.err.splitlines()) == 1


def test_ctrl_c_ends_with_the_summary_of_the_runs_so_far(tmp_path):
    file, report = tmp_path / "star.toml", tmp_path / "report.html"
    file.write_text(STAR.replace("repetitions = 2", "repetitions = 1000"))
    command = [sys.executable, "-m", "p2p", "lab", "run", file, "--json", "--report", report]
    with Program(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        lines = []
        while not lines or lines[-1]["type"] != "run":
            lines.append(json.loads(process.stdout.readline()))
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    lines += map(json.loads, out.splitlines())
    assert (process.returncode, err) == (130, b"\n")
    assert lines[-1]["type"] == "summary"
    assert 1 <= lines[-1]["runs"] == len(of_type(lines, "run")) < 1000
    assert "Nodes reached" in report.read_text()


def test_latency_of_the_links_is_in_the_times(run):
    text = STAR.replace("[experiment]", "latency_s = 0.02\nloss = 0.01\n[experiment]")
    records = run("lab", "run", "-", "--json", stdin=text).records
    assert records[0]["network"]["latency_s"] == 0.02
    for each in of_type(records, "reached"):
        assert each["time_s"] >= 0.02 * each["hops"]


def test_simulated_time_has_the_same_times_in_each_run(run):
    network = 'latency_s = 0.2\nbandwidth = 20000\ntime = "simulated"\n[experiment]'

    def times():
        text = STAR.replace("[experiment]", network)
        records = run("lab", "run", "-", "--json", stdin=text).records
        reached = of_type(records, "reached")
        return [(each["node"], each["hops"], each["time_s"]) for each in reached]

    first = times()
    assert len(first) == 10 and first == times()
    # A message of some ten bytes and its frame take a few milliseconds of the bandwidth.
    assert all(0.2 * hops <= time_s <= 0.3 * hops for _, hops, time_s in first)


@pytest.mark.parametrize("time", ["real", "simulated"])
def test_rumour_ends_while_nodes_stop_and_start(run, time):
    network = f'latency_s = 0.05\ntime = "{time}"\nchurn_per_min = 600\ndowntime_s = 0.5\n'
    network += "[experiment]"
    text = STAR.replace("[experiment]", network).replace("repetitions = 2", "repetitions = 5")
    result = run("lab", "run", "-", "--json", stdin=text.replace("star", "ring"))
    assert result.exit_code == 0
    runs = of_type(result.records, "run")
    assert len(runs) == 5 and all(each["ended"] for each in runs)
    assert all(1 <= each["reached"] <= each["nodes"] == 5 for each in runs)


def test_page_shows_the_network_until_ctrl_c(tmp_path):
    file = tmp_path / "star.toml"
    file.write_text(STAR)
    command = [sys.executable, "-m", "p2p", "lab", "run", file, "--json", "--page"]
    with Program(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        lines = []
        while not lines or lines[-1]["type"] != "summary":
            lines.append(json.loads(process.stdout.readline()))
        with Page(of_type(lines, "page")[0]["url"]) as page:
            page.until(lambda: len(page.state["edges"]) == 4)
            page.until(lambda: all(row["note"] for row in page.rows("lab_nodes")))
            assert all(row["state"] == "up" for row in page.rows("edges"))
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert (process.returncode, out) == (0, b"")
    assert err == b"the network runs on for its page; Ctrl-C ends it\n"


def test_page_of_a_simulated_experiment_is_refused(run):
    result = run("lab", "run", "-", "--page", stdin='[experiment]\nkind = "tables"\n')
    assert result.exit_code == 2 and "no live page shows it; leave out --page" in result.err
