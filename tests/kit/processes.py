"""Other processes of a test: their end, and when one of them has come to rest."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.kit.waiting import PATIENCE_S

#: How often in a row all threads must be asleep: they are not looked at all at once.
LOOKS = 3


class Program(subprocess.Popen[Any]):
    """A process for a ``with`` block, which waits for its end, and kills it if the test fails."""

    def __exit__(self, kind: Any, value: Any, traceback: Any) -> None:
        if kind is not None:
            self.kill()
        super().__exit__(kind, value, traceback)


def await_rest(pid: int) -> None:
    """Wait until all threads of the process sleep: its main thread stands where it waits.

    A thread that waits for the interpreter lock sleeps as well, but then another one does not.
    Systems without ``/proc`` do not tell; there it returns at once.
    """
    if sys.platform != "linux":
        return
    deadline = time.monotonic() + PATIENCE_S
    asleep = 0
    while asleep < LOOKS:
        assert time.monotonic() < deadline, f"process {pid} does not come to rest"
        asleep = asleep + 1 if states_of(pid) == {"S"} else 0
        time.sleep(0.002)


def states_of(pid: int) -> set[str]:
    """The states of its threads, in the letters of proc(5)."""
    states = set()
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            stat = (task / "stat").read_text()
        except (FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            continue
        states.add(stat.rpartition(")")[2].split()[0])  # its name may hold anything
    return states
