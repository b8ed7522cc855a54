"""p2p discv4 and p2p discv5 against real nodes on loopback."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from xml.etree import ElementTree

import pytest

import p2p
from p2p.cli.exitcode import ExitCode
from p2p.enode import log_distance
from tests.kit.processes import Program

from ..swarm import HOST, swarm
from ..terminal import PROGRAM

both = pytest.mark.parametrize("protocol", ["v4", "v5"])
pytestmark = pytest.mark.slow
COUNT = 5


@pytest.fixture(params=["v4", "v5"])
def nodes(request):
    """A few nodes of one protocol; the first knows the others."""
    with swarm(request.param, COUNT) as fronts:
        yield request.param, fronts


def silent_node() -> tuple[socket.socket, p2p.Node]:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((HOST, 0))
    key = p2p.generate_key().public_key
    return sock, p2p.Node.from_parts(key, HOST, 0, sock.getsockname()[1])


def test_ping_shows_time_and_record_number(run, nodes):
    protocol, fronts = nodes
    result = run(f"disc{protocol}", "ping", fronts[0].self.url, "--json")
    assert result.exit_code == ExitCode.OK
    assert result.records[0]["record_seq"] == fronts[0].self.seq


@both
def test_ping_without_an_answer_says_what_to_do(run, protocol):
    sock, node = silent_node()
    with sock:
        result = run(f"disc{protocol}", "ping", node.url)
    assert result.exit_code == ExitCode.NO_ANSWER
    assert len(result.err.splitlines()) == 1 and "firewall" in result.err


def test_request_enr_prints_the_record(run, nodes):
    protocol, fronts = nodes
    result = run(f"disc{protocol}", "request-enr", fronts[0].self.url)
    assert result.out.strip() == str(fronts[0].self)


def test_resolve_finds_a_node_without_an_address(run, nodes):
    protocol, fronts = nodes
    wanted = fronts[1].self
    lost = p2p.Node.from_parts(wanted.public_key)
    boot = ["--bootnodes", str(fronts[0].self)]
    result = run(f"disc{protocol}", "resolve", lost.url, *boot, "--json")
    assert result.records[0]["node"] == str(wanted)


def test_resolve_of_an_unknown_node_finds_nothing(run, nodes):
    protocol, fronts = nodes
    unknown = p2p.Node.from_parts(p2p.generate_key().public_key)
    result = run(f"disc{protocol}", "resolve", unknown.url, "--bootnodes", str(fronts[0].self))
    assert result.exit_code == ExitCode.NEGATIVE and "bootnodes" in result.err


def test_lookup_finds_the_nodes_nearest_first(run, nodes):
    protocol, fronts = nodes
    target = fronts[2].self
    boot = ["--bootnodes", str(fronts[0].self)]
    result = run(f"disc{protocol}", "lookup", target.url, *boot, "--json")
    ids = [record["id"] for record in result.records]
    assert ids[0] == str(target.id) and len(ids) == COUNT
    assert [record["distance"] for record in result.records] == sorted(
        log_distance(target.id, bytes.fromhex(each)) for each in ids
    )


def test_drawing_that_cannot_be_written_is_an_error_at_the_start(run, nodes, tmp_path):
    protocol, fronts = nodes
    file = tmp_path / "missing" / "lookup.svg"
    result = run(f"disc{protocol}", "lookup", "--bootnodes", str(fronts[0].self), "--svg", file)
    assert (result.exit_code, result.out) == (ExitCode.SYSTEM, "")
    assert str(file) in result.err and "looking up" not in result.err


def test_explained_lookup_shows_each_hop_and_draws_them(run, nodes, tmp_path):
    protocol, fronts = nodes
    file = tmp_path / "lookup.svg"
    boot = ["--bootnodes", str(fronts[0].self)]
    target = fronts[2].self
    result = run(f"disc{protocol}", "lookup", target.url, *boot, "--svg", file, "--json")
    hops = {record["id"]: record for record in result.records if "hop" in record}
    assert hops.keys() == {str(front.self.id) for front in fronts}
    first = hops[str(fronts[0].self.id)]
    assert (first["depth"], first["named_by"], first["named"]) == (1, None, COUNT - 1)
    assert all(hop["named_by"] in (None, *hops) and hop["ok"] for hop in hops.values())
    assert result.records[-COUNT]["id"] == str(target.id)
    circles = list(ElementTree.parse(file).iter("{http://www.w3.org/2000/svg}circle"))
    assert len(circles) == COUNT + 1  # and the target


def test_lookup_without_any_node_fails(run):
    result = run("discv4", "lookup", "--explain", "--bootnodes", "")
    assert result.exit_code == ExitCode.NO_ANSWER and "--bootnodes" in result.err


def test_find_node_asks_one_node(run, nodes):
    protocol, fronts = nodes
    # A random target may be where no node is: next to the asked one.
    target = ["--target", fronts[1].self.url]
    result = run(f"disc{protocol}", "find-node", fronts[0].self.url, *target, "--json")
    others = {str(front.self.id) for front in fronts[1:]}
    assert others & {record["id"] for record in result.records}


def test_find_node_without_a_node_where_it_looks_says_so(run):
    with swarm("v5", 2) as fronts:
        first = fronts[0].self
        target = bytes(first.id[:-1]) + bytes([first.id[-1] ^ 1])
        result = run("discv5", "find-node", first.url, "--target", target.hex(), "--json")
    assert (result.exit_code, result.records) == (ExitCode.NEGATIVE, [])
    assert "knows no such node" in result.err


def test_find_node_takes_distances_of_v5(run, nodes):
    protocol, fronts = nodes
    result = run(f"disc{protocol}", "find-node", fronts[0].self.url, "--distance", "0", "--json")
    if protocol == "v4":
        assert result.exit_code == ExitCode.USAGE
    else:
        assert [record["node"] for record in result.records] == [str(fronts[0].self)]


def test_target_may_be_a_node_id_in_v5_only(run, nodes):
    protocol, fronts = nodes
    target = str(fronts[1].self.id)
    result = run(f"disc{protocol}", "lookup", target, "--bootnodes", str(fronts[0].self), "--json")
    if protocol == "v4":
        assert result.exit_code == ExitCode.USAGE and "128 hex digits" in result.err
    else:
        assert result.records[0]["id"] == target


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--bootnodes", "enode://1"),
        ("--extaddr", "203.0.113.7:0"),
        ("--extaddr", "here"),
        ("--nodekey", "/nowhere/node.key"),
        ("--timeout", "soon"),
    ],
)
def test_wrong_option_is_named(run, nodes, option, value):
    protocol, fronts = nodes
    result = run(f"disc{protocol}", "ping", fronts[0].self.url, option, value)
    assert result.exit_code == ExitCode.USAGE and len(result.err.splitlines()) == 1


@both
def test_listen_shows_its_record_and_ends_by_ctrl_c(protocol):
    command = [sys.executable, "-c", PROGRAM, f"disc{protocol}", "listen", "--bootnodes", ""]
    command += ["--addr", f"{HOST}:0", "--extaddr", "203.0.113.7:30399", "--json"]
    with Program(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as it:
        assert it.stdout is not None and it.stderr is not None
        own = p2p.parse_node(json.loads(it.stdout.readline())["node"])
        note = it.stderr.readline()
        assert "Ctrl-C" in note
        assert str(own.udp_endpoint) == "203.0.113.7:30399"
        port = int(note.split(";")[0].rpartition(":")[2])
        here = own.with_endpoint(HOST, 0, port)
        with swarm(protocol, 1) as (front,):
            front.ping(here, 10)
            event = json.loads(it.stdout.readline())
        assert event["event"] == "added" and event["id"] == str(front.self.id)
        it.send_signal(signal.SIGINT)
        assert it.wait(20) == ExitCode.OK
        assert it.stderr.read().strip() == ""
