"""The processes of a workload, each of one implementation; all have the same commands.

Ours is :mod:`benchmarks.node`; the others are the programs of ``go/`` and ``node/`` in this folder,
which build.sh builds. The greeting of a listener has all that a dialer of any implementation needs.
They are started at their first use in a workload, and kept for all rounds.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import dataclass

from benchmarks.process import ROOT, Child

BUILD = ROOT / "build" / "bench"
PROGRAMS = {"go": BUILD / "go-bench", "node": BUILD / "node" / "bench.mjs"}
COMMANDS = {
    "ours": [sys.executable, "-m", "benchmarks.node"],
    "go": [str(PROGRAMS["go"])],
    "node": ["node", "--expose-gc", str(PROGRAMS["node"])],
}
KINDS = tuple(COMMANDS)


def is_built(kind: str) -> bool:
    """Whether the program of an implementation is built."""
    return kind not in PROGRAMS or PROGRAMS[kind].exists()


@dataclass(frozen=True)
class Pair:
    """The implementation that dials (and sends), and the one that listens."""

    dialer: str
    listener: str

    def __str__(self) -> str:
        return self.dialer if self.is_alike else f"{self.dialer} to {self.listener}"

    @property
    def is_alike(self) -> bool:
        """Whether both ends are of the same implementation."""
        return self.dialer == self.listener

    @property
    def is_slow(self) -> bool:
        """Whether the pair does only a share of the work."""
        return "node" in (self.dialer, self.listener)


class Program(Child):
    """A process of an implementation, in a role."""

    def __init__(self, kind: str, role: str, *args: str) -> None:
        super().__init__(f"{kind} {role}", [*COMMANDS[kind], role, *args])

    def __enter__(self) -> Program:
        return self

    @property
    def url(self) -> str:
        """The URL at which it listens."""
        return str(self.greeting["url"])

    def cpu_s(self) -> float:
        """Return the seconds of CPU that it has used, user and system."""
        return float(self.ask("cpu")["cpu_s"])


class Ends:
    """A listener for each pair, and the dialers to it."""

    def __init__(self, processes: ExitStack) -> None:
        self._processes = processes
        self._listeners: dict[Pair, Program] = {}
        self._dialers: dict[tuple[Pair, str], Program] = {}

    def listener(self, pair: Pair) -> Program:
        """Return the listening end."""
        if pair not in self._listeners:
            self._listeners[pair] = self._start(pair.listener, "listen")
        return self._listeners[pair]

    def dialer(self, pair: Pair, role: str) -> Program:
        """Return a dialing end for "dial", "shake", or "bare-shake", which is always Go's."""
        key = (pair, role)
        if key not in self._dialers:
            kind = "go" if role == "bare-shake" else pair.dialer
            self._dialers[key] = self._start(kind, role, self.listener(pair).url)
        return self._dialers[key]

    def _start(self, kind: str, role: str, *args: str) -> Program:
        return self._processes.enter_context(Program(kind, role, *args))
