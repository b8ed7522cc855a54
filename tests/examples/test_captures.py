"""The how-to on captures: its programs and commands, with the output that stands beside them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import p2p
from p2p.capture import Recording
from p2p.keylog.writer import VARIABLE
from tests.kit.nodes import unused_port
from tests.kit.processes import Program
from tests.kit.tcpdump import needs_tcpdump
from tests.kit.waiting import PATIENCE_S, eventually

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "howto" / "captures.md").read_text(encoding="utf-8")
CHAT, OPTION, TALK, READ, RECORDED, REPLAY = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
CONSOLES = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
(RECORDING,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)


@dataclass
class Started:
    """A process, and all its output once it has ended."""

    process: subprocess.Popen[str]
    said: str = ""
    warned: str = ""


class Folder:
    """A folder with the program of the page, and its commands, as a user runs them."""

    def __init__(self, path: Path, port: int) -> None:
        self.path = path
        self.port = port
        self.environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{path}"}
        chat = CHAT.replace(":30303", f":{port}")
        assert chat != CHAT
        (path / "chat.py").write_text(chat, encoding="utf-8")

    def run(self, *command: str, code: int = 0) -> list[str]:
        """The lines that a command prints."""
        done = subprocess.run(
            command,
            cwd=self.path,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )
        assert done.returncode == code, done.stderr
        return done.stdout.splitlines()

    @contextmanager
    def started(self, *command: str, **variables: str) -> Iterator[Started]:
        """A command that runs, and ends by Ctrl-C."""
        with Program(
            command,
            cwd=self.path,
            env={**self.environment, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            started = Started(process)
            try:
                yield started
            finally:
                os.killpg(process.pid, signal.SIGINT)
                started.said, started.warned = process.communicate(timeout=PATIENCE_S)

    @contextmanager
    def node(self, program: str = "chat.py") -> Iterator[str]:
        """The URL of the running node."""
        with self.started(sys.executable, program, **{VARIABLE: "keys.log"}) as started:
            assert started.process.stdout is not None
            yield started.process.stdout.readline().strip()
        assert started.warned == CONSOLES[0].splitlines()[1] + "\n"


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path, unused_port())


def shape(line: str) -> str:
    """A line of the decoder without times, ports and what the page leaves out."""
    line = re.sub(r"\d\d:\d\d:\d\d\.\d{6}", "TIME", line)
    line = re.sub(r"127\.0\.0\.1:\d+ → 127\.0\.0\.1:\d+", "ENDS", line)
    return re.sub(r"(caps=\[chat/1\]).*", r"\1", line)


@needs_tcpdump
@pytest.mark.slow
def test_capture_is_decoded_as_the_page_shows(folder: Folder) -> None:
    pytest.importorskip("pcapy")
    capture, *_ = CONSOLES[1].splitlines()
    command = capture.removeprefix("# p2p ").replace("30303", str(folder.port)).split()
    with folder.node() as url:
        with folder.started(sys.executable, "-m", "p2p", *command) as started:
            pcap = folder.path / "node.pcap"
            eventually(pcap.exists, "tcpdump has begun")
            assert folder.run(sys.executable, "-c", TALK, url) == ["hello, alice"]
            eventually(lambda: shapes(folder)[-1:] == wanted()[-1:], "the end is captured")
        said = re.sub(r"^\d+", "12", started.said)
        assert said == CONSOLES[1].splitlines()[1] + "\n"
    assert shapes(folder) == wanted()
    lines = folder.run(sys.executable, "-c", READ)
    assert [line.split()[0] for line in lines] == ["Hello", "Hello", "Text", "Text", "Disconnect"]
    assert "text='good morning'" in lines[2]


def wanted() -> list[str]:
    return [shape(line.removesuffix(" …")) for line in CONSOLES[2].splitlines()[2:]]


def shapes(folder: Folder) -> list[str]:
    command = CONSOLES[2].splitlines()[1].removeprefix("$ p2p ").split()
    done: list[str] = folder.run(sys.executable, "-m", "p2p", *command)
    return [shape(line) for line in done]


def test_option_is_one_of_a_server(tmp_path: Path) -> None:
    def make(*_: object, **options: Any) -> p2p.Server:
        return p2p.Server(private_key=p2p.generate_key(), name="x", max_peers=1, **options)

    class Module:
        """Stands for p2p in the fragment."""

        Server = staticmethod(make)

    names: dict[str, Any] = {"p2p": Module}
    exec(OPTION, names)
    assert names["server"].config.key_log == "keys.log"


@pytest.mark.slow
def test_conversation_is_recorded_and_replayed(folder: Folder) -> None:
    main = CHAT[CHAT.index("if __name__") :].replace(", handle)", ", recorded)")
    program = f"{RECORDED}\n\n{main}".replace(":30303", f":{folder.port}")
    (folder.path / "recorded.py").write_text(program, encoding="utf-8")
    with folder.node("recorded.py") as url:
        folder.run(sys.executable, "-c", TALK, url)
        eventually(lambda: len(lines_of(folder)) == 4, "the end is recorded")
    shown = [json.loads(line) for line in RECORDING.splitlines()]
    made = [json.loads(line) for line in lines_of(folder)]
    for both in (shown, made):
        for line in both:
            line.pop("at", None)
            line.pop("time", None)
    assert made == shown
    command, said = CONSOLES[4].splitlines()
    assert folder.run(sys.executable, "-m", *command.removeprefix("$ ").split()) == [said]
    folder.run(sys.executable, "-c", REPLAY)


def lines_of(folder: Folder) -> list[str]:
    path = folder.path / "talk.jsonl"
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def test_recording_of_the_page_is_one(tmp_path: Path) -> None:
    (tmp_path / "talk.jsonl").write_text(RECORDING, encoding="utf-8")
    recording = Recording.load(tmp_path / "talk.jsonl")
    assert (str(recording.peer), len(recording.entries)) == ("alice", 3)
