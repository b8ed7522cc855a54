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
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Protocol

from benchmarks import process
from benchmarks.process import ANSWER_TIMEOUT_S

#: How long what has ended may take to be gone.
REST_S = 10.0

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Child(process.Child):
    """A process that runs ``python -m module arguments``. Leaving its block ends it.

    ``while_waiting`` is called again and again while an answer is awaited, to drive a crowd; it
    has to take some time, or nothing of the processor is left for others.
    """

    def __init__(
        self, module: str, *arguments: str, while_waiting: Callable[[], object] | None = None
    ) -> None:
        self._while_waiting: Callable[[], object] | None = None  # of the order under way
        super().__init__(
            " ".join((module, *arguments)), [sys.executable, "-m", module, *arguments]
        )
        self._always = while_waiting
        self._proc = Path(f"/proc/{self._process.pid}")

    def __enter__(self) -> Child:
        return self

    def ask(
        self,
        do: str,
        while_waiting: Callable[[], object] | None = None,
        timeout_s: float = ANSWER_TIMEOUT_S,
        **arguments: object,
    ) -> dict[str, Any]:
        """Have it do something, and return its answer. Raises RuntimeError if it has failed."""
        self._while_waiting = while_waiting or self._always
        return self._ask(do, arguments, timeout_s)

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

    def more_than(self, threads: int, descriptors: int) -> tuple[int, int]:
        """How many more threads and descriptors it has than these, when it has come to rest.

        A thread that was joined may still be on its way out of the kernel.
        """
        deadline = time.monotonic() + REST_S
        while True:
            more = self.threads - threads, self.descriptors - descriptors
            if max(more) <= 0 or time.monotonic() > deadline:
                return more
            time.sleep(0.01)

    def abort(self) -> None:
        """End it at once, and have it show where its threads stand (on standard error)."""
        self._process.send_signal(signal.SIGABRT)
        self._process.wait()

    def _has_said(self, stdout: IO[bytes], timeout_s: float) -> bool:
        if self._while_waiting is None:
            return super()._has_said(stdout, timeout_s)
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if select.select([stdout], [], [], 0)[0]:
                return True
            self._while_waiting()
        return False


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
