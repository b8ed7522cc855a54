"""p2p lab run, with the experiment tables: discovery on simulated time."""

from __future__ import annotations

import pytest

#: Distance of the nearest bucket, which has all nearer nodes as well.
NEAREST_BUCKET = 240

TABLES = """
[network]
nodes = 12
[experiment]
kind = "tables"
protocol = "{}"
duration_s = 60
sample_s = 10
"""


@pytest.mark.parametrize("protocol", ["v4", "v5"])
def test_tables_of_a_small_network_have_all_nodes(run, protocol):
    plan, *records, summary = run(
        "lab", "run", "-", "--json", stdin=TABLES.format(protocol)
    ).records
    assert plan["parameters"]["protocol"] == protocol
    samples = [record for record in records if record["type"] == "sample"]
    assert [sample["time_s"] for sample in samples] == [10, 20, 30, 40, 50, 60]
    known = [sample["known_mean"] for sample in samples]
    assert known == sorted(known)
    assert (summary["samples"], summary["known_least"], summary["known_most"]) == (6, 11, 11)
    nodes = [record for record in records if record["type"] == "node"]
    assert len(nodes) == 12
    assert all(sum(node["distances"].values()) == 11 for node in nodes)
    used = [len({max(NEAREST_BUCKET, int(far)) for far in node["distances"]}) for node in nodes]
    assert summary["buckets_mean"] == sum(used) / len(used)


def test_same_seed_has_the_same_results(run):
    def results(*options):
        return run("lab", "run", "-", "--json", *options, stdin=TABLES.format("v4")).out

    assert results("--seed", 5) == results("--seed", 5) != results("--seed", 6)


def test_no_table_fills_if_all_datagrams_are_lost(run, tmp_path):
    report = tmp_path / "report.html"
    text = TABLES.format("v4").replace("nodes = 12", "nodes = 12\nloss = 1.0")
    result = run("lab", "run", "-", "--report", report, stdin=text)
    assert result.exit_code == 0
    assert result.out.splitlines()[-1].endswith("knows 0.0 others in 0.0 buckets, from 0 to 0")
    assert report.read_text().count('class="curve"') == 3


@pytest.mark.parametrize(("duration_s", "sample_s"), [(1.2, 0.4), (6.3, 2.1), (1.0, 0.1)])
def test_last_sample_is_at_the_end(run, duration_s, sample_s):
    """1.2 / 0.4 is 2.9999999999999996."""
    text = TABLES.format("v4").replace("duration_s = 60", f"duration_s = {duration_s}")
    text = text.replace("sample_s = 10", f"sample_s = {sample_s}")
    records = run("lab", "run", "-", "--json", stdin=text).records
    assert records[-1]["time_s"] == duration_s


@pytest.mark.parametrize("kind", ["tables", "eclipse"])
@pytest.mark.parametrize(("duration_s", "sample_s"), [(50.0, 30.0), (5.0, 10.0)])
def test_duration_is_a_number_of_samples(run, kind, duration_s, sample_s):
    text = f'[experiment]\nkind = "{kind}"\nduration_s = {duration_s}\nsample_s = {sample_s}\n'
    text += "restart_s = 0.0\nattack_s = 1.0\n" if kind == "eclipse" else ""
    result = run("lab", "run", "-", stdin=text)
    assert result.exit_code == 2
    expected = f"duration_s: want a multiple of sample_s ({sample_s:g}), got {duration_s:g}"
    assert expected in result.err
