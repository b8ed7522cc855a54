"""p2p doctor on loopback, where each check has a known result."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing

import pytest

import p2p
from p2p.cli.doctor import checks, limits
from p2p.cli.doctor.finding import Level
from p2p.cli.exitcode import ExitCode
from p2p.enode import NodeDB
from p2p.enr import Record
from p2p.lan import link
from p2p.lan.txt import txt_of
from p2p.peers import outcomes
from tests.discover.timeserver import TimeServer, answer_at
from tests.kit.nodes import closed_port
from tests.kit.router import running_router
from tests.lan.kit import announced

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
        ["families", "ports", "database", "discv4", "discv5", "address", "limits"], "ok"
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
    (found,) = (record for record in result.records if record["check"] == "nat")
    assert found["level"] == "warning" and "no router answers" in found["text"]
    assert "forward the ports" in found["remedy"] and result.err == ""
    assert result.exit_code == ExitCode.OK


@pytest.fixture
def router(monkeypatch):
    with running_router() as router:
        monkeypatch.setattr("p2p.nat.natpmp.PORT", router.endpoint.port)
        yield router


def of_nat(run) -> list[tuple[str, str]]:
    options = ["--addr", f"{HOST}:0", "--bootnodes", "", "--nat", f"pmp:{HOST}"]
    records = run("doctor", *options, "--timeout", "20s", "--json").records
    return [(each["level"], each["text"]) for each in records if each["check"] == "nat"]


def test_each_mapped_port_and_the_address_are_shown(run, online, router):
    router.port_shift = 7
    found = of_nat(run)
    assert [level for level, _ in found] == ["ok"] * 3
    for (_, text), protocol in zip(found, ("tcp", "udp"), strict=False):
        inner, outer = map(int, re.findall(r"\d{4,}", text)[:2])
        assert text.startswith(protocol) and outer == inner + 7
    assert "20.0.0.1" in found[-1][1]


def test_port_that_the_router_does_not_map_is_a_warning(run, online, router):
    router.result = 2
    found = of_nat(run)
    assert [level for level, _ in found] == ["warning", "warning", "ok"]
    assert "does not map" in found[0][1] and "not authorized" in found[0][1]


def test_address_that_is_not_public_is_a_warning(run, online, router):
    router.external_ip = "100.64.0.9"
    assert of_nat(run)[-1] == (
        "warning",
        "external address 100.64.0.9 is not public",
    )


# limits


def test_limits_of_a_node_that_runs_are_shown_with_remedies(run, online, server):
    full = p2p.Server(
        private_key=p2p.generate_key(),
        name="full",
        max_peers=0,
        listen_addr=f"{HOST}:0",
        metrics_addr=f"{HOST}:0",
        protocols=[p2p.Protocol("abc", 7, 3)],
    )
    with full:
        with pytest.raises(p2p.ConnectError):
            server.connect(full.self)
        with pytest.raises(p2p.ConnectError):
            full.connect(server.self)
        place = str(full.metrics_addr)
        options = [*HERE, "--bootnodes", "", "--node-metrics", place]
        result = run("doctor", *options, "--json")
    found = {each["metric"]: each for each in result.records if "metric" in each}
    assert found.keys() == {"p2p/serves/error/saturated", "p2p/dials/refused/TooManyPeers"}
    for each in found.values():
        assert each["count"] == 1 and each["level"] == "warning"
        assert "max_peers" in each["remedy"] and place in each["text"]
    assert result.exit_code == ExitCode.OK


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.0 404 No\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\nx 1\n"]
)
def test_what_is_no_node_with_metrics_is_a_warning(run, online, answer):
    def serve(listener: socket.socket) -> None:
        sock, _ = listener.accept()
        with sock:
            sock.recv(1000)
            sock.sendall(answer)

    with socket.create_server((HOST, 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        place = f"{HOST}:{listener.getsockname()[1]}"
        options = [*HERE, "--bootnodes", "", "--node-metrics", place]
        last = run("doctor", *options, "--json").records[-1]
        thread.join()
    assert (last["check"], last["level"]) == ("limits", "warning")
    assert f"no metrics at {place}" in last["text"] and "--metrics" in last["remedy"]


def test_every_limit_names_a_metric_that_servers_have():
    patterns = [
        re.compile(re.sub(r"\\{\w+\\}", ".+", re.escape(family.pattern)))
        for family in p2p.metrics.FAMILIES
    ]
    for limit in limits.LIMITS:
        assert any(pattern.fullmatch(limit.metric) for pattern in patterns), limit.metric
    kinds = {*outcomes.DIAL_KINDS, outcomes.THROTTLED, outcomes.RESTRICTED, outcomes.DISPLACED}
    named = {limit.metric.split("/", 3)[3] for limit in limits.LIMITS}
    assert named - kinds - {"rate", "amplification"} <= set(p2p.errors.__all__)


@pytest.mark.parametrize(("ahead_s", "level"), [(0.0, Level.OK), (60.0, Level.PROBLEM)])
def test_clock_is_compared_with_a_time_server(ahead_s, level):
    server = TimeServer()
    server.answer = lambda request: answer_at(time.time() - ahead_s)(request)
    with closing(server):
        (finding,) = checks.clock(5.0, server.address)
    assert finding.level is level
    assert (finding.facts["drift_s"] > 50) == (level is Level.PROBLEM)


@pytest.fixture
def service_type(monkeypatch):
    """A type of this test alone: other tests use the same loopback interface."""
    monkeypatch.setattr(link, "SERVICE_TYPE", f"_t{secrets.token_hex(5)}._tcp.local.")


def of_lan(run, *options):
    result = run("doctor", *HERE, "--bootnodes", "", "--lan", "--json", *options)
    return [record for record in result.records if record["check"] == "lan"]


def test_nodes_of_the_lan_are_listed_with_their_names(run, service_type):
    made = p2p.Server(
        private_key=p2p.generate_key(),
        name="ann",
        max_peers=5,
        listen_addr=f"{HOST}:0",
        lan_discovery=True,
    )
    with made:
        (found,) = of_lan(run)
    assert (found["level"], found["name"], found["id"]) == ("ok", "ann", str(made.self.id))
    assert re.search(rf"^{made.listen_addr} answers in .*: ann$", found["text"])


def test_announced_node_that_cannot_be_reached_is_a_warning(run, service_type):
    record = Record.sign(p2p.generate_key(), 1, ip=HOST, tcp=closed_port(), udp=1)
    with announced((txt_of(record), HOST)):
        (found,) = of_lan(run)
    assert found["level"] == "warning" and " is announced: " in found["text"] and found["remedy"]


def test_nobody_on_the_lan_is_a_warning(run, service_type):
    (found,) = of_lan(run)
    assert found["level"] == "warning" and "5353" in found["remedy"]


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
