"""p2p node: as a process with signals, pipes and a terminal, and real peers."""

from __future__ import annotations

import json
import re
import secrets
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

import p2p
from p2p.cli.exitcode import ExitCode
from tests.cli.terminal import PROGRAM, Terminal
from tests.kit.monitorpage import Page
from tests.kit.processes import Program
from tests.kit.waiting import PATIENCE_S, eventually

HOST = "127.0.0.1"
pytestmark = pytest.mark.slow


class NodeProcess:
    """``p2p node --json`` and its events; ``node`` is what it says of itself."""

    def __init__(self, stack, *arguments: object, stdin: int = subprocess.DEVNULL) -> None:
        words = ["node", "--json", "--addr", f"{HOST}:0", *map(str, arguments)]
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *words],
            stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        stack.callback(self.close)
        self.unread = []
        self.node = p2p.parse_node(self.event("start")["record"])

    def event(self, kind, **wanted):
        """The next event of a kind with these members. Those of other kinds are kept."""
        wanted = {"event": kind, **wanted}
        for event in self._more():
            if wanted.items() <= event.items():
                self.unread.remove(event)
                return event
        raise AssertionError(f"no {kind}: {self.process.stderr.read()}")

    def _more(self):
        """The events that are kept, and then those that come."""
        yield from list(self.unread)
        while line := self.process.stdout.readline():
            self.unread.append(json.loads(line))
            yield self.unread[-1]

    def end(self, number=signal.SIGTERM):
        """End it by a signal; returns its exit code and what it wrote to the standard error."""
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, errors

    def close(self):
        with self.process:
            self.process.kill()


@pytest.fixture
def start():
    """A function that starts a node as a process."""
    with ExitStack() as stack:

        def start_node(*arguments, **options):
            return NodeProcess(stack, *arguments, **options)

        yield start_node


@pytest.fixture
def terminal():
    """A function that starts a node in a terminal."""
    with ExitStack() as stack:

        def start_node(*arguments, **size):
            started = Terminal("node", "--addr", f"{HOST}:0", *arguments, **size)
            stack.callback(started.close)
            return started

        yield start_node


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_peers_properly(start, number):
    node = start()
    with p2p.connect(node.node, name="echo", version=1, length=1) as rw:
        rw.send(0, "foo")
        assert rw.read_msg(PATIENCE_S).decode(str) == "foo"
        node.event("peer", type="add")
        assert node.end(number) == (0, "")
        with pytest.raises(p2p.PeerDisconnected) as left:
            rw.read_msg(PATIENCE_S)
    assert left.value.reason == p2p.DiscReason.QUITTING and left.value.by_remote


def test_nodes_find_each_other_and_chat_through_pipes(start):
    ann = start("--serve", "chat", "--name", "ann")
    bob = start(
        "--serve", "chat", "--name", "bob", "--bootnodes", ann.node, stdin=subprocess.PIPE
    )
    bob.process.stdin.write("hello\n")
    bob.process.stdin.flush()
    ann.event("peer", type="add", name="bob")
    assert ann.event("message")["text"] == "bob: hello"
    assert bob.end()[0] == 0
    assert "client quitting" in ann.event("peer", type="drop", name="bob")["error"]


def test_page_is_served_and_its_address_is_an_event(start):
    node = start("--page")
    url = node.event("page")["url"]
    with Page(url) as page:
        assert page.state["node"]["self"]["id"] == str(node.node.id)
    assert node.end() == (0, "")


def test_page_is_opened_by_a_file_that_only_its_owner_can_read(start, tmp_path, monkeypatch):
    browser, seen = tmp_path / "browser", tmp_path / "seen"
    browser.write_text(f"#!/bin/sh\necho \"$1\" > {seen}.new && mv {seen}.new {seen}\n")
    browser.chmod(0o700)
    monkeypatch.setenv("BROWSER", str(browser))
    node = start("--open")
    url = node.event("page")["url"]
    eventually(seen.exists)
    opened = seen.read_text().strip()
    assert opened.startswith("file://") and url.split("/")[3] not in opened
    path = Path(opened.removeprefix("file://"))
    assert url in path.read_text() and path.stat().st_mode & 0o777 == 0o600
    assert node.end() == (0, "")
    assert not path.parent.exists()


def test_nodes_find_each_other_on_the_lan_without_any_address(start):
    """On loopback, where other tests may be; they are named."""
    names = [f"lan {secrets.token_hex(8)}" for _ in range(2)]
    ann, _ = (start("--lan", "--nodiscover", "--name", name) for name in names)
    ann.event("peer", type="add", name=names[1])


def test_a_node_goes_on_after_the_end_of_its_input(start):
    ann = start("--serve", "chat", "--name", "ann")
    bob = start("--serve", "chat", "--connect", ann.node, stdin=subprocess.PIPE)
    bob.process.stdin.write("the last one")
    bob.process.stdin.close()
    assert ann.event("message")["text"].endswith(": the last one")
    bob.process.stdin = None
    assert bob.end() == (0, "")


def test_key_and_nodes_of_files_are_kept(start, tmp_path):
    p2p.save_key(tmp_path / "node.key", p2p.generate_key())
    first = start("--nodekey", tmp_path / "node.key", "--nodedb", tmp_path / "nodes.db")
    first.end()
    again = start("--nodekey", tmp_path / "node.key", "--nodedb", tmp_path / "nodes.db")
    assert again.node.id == first.node.id and again.node.seq >= first.node.seq
    assert p2p.load_key(tmp_path / "node.key").public_key == first.node.public_key


def test_options_reach_the_server(start):
    node = start(
        *("--serve", "none", "--network", "sepolia", "--no-v4", "--nodial"),
        *("--extaddr", "203.0.113.7:31303", "--topics"),
    )
    assert str(node.node.tcp_endpoint) == "203.0.113.7:31303"
    assert p2p.eth.fork_id_of(node.node) is not None and "topic-discovery" in node.node.record
    assert node.end() == (0, "")


def test_log_lines_are_for_people():
    words = [
        sys.executable,
        "-c",
        PROGRAM,
        "node",
        "--log",
        "--addr",
        f"{HOST}:0",
        "--name",
        "ann",
    ]
    with Program(words, stdout=subprocess.PIPE, text=True) as process:
        line = next(line for line in process.stdout if "started as" in line)
        assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d info: started as enode://", line)
        with p2p.connect(line.split()[-1], name="echo", version=1, length=1, node_name="bob") as rw:
            rw.send(0, 5)
            rw.read_msg(PATIENCE_S)
        lines = [next(process.stdout)]
        while "has left" not in lines[-1]:
            lines.append(next(process.stdout))
        process.send_signal(signal.SIGINT)
        text = "".join(lines) + process.stdout.read()
    assert process.returncode == 0
    assert "bob is a peer, at 127.0.0.1:" in text and "bob: 1 message echoed" in text
    assert "bob has left: disconnect requested (remote)" in text


@pytest.mark.parametrize("options", [(), ("--serve", "chat"), ("--nodiscover",)])
def test_the_command_for_another_terminal_joins_this_node(options):
    words = [sys.executable, "-c", PROGRAM, "node", "--log", "--addr", f"{HOST}:0", *options]
    with Program(words, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True) as first:
        line = next(line for line in first.stdout if "in another terminal: " in line)
        _, _, command = line.strip().partition(": p2p ")
        again = [sys.executable, "-c", PROGRAM, *command.split(), "--log", "--name", "bob"]
        with Program(again, stdout=subprocess.PIPE, text=True) as second:
            assert any("is a peer" in line for line in second.stdout)
            second.send_signal(signal.SIGINT)
        first.send_signal(signal.SIGINT)
    assert first.returncode == second.returncode == 0


def test_an_address_in_use_is_one_line(run, start):
    taken = start().node.tcp_endpoint
    result = run("node", "--addr", taken)
    assert result.exit_code == ExitCode.SYSTEM
    assert "in use" in result.err and len(result.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--addr", "nowhere"], "--addr"),
        (["--nat", "magic"], "nat"),
        (["--network", "ropsten"], "'mainnet', 'sepolia', 'hoodi'"),
        (["--netrestrict", "10.0.0.0/99"], "net_restrict"),
        (["--connect", "bob"], "give an enode URL"),
        (["--bootnodes", "enode://1"], "give enode URLs or records"),
        (["--extaddr", "here"], "want 203.0.113.7"),
        (["--extaddr", "203.0.113.7,203.0.113.8"], "--extaddr: "),
        (["--nodekey", "no.key"], "p2p key new no.key"),
    ],
)
def test_a_wrong_option_is_named(run, arguments, words):
    result = run("node", *arguments)
    assert result.exit_code == ExitCode.USAGE and words in result.err


# the live view


@pytest.mark.parametrize("columns", [80, 140])
def test_live_view_shows_a_peer_its_traffic_and_its_messages(terminal, columns):
    node = terminal("--serve", "chat", "--name", "ann", columns=columns)
    screen = node.wait_for(lambda text: "say>" in text)
    url = re.search(r"enode://.*?(?=listens on)", screen.replace("\n", ""))[0]
    with p2p.connect(url, name="chat", version=1, length=1, node_name="bob") as rw:
        rw.send_items(0, "hello \x1b[2J")
        row = r"^[0-9a-f]{16} +bob .* in +\d+s +\d+ B +\d+ B"
        row += " .*chat/1" if columns == 140 else ""
        screen = node.wait_for(lambda text: "bob: hello" in text and re.search(row, text, re.M))
        assert "bob: hello \\x1b[2J" in screen
        assert "peers: 1 of at most 50" in screen
        assert ("chat/1" in screen) == (columns == 140)
        node.type("good morni\x7fing")
        node.wait_for(lambda text: "say> good morning" in text)
        node.type("\r")
        assert rw.read_msg(PATIENCE_S).decode(tuple[str]) == ("good morning",)
        node.wait_for(lambda text: "ann: good morning" in text)
    node.wait_for(lambda text: "bob has left" in text and "peers: 0" in text)
    node.signal(signal.SIGTERM)
    assert node.wait() == 0
    assert re.search(r"ann ended after \d+s: ", node.text)


def test_ctrl_c_and_ctrl_d_end_the_live_view(terminal):
    for key in "\x03", "\x04":
        node = terminal("--serve", "chat")
        node.wait_for(lambda text: "say>" in text)
        node.type(key)
        assert node.wait() == 0


def test_log_on_a_terminal_has_no_view(terminal):
    node = terminal("--log")
    node.wait_for(lambda text: "started as" in text)
    node.type("\x03")
    assert node.wait() == 0
    assert "peers:" not in node.text


def test_taken_port_is_an_error_with_a_remedy(run):
    with socket.create_server((HOST, 0)) as taken:
        result = run("node", "--log", "--addr", f"{HOST}:{taken.getsockname()[1]}")
    assert result.exit_code == ExitCode.SYSTEM
    assert "another program has this port" in result.err.splitlines()[-1]
