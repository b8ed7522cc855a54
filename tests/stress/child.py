"""A process of a scenario's own, that is told what to do in lines of JSON.

:class:`Child` starts one, asks it, and reads from outside what it holds: memory, threads and
descriptors, of which nothing that the scenario's own process does is part. :func:`obey` is what the
process runs: it says hello with a line, answers each line of its standard input with one, and ends
with its input. Linux only, by ``/proc``.
"""

from __future__ import annotations

import faulthandler
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

ROOT = Path(__file__).resolve().parents[2]
ANSWER_TIMEOUT_S = 120.0
END_TIMEOUT_S = 15.0
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Child:
    """A process that runs ``python -m module arguments``. Leaving its block ends it.

    ``while_waiting`` is called again and again while an answer is awaited, to drive a crowd; it
    has to take some time, or nothing of the processor is left for others.
    """

    def __init__(
        self, module: str, *arguments: str, while_waiting: Callable[[], object] | None = None
    ) -> None:
        self._name = " ".join((module, *arguments))
        self._while_waiting = while_waiting
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        self._proc = Path(f"/proc/{self._process.pid}")
        try:
            self.greeting = self._answer(ANSWER_TIMEOUT_S, None)
        except BaseException:
            self.close()
            raise

    def ask(
        self,
        do: str,
        while_waiting: Callable[[], object] | None = None,
        timeout_s: float = ANSWER_TIMEOUT_S,
        **arguments: object,
    ) -> dict[str, Any]:
        """Have it do something, and return its answer. Raises RuntimeError if it has failed."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **arguments}).encode() + b"\n")
        return self._answer(timeout_s, while_waiting or self._while_waiting)

    @property
    def rss_bytes(self) -> int:
        """Memory that it holds at this moment."""
        return int((self._proc / "statm").read_text().split()[1]) * _PAGE_BYTES

    @property
    def threads(self) -> int:
        """Threads that it has."""
        return len(os.listdir(self._proc / "task"))

    @property
    def descriptors(self) -> int:
        """File descriptors that it has open."""
        return len(os.listdir(self._proc / "fd"))

    def abort(self) -> None:
        """End it at once, and have it show where its threads stand (on standard error)."""
        self._process.send_signal(signal.SIGABRT)
        self._process.wait()

    def close(self) -> None:
        """Let it end, or make it."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None
        stdin.close()
        try:
            self._process.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        stdout.close()

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _answer(
        self, timeout_s: float, while_waiting: Callable[[], object] | None
    ) -> dict[str, Any]:
        stdout = self._process.stdout
        assert stdout is not None
        deadline = time.monotonic() + timeout_s
        pause_s = timeout_s if while_waiting is None else 0.0
        ready = False
        while not ready and time.monotonic() < deadline:
            ready = bool(select.select([stdout], [], [], pause_s)[0])
            if while_waiting is not None and not ready:
                while_waiting()
        if not ready:
            self.abort()
            raise RuntimeError(f"no answer from {self._name} in {timeout_s:g} s")
        line = stdout.readline()
        if not line:
            raise RuntimeError(f"{self._name} has failed")
        answer: dict[str, Any] = json.loads(line)
        return answer


class Player(Protocol):
    """What a process is: a method for each order, which takes and returns what JSON can say."""

    greeting: dict[str, Any]

    def close(self) -> None:
        """The input has ended."""


def obey(player: Player) -> None:
    """Do what standard input says, until it ends. A fatal signal shows where the threads stand."""
    faulthandler.enable()
    print(json.dumps(player.greeting), flush=True)
    try:
        for line in sys.stdin:
            order = json.loads(line)
            print(json.dumps(getattr(player, order.pop("do"))(**order)), flush=True)
    finally:
        player.close()
