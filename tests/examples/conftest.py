"""Runs of the examples as of a user: real processes, whose output is read line by line.

Each wait has a deadline, and every process is ended with the test that started it.
"""

from __future__ import annotations

import ast
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.kit.processes import await_rest

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 30.0


class Program:
    """One example, or another program given by its whole path, running.

    Its output comes at once, as in a terminal; a program that is not ``unbuffered`` has to flush by
    itself. A program where several threads print writes each line, with its end, in one piece: the
    pieces of two threads mix, with a buffer as well as without.
    """

    def __init__(self, name: str, *args: str, unbuffered: bool = True) -> None:
        # Not every environment has the package installed; the examples are to use this one.
        env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDEVMODE": "1"}
        if unbuffered:
            env["PYTHONUNBUFFERED"] = "1"
        else:
            env.pop("PYTHONUNBUFFERED", None)
        self._process = subprocess.Popen(
            [sys.executable, str(ROOT / "examples" / name), *args],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=env,
        )
        self._received = b""

    def line(self) -> str:
        """The next line of its standard output."""
        deadline = time.monotonic() + TIMEOUT_S
        while b"\n" not in self._received:
            chunk = self._read(deadline)
            if not chunk:
                self._process.kill()
                pytest.fail(f"no line, but {self._received!r} and {self.end()[2]}")
            self._received += chunk
        line, _, self._received = self._received.partition(b"\n")
        return line.decode()

    def type(self, line: str) -> None:
        """Send it a line on its standard input."""
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()

    def interrupt(self, number: int = signal.SIGINT) -> None:
        """Send Ctrl-C, or another signal, when it only waits."""
        await_rest(self._process.pid)
        self._process.send_signal(number)

    def end(self) -> tuple[int, list[str], str]:
        """Close its input and wait: the exit code, the lines that were left, and its errors."""
        out, err = self._process.communicate(timeout=TIMEOUT_S)
        return self._process.returncode, (self._received + out).decode().splitlines(), err.decode()

    def kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()

    def _read(self, deadline: float) -> bytes:
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        ready, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
        return os.read(descriptor, 65536) if ready else b""


@pytest.fixture
def run() -> Iterator[Callable[..., Program]]:
    """Starts an example: ``run("chat.py", "--name", "ann")``."""
    programs: list[Program] = []

    def start(name: str, *args: str, **options: bool) -> Program:
        programs.append(Program(name, *args, **options))
        return programs[-1]

    yield start
    for program in programs:
        program.kill()


@pytest.fixture
def documented() -> Callable[[str], list[list[str]]]:
    """Read the output in the docstring of an example, as shell sessions.

    Each session is the lines between one ``$`` and the next; URLs are cut as by :func:`cut`.
    """

    def read(name: str) -> list[list[str]]:
        source = (ROOT / "examples" / name).read_text(encoding="utf-8")
        docstring = ast.get_docstring(ast.parse(source)) or ""
        shown = [line[4:] for line in docstring.splitlines() if line.startswith("    ")]
        sessions: list[list[str]] = []
        for line in shown:
            if line.startswith("$"):
                sessions.append([])
            else:
                sessions[-1].append(line)
        return sessions

    return read


@pytest.fixture
def cut() -> Callable[[list[str]], list[str]]:
    """Shorten enode URLs to the form in the docstrings."""
    url = re.compile(r"enode://[0-9a-f]{128}@127\.0\.0\.1:[0-9]+(\?discport=0)?")
    return lambda lines: [url.sub("enode://...@127.0.0.1:...", line) for line in lines]


@pytest.fixture
def assert_like() -> Callable[[list[str], list[str]], None]:
    """Compares lines with those that a docstring shows, where "..." stands for any text."""

    def compare(lines: list[str], shown: list[str]) -> None:
        patterns = [re.escape(line).replace(re.escape("..."), ".*") for line in shown]
        assert len(lines) == len(shown), lines
        pairs = zip(lines, shown, patterns, strict=True)
        assert [pair for pair in pairs if not re.fullmatch(pair[2], pair[0])] == []

    return compare
