"""p2p crawl of real nodes on loopback: files, hellos, the report, Ctrl-C and the way on."""

from __future__ import annotations

import json
import re
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

import p2p
from p2p.cli import report
from p2p.cli.crawl.results import Result
from p2p.cli.crawl.summary import charts, client_of, version_of
from p2p.cli.discovery.drawing import draw
from p2p.cli.discovery.walk import Hop
from p2p.cli.exitcode import ExitCode
from p2p.cli.failure import text_of
from p2p.cli.files.lock import locked
from p2p.cli.files.nodes import NodeEntry, read_nodes, write_nodes
from tests.kit.processes import Program

from ..swarm import HOST, swarm
from ..terminal import PROGRAM

pytestmark = pytest.mark.slow
COUNT = 8
FAST = ("--rate", "1000", "--parallel", "8", "--pause", "0s")
SEPOLIA = p2p.networks.SEPOLIA


@pytest.fixture(params=["v4", "v5"])
def nodes(request):
    with swarm(request.param, COUNT) as fronts:
        yield request.param, fronts


@pytest.fixture
def servers() -> Iterator[list[p2p.Server]]:
    """Three servers with both protocols; the first is the bootnode of the others."""
    with ExitStack() as stack:
        made: list[p2p.Server] = []
        for number in range(3):
            server = p2p.Server(
                private_key=p2p.generate_key(),
                name=f"Client{number % 2}/v1.{number}.0-stable/linux<b>",
                max_peers=20,
                no_dial=True,
                listen_addr=f"{HOST}:0",
                bootstrap_nodes=[made[0].self] if made else [],
                protocols=[p2p.Protocol("abc", 7, 3)],
            )
            made.append(stack.enter_context(server))
            if len(made) == 1:
                events = stack.enter_context(server.discovery_v4.subscribe_events())
                server.set_entry("eth", p2p.eth.eth_entry(SEPOLIA.chain.fork_id(0, 0)))
        missing = {server.self.id for server in made[1:]}
        while missing:
            missing.discard(events.get(20).node.id)
        yield made


def ids(fronts) -> set[p2p.NodeID]:
    return {front.self.id for front in fronts}


def test_crawl_writes_each_node_that_answers(run, nodes, tmp_path):
    protocol, fronts = nodes
    file = tmp_path / "nodes.json"
    boot = ("--bootnodes", str(fronts[0].self))
    result = run(f"disc{protocol}", "crawl", file, *boot, *FAST)
    assert result.exit_code == ExitCode.OK, result.err
    found = read_nodes(file)
    assert found.keys() == ids(fronts)
    for front in fronts:
        entry = found[front.self.id]
        assert str(entry.node) == str(front.self) and entry.score == 1
        assert entry.first_response_unix == entry.last_response_unix == entry.last_check_unix
    assert f"nodes         {COUNT}" in result.out


def test_crawl_prints_a_line_for_each_node(run, nodes):
    protocol, fronts = nodes
    boot = ("--bootnodes", str(fronts[0].self))
    result = run(f"disc{protocol}", "crawl", "--json", *boot, *FAST)
    assert {record["id"] for record in result.records} == {str(each) for each in ids(fronts)}
    assert all(record["protocols"] == [protocol] for record in result.records)


def test_node_of_the_file_is_visited_again_and_scored_as_go_does(run, nodes, tmp_path):
    protocol, fronts = nodes
    file = tmp_path / "nodes.json"
    command = [f"disc{protocol}", "crawl", file, "--bootnodes", str(fronts[0].self), *FAST]
    run(*command)
    for gone in fronts[-2:]:
        gone.stop()
    run(*command)  # all were checked a moment ago
    assert {entry.score for entry in read_nodes(file).values()} == {1}
    run(*command, "--revalidate", "0s")
    scores = {node_id: entry.score for node_id, entry in read_nodes(file).items()}
    assert scores == dict.fromkeys(ids(fronts[:-2]), 2)


def test_crawl_without_nodes_says_so(run):
    result = run("crawl", "--bootnodes", "")
    assert result.exit_code == ExitCode.USAGE and "--bootnodes" in result.err


def test_report_that_cannot_be_written_is_an_error_at_the_start(run, tmp_path):
    report = tmp_path / "missing" / "report.html"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HOST, 0))
        sock.setblocking(False)
        port = sock.getsockname()[1]
        node = p2p.Node.from_parts(p2p.generate_key().public_key, HOST, port, port)
        result = run("discv4", "crawl", "--bootnodes", node.url, "--report", report)
        with pytest.raises(BlockingIOError):  # the node was not asked
            sock.recv(1)
    assert result.exit_code == ExitCode.SYSTEM and str(report) in result.err


def test_crawl_without_an_answer_fails(run):
    node = p2p.Node.from_parts(p2p.generate_key().public_key, HOST, 9, 9)
    result = run("discv4", "crawl", "--bootnodes", node.url)
    assert result.exit_code == ExitCode.NO_ANSWER and len(result.err.splitlines()) == 1


def test_crawl_by_both_protocols_has_hellos_and_a_database(run, servers, tmp_path):
    database, report = tmp_path / "nodes.db", tmp_path / "report.html"
    command = ["crawl", "--sqlite", database, "--report", report, "--hello", *FAST]
    command += ["--bootnodes", servers[0].self.url]
    result = run(*command)
    assert result.exit_code == ExitCode.OK, result.err
    with sqlite3.connect(database) as opened:
        rows = opened.execute(
            "SELECT id, client, capabilities, protocols, fork_hash FROM nodes"
        ).fetchall()
    opened.close()
    found = {row[0]: row[1:] for row in rows}
    for server in servers:
        client, caps, protocols, _ = found[str(server.self.id)]
        assert client == server.config.name
        assert json.loads(caps) == ["abc/7"] and json.loads(protocols) == ["v4", "v5"]
    assert found[str(servers[0].self.id)][3] == SEPOLIA.chain.fork_id(0, 0).hash.hex()
    again = run("crawl", "--sqlite", database, "--bootnodes", "", *FAST)  # all of it is there
    assert again.exit_code == ExitCode.OK and "Client1 1.1.0" in again.out


class Texts(HTMLParser):
    """The texts of a page, and the tags in it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data):
        self.texts.append(data)


def test_report_has_a_chart_for_each_question_and_no_other_file(run, servers, tmp_path):
    file, report = tmp_path / "nodes.json", tmp_path / "report.html"
    boot = ["--bootnodes", servers[0].self.url]
    run("crawl", file, "--report", report, "--hello", *boot, *FAST)
    page = Texts(report.read_text(encoding="utf-8"))
    for title in ("Clients", "Versions", "Capabilities", "Networks", "Distances"):
        assert title in page.texts
    assert {"Client0", "Client1 1.1.0", "abc/7", "sepolia"} <= set(page.texts)
    assert page.addresses == [] and page.tags.count("svg") >= 7 and "b" not in page.tags


def test_other_database_is_left_alone(run, servers, tmp_path):
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE mine (id)")
    other.close()
    before = path.read_bytes()
    result = run("crawl", "--sqlite", path, "--bootnodes", servers[0].self.url)
    assert result.exit_code == ExitCode.USAGE and path.read_bytes() == before


@pytest.mark.parametrize("content", [None, b"no database" * 100])
def test_database_that_cannot_be_used_is_one_line(run, tmp_path, content):
    path = tmp_path / "nodes.db"
    path.mkdir() if content is None else path.write_bytes(content)
    result = run("crawl", "--sqlite", path if content else path / "x" / "y", "--bootnodes", "")
    assert result.exit_code == ExitCode.SYSTEM and len(result.err.splitlines()) == 1


@pytest.mark.parametrize("option", ["file", "--sqlite"])
def test_a_file_takes_one_crawl_at_a_time(run, tmp_path, option):
    file = tmp_path / "nodes"
    link = tmp_path / "link"
    link.symlink_to(file)
    words = ["crawl", *([option] if option != "file" else []), link, "--bootnodes", ""]
    with locked(file):
        result = run(*words)
    assert result.exit_code == ExitCode.SYSTEM and len(result.err.splitlines()) == 1
    assert "another command writes it" in result.err and not file.exists()
    assert "another command" not in run(*words).err
    assert not list(tmp_path.glob(".*"))


def test_lock_of_a_crawl_that_was_killed_is_free(run, tmp_path):
    file = tmp_path / "nodes.json"
    code = (
        "import pathlib, sys\n"
        "from p2p.cli.files.lock import locked\n"
        "with locked(pathlib.Path(sys.argv[1])):\n"
        "    print(flush=True)\n"
        "    sys.stdin.read()\n"
    )
    with Program(
        [sys.executable, "-c", code, file], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        holder.stdout.readline()
        assert "another command writes it" in run("crawl", file, "--bootnodes", "").err
        holder.kill()
    assert list(tmp_path.glob(".*"))  # what it has left
    assert "another command" not in run("crawl", file, "--bootnodes", "").err
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    "change",
    ["capabilities = '{'", "capabilities = 'null'", "protocols = '7'", "node = 'x'", "id = 'zz'"],
)
def test_database_with_a_broken_row_is_one_line(run, servers, tmp_path, change):
    path = tmp_path / "nodes.db"
    boot = ("--bootnodes", servers[0].self.url)
    assert run("crawl", "--sqlite", path, "--hello", *boot, *FAST).exit_code == ExitCode.OK
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(f"UPDATE nodes SET {change} WHERE rowid = 1")
    result = run("crawl", "--sqlite", path, *boot, *FAST)
    assert result.exit_code == ExitCode.USAGE and len(result.err.splitlines()) == 1
    assert str(path) in result.err


HOSTILE = (
    *("</svg><script>alert(1)</script>", "a/" * 2**19, "x" * 2**20, "/" * 2**20, "v1" * 2**19),
    *("\x00\x1b[31m\x08", "\u202eevil", "\ud800", '" onload="alert(1)', "&lt;", "\u05d0\u05d1/1.0"),
)


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_report_and_drawing_show_a_hostile_name_as_text(name):
    key = p2p.generate_key()
    hello = {"name": name, "capabilities": [name, "abc/7"], "p2p_version": 5}
    node = p2p.Node.from_parts(key.public_key, "203.0.113.7", 30303, 30303)
    result = Result(NodeEntry(node, 1), ("v4",), hello, name, name)
    nameless = Result(NodeEntry(node, 1), ("v4",), None, name, name)
    html = report.page("title", "subtitle", {"nodes": 2}, charts([result, nameless], node.id))
    hop = Hop(1, node, 256, 1, None, error=text_of(p2p.P2PError(name)))
    svg = draw(node.id, [hop])
    for text in (html, svg):
        assert len(text.encode()) < 50_000
        assert not re.search(r"<script|[\x00-\x09\x0b-\x1f\u202e]", text)
    assert 'onload="' not in html
    root = ElementTree.fromstring(svg)
    assert {each.tag.partition("}")[2] for each in root.iter()} <= {
        *("svg", "style", "title", "text", "line", "path", "circle"),
    }
    assert not any(name.startswith("on") for each in root.iter() for name in each.attrib)


def test_time_that_is_over_keeps_the_nodes_that_wait(run, nodes, tmp_path):
    protocol, fronts = nodes
    file = tmp_path / "nodes.json"
    write_nodes(file, {})
    boot = ("--bootnodes", str(fronts[0].self))
    result = run(f"disc{protocol}", "crawl", file, *boot, "--timeout", "0s")
    assert "not visited: 1 node;" in result.err
    (entry,) = read_nodes(file).values()
    assert (entry.score, entry.last_check_unix) == (0, None)


def test_crawl_after_ctrl_c_goes_on_and_loses_nothing(run, nodes, tmp_path):
    protocol, fronts = nodes
    file = tmp_path / "nodes.json"
    options = [f"disc{protocol}", "crawl", file, "--bootnodes", str(fronts[0].self)]
    slowly = [sys.executable, "-c", PROGRAM, *map(str, options), "--json", "--rate", "20"]
    with Program(slowly, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as it:
        assert it.stdout is not None and it.stderr is not None
        first = json.loads(it.stdout.readline())
        it.send_signal(signal.SIGINT)
        rest = [json.loads(line) for line in it.stdout]
        assert it.wait(20) == ExitCode.INTERRUPTED
        error = it.stderr.read()
    visited = {record["id"] for record in [first, *rest]}
    assert "the same command goes on" in error and "Traceback" not in error
    kept = read_nodes(file)
    done = {str(node_id) for node_id, entry in kept.items() if entry.score}
    assert done == visited and len(visited) < min(COUNT, len(kept))
    result = run(*options, *FAST, "--json")
    assert result.exit_code == ExitCode.OK
    assert not {record["id"] for record in result.records} & visited
    assert read_nodes(file).keys() == ids(fronts)


@pytest.mark.parametrize(
    ("name", "client", "version"),
    [
        ("Geth/v1.16.2-stable-abc/linux-amd64/go1.24", "Geth", "Geth 1.16.2"),
        ("Geth/my node/v1.14.0-unstable/linux", "Geth", "Geth 1.14.0"),
        ("erigon/v3.0.10/linux", "erigon", "erigon 3.0.10"),
        ("", "(no name)", "(no name) ?"),
        ("x" * 100, "x" * 31 + "…", "x" * 31 + "…"),
    ],
)
def test_client_and_version_are_read_from_the_name(name, client, version):
    assert (client_of(name), version_of(name)) == (client, version)


def test_shares_of_capabilities_are_of_the_nodes_with_a_hello(run, servers):
    results = [
        Result(NodeEntry(server.self, 1), ("v4",), {"name": "x", "capabilities": caps})
        for server, caps in zip(servers, (["eth/69", "snap/1"], ["eth/69"], []), strict=True)
    ]
    made = {chart.title: chart for chart in charts(results, servers[0].self.id)}
    assert made["Capabilities"].rows == [("eth/69", 2), ("snap/1", 1)]
    assert made["Capabilities"].total == 3
