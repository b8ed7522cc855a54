"""p2p lab run, with the experiment eclipse: an attacker on simulated time."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from p2p.cli.lab.attack import Attacker
from p2p.cli.lab.experiments import read_plan
from tests.kit.processes import Program

ATTACK = """
[network]
nodes = 12
[experiment]
kind = "eclipse"
protocol = "{}"
identities = 40
pings_per_s = 5.0
attack_s = 20
restart_s = 60
duration_s = 90
sample_s = 10
"""
#: The part with servers, and none.
SERVERS, NO_SERVERS = "max_peers = 12\ndial_s = 29.0\n", "max_peers = 0\n"
#: Most places of a network (/24) in the table, and in a bucket (docs/explanation/security.md); the
#: attacker has two networks.
IN_TABLE, IN_BUCKET, NETWORKS, ADDRESSES = 10, 2, 2, 4


def of_type(records, kind):
    return [record for record in records if record["type"] == kind]


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["v4", "v5"])
def test_limits_bound_what_an_attacker_gets(run, protocol):
    plan, *records, summary = run(
        "lab", "run", "-", "--json", stdin=ATTACK.format(protocol) + NO_SERVERS
    ).records
    assert plan["parameters"]["protocol"] == protocol
    samples = of_type(records, "sample")
    runs = {on: [each for each in samples if each["limits"] is on] for on in (True, False)}
    for run_ in runs.values():
        assert [each["time_s"] for each in run_] == list(range(10, 91, 10))
        assert all(each["table_attacker"] == 0 for each in run_ if each["time_s"] <= 20)
        for name in ("table", "replacements", "found"):
            assert all(each[f"{name}_attacker"] <= each[name] for each in run_)
    assert 0 < runs[True][-1]["table_attacker"] <= IN_TABLE * NETWORKS
    assert max(each["table_attacker"] for each in runs[True]) <= IN_TABLE * NETWORKS
    assert runs[False][-1]["table_attacker"] > IN_TABLE * NETWORKS
    places = {each["limits"]: each["distances"] for each in of_type(records, "places")}
    assert sum(places[True].values()) == runs[True][-1]["table_attacker"]
    assert max(places[True].values()) <= IN_BUCKET * NETWORKS < max(places[False].values())
    for name in ("table", "found"):
        shares = summary[f"{name}_share_limits_on"], summary[f"{name}_share_limits_off"]
        assert 0 < shares[0] < shares[1] < 1


@pytest.mark.slow
def test_slots_of_the_victim(run, tmp_path):
    report = tmp_path / "report.html"
    text = ATTACK.format("v4") + SERVERS
    result = run("lab", "run", "-", "--json", "--report", report, stdin=text)
    assert result.exit_code == 0
    peers = of_type(result.records, "peers")
    runs = {on: [each for each in peers if each["limits"] is on] for on in (True, False)}
    for run_ in runs.values():
        assert [each["time_s"] for each in run_] == [7.25, 14.5, 21.75, 29.0]
        assert all(each["dialed"] + each["inbound"] <= 12 for each in run_)
        assert run_[-1]["dialed"] > 0 and run_[-1]["inbound"] > 0
    limited, free = runs[True][-1], runs[False][-1]
    # An address of the Internet is admitted once in 30 s; of a network two nodes are dialed.
    assert limited["inbound_attacker"] <= ADDRESSES
    assert limited["dialed_attacker"] <= IN_BUCKET * NETWORKS
    summary = result.records[-1]
    assert 0 < summary["slots_share_limits_on"] < summary["slots_share_limits_off"] < 1
    taken = free["dialed_attacker"] + free["inbound_attacker"]
    assert summary["slots_share_limits_off"] == taken / 12
    steps = [each["step"] for each in result.records if "step" in each]
    assert steps == list(range(1, 2 * (9 + 4) + 1))
    assert report.read_text().count('class="curve"') == 8


def test_too_few_descriptors_for_servers(tmp_path):
    file = tmp_path / "attack.toml"
    text = ATTACK.format("v4").replace("identities = 40", "identities = 8")
    file.write_text(text + SERVERS.replace("12", "200"))
    command = ["bash", "-c", 'ulimit -n 36; exec "$@"', "", sys.executable, "-m", "p2p"]
    command += ["lab", "run", str(file), "--json"]
    with Program(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        out, err = process.communicate()
    assert process.returncode == 1
    assert err.startswith(b"p2p: the network did not start: ")
    assert err.endswith(b"; max_peers = 0 leaves servers out\n") and err.count(b"\n") == 1
    assert json.loads(out.splitlines()[-1])["samples"] == 9


@pytest.mark.slow
def test_same_seed_has_the_same_results(run):
    def results(*options):
        text = ATTACK.format("v4").replace("identities = 40", "identities = 8") + SERVERS
        return run("lab", "run", "-", "--json", *options, stdin=text).out

    assert results("--seed", 5) == results("--seed", 5) != results("--seed", 6)


def test_one_run_with_the_limits(run, tmp_path):
    report = tmp_path / "report.html"
    text = ATTACK.format("v4") + NO_SERVERS + 'limits = "on"\n'
    result = run("lab", "run", "-", "--report", report, stdin=text)
    first, *_, last = result.out.splitlines()
    assert first == (
        "eclipse: 12 nodes, discovery v4, seed 1; 40 identities at 4 addresses of 2 networks"
    )
    assert last.startswith("with limits on, at the end: ") and "limits off" not in result.out
    page = report.read_text()
    assert page.count('class="curve"') == 3 and "The attacker&#x27;s places, limits on" in page


def test_victim_that_loses_its_database_begins_with_the_bootnode(run):
    text = ATTACK.format("v4") + NO_SERVERS
    text += 'limits = "off"\nidentities = 1\naddresses = 1\nnetworks = 1\n'
    text = text.replace("identities = 40\n", "")

    def sizes(database):
        records = run(
            "lab", "run", "-", "--json", stdin=text + f'database = "{database}"\n'
        ).records
        return {each["time_s"]: each["table"] for each in of_type(records, "sample")}

    kept, lost = sizes("kept"), sizes("lost")
    assert kept[50] == lost[50] > lost[60] == 1
    assert kept[60] > 1 and lost[90] == kept[90]


def test_attacker_that_has_not_begun_has_nothing(run):
    text = ATTACK.format("v4").replace("attack_s = 20", "attack_s = 90") + NO_SERVERS
    records = run("lab", "run", "-", "--json", stdin=text).records
    samples = of_type(records, "sample")
    assert len(samples) == 18 and all(each["table_attacker"] == 0 for each in samples)
    assert all(each["distances"] == {} for each in of_type(records, "places"))
    assert records[-1]["found_share_limits_off"] == 0


@pytest.mark.parametrize(
    ("identities", "addresses", "networks"), [(1, 1, 1), (100, 4, 2), (600, 600, 3), (9, 9, 9)]
)
def test_identities_share_the_addresses_of_the_networks(identities, addresses, networks):
    attacker = Attacker(identities, addresses, networks, 1.0, 0.0)
    endpoints = [attacker.endpoint_of(number) for number in range(identities)]
    assert len(set(endpoints)) == identities
    assert len({ip for ip, _ in endpoints}) == addresses
    used = {network for network in attacker.ranges for ip, _ in endpoints if ip in network}
    assert len(used) == len(attacker.ranges) == networks
    assert all(any(ip in network for network in used) for ip, _ in endpoints)


def test_attacker_of_the_file_is_in_the_plan():
    text = '[experiment]\nkind = "eclipse"\nidentities = 300\naddresses = 300\nnetworks = 2\n'
    parameters = read_plan(text).to_json()["parameters"]
    assert (parameters["addresses"], parameters["networks"]) == (300, 2)
