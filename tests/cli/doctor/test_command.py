"""p2p doctor on loopback, where each check has a known result."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import closing

import pytest

import p2p
from p2p.cli.doctor import checks
from p2p.cli.doctor.checks import Level
from p2p.cli.exitcode import ExitCode
from p2p.enode import NodeDB
from tests.discover.timeserver import TimeServer, answer_at

HOST = "127.0.0.1"
HERE = ("--addr", f"{HOST}:0", "--nat", "none")
SEPOLIA = p2p.networks.SEPOLIA


@pytest.fixture
def online(monkeypatch):
    """The routes of a machine with IPv4 and IPv6, whatever this one has."""
    routes = {4: "192.0.2.2", 6: "2001:db8::2"}
    monkeypatch.setattr(checks, "_source", routes.get)


@pytest.fixture
def server():
    made = p2p.Server(
        private_key=p2p.generate_key(),
        name="remote/1.0",
        max_peers=5,
        listen_addr=f"{HOST}:0",
        protocols=[p2p.Protocol("abc", 7, 3)],
    )
    with made:
        made.set_entry("eth", p2p.eth.eth_entry(SEPOLIA.chain.fork_id(0, 0)))
        yield made


def levels(result) -> dict[str, str]:
    return {record["check"]: record["level"] for record in result.records}


def test_healthy_node_has_no_problem(run, online, server, tmp_path):
    options = [*HERE, "--bootnodes", server.self.url, "--nodedb", tmp_path / "nodes.db"]
    result = run("doctor", *options, "--json")
    assert result.exit_code == ExitCode.OK
    assert levels(result) == dict.fromkeys(
        ["families", "ports", "database", "discv4", "discv5", "address"], "ok"
    )
    address = next(each["address"] for each in result.records if each["check"] == "address")
    assert address.startswith(HOST)


def test_node_is_checked_step_by_step(run, online, server):
    node = str(server.self)
    options = [*HERE, "--bootnodes", "", "--cap", "abc/7", "--network", "sepolia"]
    result = run("doctor", node, *options, "--json")
    found = levels(result)
    steps = ["discv4", "discv5", "tcp", "handshake", "hello"]
    assert all(found[f"node {step}"] == "ok" for step in steps)
    assert found["capabilities"] == "ok" and found["chain"] == "ok"
    assert result.exit_code == ExitCode.OK


def test_nothing_in_common_and_another_chain_are_problems(run, online, server):
    options = [*HERE, "--bootnodes", "", "--cap", "abc/8", "--network", "hoodi"]
    result = run("doctor", str(server.self), *options, "--json")
    found = levels(result)
    assert (found["capabilities"], found["chain"]) == ("problem", "problem")
    assert result.exit_code == ExitCode.NEGATIVE
    assert all(each["remedy"] for each in result.records if each["level"] == "problem")


def test_port_that_is_taken_is_a_problem_with_a_remedy(run, online):
    with socket.create_server((HOST, 0)) as taken:
        addr = f"{HOST}:{taken.getsockname()[1]}"
        result = run("doctor", "--addr", addr, "--nat", "none", "--bootnodes", "")
    assert result.exit_code == ExitCode.NEGATIVE
    assert "--addr" in result.out and "1 problem," in result.out


def test_database_in_use_is_a_problem(run, online, tmp_path):
    path = tmp_path / "nodes.db"
    with NodeDB(path):
        result = run("doctor", *HERE, "--bootnodes", "", "--nodedb", path, "--json")
    assert levels(result)["database"] == "problem"


def test_silent_bootnode_is_a_problem(run, online):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HOST, 0))
        key = p2p.generate_key().public_key
        node = p2p.Node.from_parts(key, HOST, 0, sock.getsockname()[1])
        result = run("doctor", *HERE, "--bootnodes", node.url, "--json")
    assert levels(result)["discv4"] == levels(result)["discv5"] == "problem"
    assert levels(result)["address"] == "skipped"


def test_router_that_is_silent_is_a_warning_with_a_remedy(run, online):
    options = ["--addr", f"{HOST}:0", "--bootnodes", "", "--nat", f"pmp:{HOST}"]
    result = run("doctor", *options, "--timeout", "20s", "--json")
    last = result.records[-1]
    assert (last["check"], last["level"]) == ("nat", "warning")
    assert "forward the ports" in last["remedy"] and result.err == ""
    assert result.exit_code == ExitCode.OK


@pytest.mark.parametrize(("ahead_s", "level"), [(0.0, Level.OK), (60.0, Level.PROBLEM)])
def test_clock_is_compared_with_a_time_server(ahead_s, level):
    server = TimeServer()
    server.answer = lambda request: answer_at(time.time() - ahead_s)(request)
    with closing(server):
        (finding,) = checks.clock(5.0, server.address)
    assert finding.level is level
    assert (finding.facts["drift_s"] > 50) == (level is Level.PROBLEM)


def test_time_server_that_is_silent_is_a_warning():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HOST, 0))
        (finding,) = checks.clock(0.1, sock.getsockname())
    assert finding.level is Level.WARNING and finding.remedy


def test_machine_without_a_route_is_offline(run, monkeypatch):
    monkeypatch.setattr(checks, "_source", lambda version: "")
    result = run("doctor", "--addr", f"{HOST}:0", "--json")
    found = levels(result)
    assert found == {"families": "problem", "ports": "ok", "internet": "skipped"}
    assert "offline" in result.records[0]["text"]
    assert result.exit_code == ExitCode.NEGATIVE


@pytest.mark.slow
def test_offline_in_a_namespace_without_a_network():
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("needs root and unshare")
    command = ["unshare", "--net", sys.executable, "-m", "p2p", "doctor", "--addr", ":0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50)
    if "Operation not permitted" in done.stderr:
        pytest.skip("no namespaces here")
    assert done.returncode == ExitCode.NEGATIVE
    assert "offline" in done.stdout and done.stderr == ""
