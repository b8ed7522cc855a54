"""The programs of docs/tutorial and of the README run, and do what is said beside them."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import p2p
import p2p.rlp
import p2p.testing
from tests.kit.nodes import unused_port

ROOT = Path(__file__).resolve().parents[2]
TUTORIAL = ROOT / "docs" / "tutorial"
URL = re.compile(r"enode://[0-9a-f]{128}@127\.0\.0\.1:[0-9]+")
CHAPTERS = re.findall(r"\]\(([\w-]+\.md)\)", (TUTORIAL / "index.md").read_text("utf-8"))


def sources(document: str) -> list[str]:
    text = (ROOT / document).read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


@dataclass(frozen=True)
class Folder:
    """The folder in which a reader writes the programs."""

    path: Path
    run: Callable[..., Any]

    def write(self, name: str, source: str) -> str:
        """Write a program, with any free port for its own."""
        path = self.path / name
        path.write_text(re.sub(r'"[0-9.]*:30300"', '"127.0.0.1:0"', source), encoding="utf-8")
        return str(path)

    def start(self, name: str, *args: str) -> Any:
        """Start a program that was written; a program of several threads flushes by itself."""
        return self.run(str(self.path / name), *args, unbuffered=False)


@pytest.fixture
def folder(tmp_path: Path, run: Any, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.chdir(tmp_path)  # some programs make files
    return Folder(tmp_path, run)


@pytest.fixture
def dialer(folder: Folder) -> None:
    folder.write("dialer.py", sources("docs/tutorial/first-connection.md")[1])


@pytest.fixture
def chat(folder: Folder) -> None:
    room, program = sources("docs/tutorial/messages.md")
    folder.write("room.py", room)
    folder.write("chat.py", program)


def test_each_chapter_leads_to_the_next() -> None:
    following = {}
    for chapter in CHAPTERS:
        found = re.findall(r"^Next: \[.*\]\((.*)\)$", (TUTORIAL / chapter).read_text("utf-8"), re.M)
        following[chapter] = found
    assert following == {
        chapter: [after] if after else []
        for chapter, after in zip(CHAPTERS, [*CHAPTERS[1:], ""], strict=True)
    }


# First connection


def test_listener_and_dialer_say_what_is_shown(folder: Folder, dialer: None) -> None:
    folder.write("listener.py", sources("docs/tutorial/first-connection.md")[0])
    listener = folder.start("listener.py")
    url = listener.line()
    assert URL.fullmatch(url)
    assert folder.start("dialer.py", url).end() == (0, ["ann says hello"], "")
    assert listener.end() == (0, ["bob says good morning"], "")


def test_rows_of_the_table_are_what_is_sent_and_read() -> None:
    text = (TUTORIAL / "first-connection.md").read_text(encoding="utf-8")
    row = r"^\| `rw\.(send\w*\(.*?\))`.* \| `msg\.(decode\(.*\))` \|$"
    rows = re.findall(row, text, re.MULTILINE)
    assert len(rows) == 4
    for sent, read in rows:
        ours, theirs = p2p.testing.msg_pipe(length=2)
        eval(f"ours.{sent}", {"ours": ours})
        msg = theirs.read_msg(10)
        assert p2p.rlp.encode(eval(f"msg.{read}", {"msg": msg})) == msg.payload


# A handler


@pytest.mark.parametrize("number", [0, 1], ids=["handler", "loop"])
def test_listener_serves_one_peer_after_the_other(
    folder: Folder, dialer: None, number: int
) -> None:
    folder.write("listener.py", sources("docs/tutorial/handler.md")[number])
    listener = folder.start("listener.py")
    url = listener.line()
    for _ in range(2):
        assert folder.start("dialer.py", url).end() == (0, ["ann says hello bob"], "")
        if number == 0:
            assert listener.line() == "bob is here"
            assert listener.line() == "bob says good morning"
    listener.interrupt()
    assert listener.end() == (0, [], "")


# Several peers


def test_what_one_says_all_hear(folder: Folder) -> None:
    folder.write("chat.py", sources("docs/tutorial/several-peers.md")[0])
    programs: dict[str, Any] = {}
    urls: list[str] = []
    for name in ("ann", "bob", "carl"):
        programs[name] = folder.start("chat.py", name, *urls)
        url = programs[name].line()
        for other in [one for one in programs if one != name]:
            assert programs[other].line() == f"* {name} is here"
        here = {programs[name].line() for _ in urls}
        assert here == {f"* {other} is here" for other in programs if other != name}
        urls.append(url)
    programs["bob"].type("hello \x1b[1mall")
    assert programs["ann"].line() == programs["carl"].line() == "bob: hello ?[1mall"
    assert programs["bob"].end()[0] == 0
    assert programs["ann"].line() == programs["carl"].line() == "* bob has left"


# Messages as dataclasses


def test_a_name_is_changed(folder: Folder, chat: None) -> None:
    ann = folder.start("chat.py", "ann")
    bob = folder.start("chat.py", "bob", ann.line())
    assert URL.fullmatch(bob.line())
    assert [ann.line(), bob.line()] == ["* bob is here", "* ann is here"]
    bob.type("/name robert")
    bob.type("hello")
    assert [ann.line(), ann.line()] == ["* bob is now robert", "robert: hello"]
    bob.type("x" * 2000)
    assert "p2p.errors.EncodeError: Say" in bob.end()[2]


# Errors and tests


def test_program_of_the_errors_says_why_nothing_was_told(folder: Folder, chat: None) -> None:
    folder.write("tell.py", sources("docs/tutorial/errors-and-tests.md")[0])
    ann = folder.start("chat.py", "ann")
    url = ann.line()
    assert folder.start("tell.py", url, "good morning").end() == (0, [], "")
    assert [ann.line(), ann.line()] == ["* tell is here", "tell: good morning"]
    closed = re.sub(r"[0-9]+$", str(unused_port()), url)
    for arguments, text in [
        (("enode://no", "x"), "not the URL of a node: "),
        ((url, "x" * 2000), "not a text to send: "),
        ((closed, "x"), "no connection: "),
    ]:
        code, lines, errors = folder.start("tell.py", *arguments).end()
        assert (code, lines) == (1, []) and errors.startswith(text)
        assert "refused" in errors or not errors.startswith("no connection")


def test_tests_of_the_room_pass(folder: Folder, chat: None) -> None:
    path = folder.write("test_room.py", sources("docs/tutorial/errors-and-tests.md")[1])
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", "."]
    options: Any = {"capture_output": True, "text": True, "timeout": 60, "cwd": folder.path}
    ran = subprocess.run([*command, path], **options)
    assert "3 passed" in ran.stdout, ran.stdout + ran.stderr


# Running as a service


def test_relay_logs_and_ends_by_the_signal_of_its_supervisor(folder: Folder, chat: None) -> None:
    folder.write("relay.py", sources("docs/tutorial/service.md")[0])
    folder.write("chat.py", sources("docs/tutorial/finding-peers.md")[1])
    urls = set()
    for _ in range(2):
        relay = folder.start("relay.py")
        url = relay.line()
        urls.add(url.partition("@")[0])
        ann = folder.start("chat.py", "ann", url)
        assert ann.line() == "* relay is here"
        ann.type("good morning")
        assert ann.end()[0] == 0
        relay.interrupt(signal.SIGTERM)
        code, lines, log = relay.end()
        assert (code, lines) == (0, [])
        assert "INFO chat: '* ann is here'\nINFO chat: 'ann: good morning'\n" in log
        assert "INFO chat: '* ann has left'" in log
    assert len(urls) == 1
    assert (folder.path / "relay.db").exists()


# The README


def test_programs_of_the_readme_talk(folder: Folder) -> None:
    asking, listening = sources("README.md")[:2]
    added = "    print(server.self.url, flush=True)\n    server.wait"  # as the README says
    folder.write("node.py", listening.replace("    server.wait", added))
    url = folder.start("node.py").line()
    folder.write("ask.py", asking.replace("enode://...", url))
    for program in (folder.start("ask.py"), folder.run("foo_bar.py", "dial", url)):
        assert program.end() == (0, ["my node name says bar"], "")


def test_demo_shows_what_the_readme_says() -> None:
    shown = re.search(r"\$ p2p demo\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    assert shown is not None
    command = [sys.executable, "-m", "p2p", "demo"]
    options: Any = {"capture_output": True, "text": True, "timeout": 60, "cwd": ROOT}
    ran = subprocess.run(command, **options)
    assert ran.returncode == 0, ran.stderr
    printed = [varying(line) for line in ran.stdout.splitlines()]
    assert printed[: len(shown[1].splitlines())] == [varying(one) for one in shown[1].splitlines()]


def varying(line: str) -> str:
    """A line of the demo without what differs from run to run: keys, ports, sizes."""
    line = re.sub(r"enode://\S+", "URL", line)
    return re.sub(r"[0-9a-f]{16}…|127\.0\.0\.1:[0-9]+|[0-9]+ (?=bytes|received)", "N ", line)
