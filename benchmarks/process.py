"""The processes of a workload: their start, and commands to them in lines of JSON.

A :class:`Process` is one of ours, a :class:`GoNode` is go-ethereum's.
"""

from __future__ import annotations

import json
import select
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parent.parent
ANSWER_TIMEOUT_S = 120.0
END_TIMEOUT_S = 15.0


class Child:
    """A process that ends with its input. Leaving its block ends it."""

    def __init__(self, name: str, command: Sequence[str]) -> None:
        self._role = name
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
        try:
            self.greeting = self._answer(ANSWER_TIMEOUT_S)
        except BaseException:
            self.close()
            raise

    def ask(self, do: str, **arguments: object) -> dict[str, Any]:
        """Run a command in the process, and return its answer. Raises RuntimeError on failure."""
        return self._ask(do, arguments, ANSWER_TIMEOUT_S)

    def abort(self) -> None:
        """Kill the process at once."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Close its input and wait; kill it if it does not end."""
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

    def _ask(self, do: str, arguments: Mapping[str, object], timeout_s: float) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **arguments}).encode() + b"\n")
        return self._answer(timeout_s)

    def _answer(self, timeout_s: float) -> dict[str, Any]:
        stdout = self._process.stdout
        assert stdout is not None
        if not self._has_said(stdout, timeout_s):
            self.abort()
            raise RuntimeError(f"no answer from {self._role} in {timeout_s:g} s")
        line = stdout.readline()
        if not line:
            raise RuntimeError(f"{self._role} has failed")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _has_said(self, stdout: IO[bytes], timeout_s: float) -> bool:
        """Wait at most ``timeout_s`` for output. Return whether there is any."""
        return bool(select.select([stdout], [], [], timeout_s)[0])


class Process(Child):
    """A ``benchmarks.node`` process."""

    def __init__(self, role: str, *args: str) -> None:
        command = [sys.executable, "-m", "benchmarks.node", role, *args]
        super().__init__(f"benchmarks.node {role}", command)

    def __enter__(self) -> Process:
        return self


class GoNode(Child):
    """A node of go-ethereum with discovery, the peer of the interoperability tests.

    Its greeting has its URL as "enode". Its later output is read and discarded.
    """

    PROGRAM = ROOT / "build" / "interop" / "go-peer"

    def __init__(self) -> None:
        super().__init__("go-ethereum", [str(self.PROGRAM), "--discovery"])
        self._drain = threading.Thread(target=self._read_on, name="go-node", daemon=True)
        self._drain.start()

    def close(self) -> None:
        """Close its input and wait; kill it if it does not end."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._drain.join(END_TIMEOUT_S)
        super().close()

    def _read_on(self) -> None:
        assert self._process.stdout is not None
        while self._process.stdout.read(65536):
            pass
