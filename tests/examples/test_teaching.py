"""The lessons of docs/howto/teaching.md: each program and each command prints what is shown.

A lesson is played from top to bottom, as a class would. In what is shown, "..." stands for any
text, and as a line of its own for any lines.
"""

from __future__ import annotations

import os
import re
import secrets
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.kit.processes import Program

#: Limit on a command: some simulate a network, beside all other tests.
TIMEOUT_S = 150.0
ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "howto" / "teaching.md").read_text(encoding="utf-8")
#: The parts of the page by their titles.
_, *_parts = re.split(r"^## (.*)\n", PAGE, flags=re.MULTILINE)
PARTS = dict(zip(_parts[::2], _parts[1::2], strict=True))
LESSONS = [title for title in PARTS if title.startswith("Lesson ")]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)


def assert_shown(printed: str, shown: str) -> None:
    pattern = "".join(
        "(?:.*\n)*" if line == "...\n" else re.escape(line).replace(re.escape("..."), ".*")
        for line in shown.splitlines(keepends=True)
    )
    assert re.fullmatch(pattern, printed), printed


class Desk:
    """The computer of a student: a folder, an editor, terminals."""

    def __init__(self, folder: Path, start: Callable[..., Any]) -> None:
        self._folder = folder
        self._start = start
        self._world: dict[str, Any] = {}
        self._program = ""
        self._file = folder / "none"
        self._nodes: dict[str, str] = {}
        self.played = 0

    def play(self, lesson: str, read_printed: Callable[[], str]) -> None:
        """Do what the blocks of a lesson say."""
        printed = ""
        for kind, text in BLOCK.findall(lesson):
            self.played += 1
            if kind == "python":
                self._program = text
                if "input(" not in text:  # else it runs in a terminal of its own
                    exec(compile(text, "teaching.md", "exec"), self._world)
                    printed = read_printed()
            elif kind == "text":
                assert_shown(printed, text)
            elif kind == "toml":
                self._edit(text)
            else:
                assert kind == "console"
                for command, shown in COMMAND.findall(text):
                    self._type(command, shown, printed)

    def _edit(self, lines: str) -> None:
        text = self._file.read_text(encoding="utf-8")
        for line in lines.splitlines():
            key = line.split(" = ")[0]
            text, count = re.subn(rf"^{key} = \S+", line, text, flags=re.MULTILINE)
            assert count == 1, line
        # What half a second shows to people, a moment shows to a test.
        self._file.write_text(text.replace("latency_s = 0.5", "latency_s = 0.02"))

    def _type(self, command: str, shown: str, printed: str) -> None:
        program, *arguments = shlex.split(command)
        if program == "python":
            self._run_python(arguments[0], shown, printed)
        elif arguments[-1] == "--open":
            self._look_at_page(arguments)
        elif program == "p2p":
            self._run_p2p(arguments, shown)
        else:
            assert program == "pip", command

    def _run_python(self, name: str, shown: str, printed: str) -> None:
        if "input(" not in self._program:
            assert_shown(printed, shown)
            return
        path = self._folder / name
        path.write_text(self._program, encoding="utf-8")
        running = self._start(str(path))
        lines = [running.line() + "\n" for _ in shown.splitlines()]
        assert_shown("".join(lines), shown)
        self._nodes = {name.upper(): node for name, node in map(str.split, lines[:2])}

    def _run_p2p(self, arguments: list[str], shown: str) -> None:
        given = [self._nodes.get(argument, argument) for argument in arguments]
        target = None
        if ">" in given:
            *given, _, name = given
            target = self._folder / name
        ended = subprocess.run(**self._process(given), timeout=TIMEOUT_S)
        assert (ended.returncode, ended.stderr) == (0, ""), arguments
        if target is None:
            assert_shown(ended.stdout, shown)
        else:
            target.write_text(ended.stdout, encoding="utf-8")
            self._file = target

    def _look_at_page(self, arguments: list[str]) -> None:
        """Run an experiment whose network stays until Ctrl-C. The browser does nothing."""
        with Program(**self._process(arguments, BROWSER="true")) as running:
            lines = [running.stdout.readline()]
            while not lines[-1].startswith("mean of"):
                assert lines[-1], running.stderr.read()
                lines.append(running.stdout.readline())
            running.send_signal(signal.SIGINT)
            running.communicate(timeout=TIMEOUT_S)
        assert any(line.startswith("live page: http://127.0.0.1:") for line in lines)

    def _process(self, arguments: list[str], **variables: str) -> dict[str, Any]:
        """The arguments of a process with a command of p2p."""
        return {
            "args": [sys.executable, "-m", "p2p", *arguments],
            "cwd": self._folder,
            "env": {**os.environ, "PYTHONPATH": str(ROOT), **variables},
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "text": True,
        }


@pytest.mark.slow
@pytest.mark.timeout(3 * TIMEOUT_S)
@pytest.mark.parametrize("title", LESSONS)
def test_lesson_shows_what_a_class_sees(
    title: str, tmp_path: Path, run: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = Desk(tmp_path, run)
    desk.play(PARTS[title], lambda: capsys.readouterr().out)
    assert desk.played > 5
    assert (tmp_path / "lookup.svg").exists() == ("lookup.svg" in PARTS[title])


def test_each_lesson_has_exercises_with_solutions_and_questions() -> None:
    assert len(LESSONS) == 4
    for title in LESSONS:
        lesson = PARTS[title]
        for part in ("**Goal.**", "**Needed.**", "| minutes |", "### Questions that students ask"):
            assert part in lesson, (title, part)
        exercises, solutions = re.split(r"^<details>$", lesson, flags=re.MULTILINE)
        numbers = re.findall(r"^(\d)\. \*(?:Easy|Medium|Hard)", exercises, re.MULTILINE)
        assert numbers == re.findall(r"^\*\*(\d)\.\*\*", solutions, re.MULTILINE) == [*"123"]


@pytest.mark.slow
def test_computers_of_the_room_find_each_other(tmp_path: Path, run: Any) -> None:
    source, *_ = [text for kind, text in BLOCK.findall(PARTS["The room is the network"])]
    service = f"_t{secrets.token_hex(5)}._tcp.local."
    first = f"from p2p.lan import link\nlink.SERVICE_TYPE = {service!r}\n"
    path = tmp_path / "room.py"
    assert source.count('":30303"') == 1
    path.write_text(first + source.replace('":30303"', '"127.0.0.1:0"'), encoding="utf-8")
    names = {"ann", "bob", "carl"}
    running = {name: run(str(path), name) for name in sorted(names)}
    for name, program in running.items():
        others = names - {name}
        shown = {f"* {other} is here" for other in others}
        shown |= {f"{other}: hello from {other}" for other in others}
        assert {program.line() for _ in range(5)} == {*shown, "Enter ends it."}
    running["carl"].type("")
    assert running["carl"].end()[0] == 0
    for name in ("ann", "bob"):
        assert running[name].line() == "* carl has left"
