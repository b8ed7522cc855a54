"""The commands that ask the network, against go-ethereum's node and its devp2p."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

import p2p
from p2p.cli.exitcode import ExitCode
from p2p.cli.files.nodes import read_nodes
from tests.cli.conftest import Run

from .discovery import StartDiscovery
from .program import BUILD, StartProgram, StartProgramV5

#: Seconds for a run of go-ethereum's program, on a busy machine.
GO_S = 60.0
FAST = ("--rate", "1000", "--pause", "0s")


def devp2p(*arguments: object) -> str:
    """Run go-ethereum's devp2p; return what it prints."""
    program = BUILD / "devp2p"
    if not program.exists():
        pytest.fail(f"{program.name} is not built; run tests/interop/build.sh go")
    command = [str(program), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=GO_S)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


class TestGo:
    kind = "go"

    def test_ping_has_its_hello_without_a_common_capability(
        self, start_program: StartProgram, run: Run
    ) -> None:
        theirs = start_program("foo/1/5,bar/2/3", bootnodes=())
        result = run("ping", theirs.enode, "--only", "v4", "--only", "rlpx", "--json")
        assert result.exit_code == ExitCode.OK
        steps = {record["step"]: record for record in result.records}
        assert all(record["ok"] for record in steps.values())
        assert steps["hello"]["name"] == "their node"
        assert steps["hello"]["capabilities"] == ["bar/2", "foo/1"]
        assert steps["discv4"]["record_seq"] > 0

    def test_ping_shows_that_it_is_full(self, start_program: StartProgram, run: Run) -> None:
        result = run("ping", start_program(max_peers=0).enode, "--only", "rlpx", "--json")
        last = result.records[-1]
        assert result.exit_code == ExitCode.REFUSED
        assert last["error"] == "RefusedByPeer" and "too many peers" in last["text"]

    def test_ping_shows_that_the_key_is_another_one(
        self, start_program: StartProgram, run: Run
    ) -> None:
        theirs = start_program().node
        assert theirs.ip is not None
        other = p2p.generate_key().public_key
        node = p2p.Node.from_parts(other, theirs.ip, theirs.tcp, theirs.udp)
        result = run("ping", node.url, "--only", "rlpx", "--json")
        last = result.records[-1]
        assert (last["step"], last["error"]) == ("handshake", "ConnectionLost")
        assert "public key" in last["remedy"]

    def test_discv4_asks_it(self, start_program: StartProgram, run: Run) -> None:
        theirs = start_program(bootnodes=())
        assert run("discv4", "ping", theirs.enode).exit_code == ExitCode.OK
        record = run("discv4", "request-enr", theirs.enode, "--json").records[0]["node"]
        assert p2p.parse_node(record).id == theirs.node.id
        found = run("discv4", "lookup", "--bootnodes", theirs.enode, "--explain", "--json")
        hops = [each["id"] for each in found.records if "hop" in each]
        assert hops[0] == str(theirs.node.id)  # it names those that have asked it before

    def test_discv5_asks_it(self, start_v5: StartProgramV5, run: Run) -> None:
        boot = start_v5()
        record = run("discv5", "request-enr", boot.record, "--json").records[0]["node"]
        assert record == boot.record
        assert run("discv5", "ping", boot.record).exit_code == ExitCode.OK
        itself = run("discv5", "find-node", boot.record, "--distance", "0", "--json").records
        assert [each["node"] for each in itself] == [boot.record]
        found = run("discv5", "lookup", "--bootnodes", boot.record, "--explain", "--json")
        assert next(each["id"] for each in found.records if "hop" in each) == str(boot.node.id)

    def test_its_devp2p_and_we_continue_the_crawls_of_each_other(
        self, start_program: StartProgram, run: Run, tmp_path: Path
    ) -> None:
        file = tmp_path / "nodes.json"
        nodes = [start_program(bootnodes=())]
        nodes += [start_program(bootnodes=[nodes[0].enode]) for _ in range(2)]
        ids = {node.node.id for node in nodes}
        for other in nodes[1:]:
            nodes[0].expect("node_added", peer=str(other.node.id))
        options = (*FAST, "--bootnodes", ",".join(node.enode for node in nodes))
        assert run("discv4", "crawl", file, *options).exit_code == ExitCode.OK
        ours = read_nodes(file)
        assert ours.keys() == ids and {entry.score for entry in ours.values()} == {1}
        assert "3" in devp2p("nodeset", "info", file)
        devp2p("discv4", "resolve-json", "--addr", "127.0.0.1:0", "--bootnodes", "", file)
        theirs = read_nodes(file)
        assert theirs.keys() == ids and {entry.score for entry in theirs.values()} == {2}
        for node_id, entry in theirs.items():
            assert entry.first_response_unix == ours[node_id].first_response_unix
        again = run("discv4", "crawl", file, *options, "--revalidate", "0s")
        assert again.exit_code == ExitCode.OK
        assert {entry.score for entry in read_nodes(file).values()} == {3}

    @pytest.mark.parametrize("protocol", ["v4", "v5"])
    def test_its_devp2p_crawls_our_nodes_from_our_file(
        self, start_discovery: StartDiscovery, run: Run, tmp_path: Path, protocol: str
    ) -> None:
        file = tmp_path / "nodes.json"
        ours = start_discovery(protocol=protocol)
        boot = ("--bootnodes", str(ours.node))
        assert run(f"disc{protocol}", "crawl", file, *FAST, *boot).exit_code == ExitCode.OK
        values = json.loads(file.read_text())
        for value in values.values():  # as if the crawl were an hour ago
            value["lastCheck"] = "2020-01-01T00:00:00Z"
        file.write_text(json.dumps(values))
        options = ("--addr", "127.0.0.1:0", "--bootnodes", str(ours.node), "--timeout", "3s")
        devp2p(f"disc{protocol}", "crawl", *options, file)
        assert read_nodes(file)[ours.node.id].score == 2
