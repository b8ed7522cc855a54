"""A peer of another implementation, as a child process that is driven by lines of JSON.

Owns the process and a thread that collects its events; the lines themselves are described in the
README of this folder. Every wait has a deadline, and a wait that fails tells what came instead.
The process is ended by its own handle, whatever the test did.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import p2p

BUILD = Path(__file__).parents[2] / "build" / "interop"
COMMANDS = {
    "go": [str(BUILD / "go-peer")],
    "node": ["node", str(BUILD / "node" / "peer.mjs")],
    "node-v5": ["node", str(BUILD / "node" / "peer-v5.mjs")],
}

#: How long a program may take for anything; 16 MiB through Node take 4 s.
DEADLINE_S = 30.0
#: How long a program may take to end after its input ended.
QUIT_S = 5.0

Event = dict[str, Any]


class Refused(Exception):
    """A program could not carry out a command; the text is its own."""


class Program:
    """One running program; any thread may call its methods."""

    def __init__(
        self,
        kind: str,
        protocols: str = "foo/1/5",
        *,
        name: str = "their node",
        max_peers: int = 50,
        bootnodes: Iterable[str] | None = None,
        dial: bool = False,
    ) -> None:
        """With ``bootnodes``, even none, it runs discovery; ``dial``: it dials what it finds."""
        arguments = ["--name", name, "--protocols", protocols, "--max-peers", str(max_peers)]
        if bootnodes is not None:
            arguments += ["--discovery", "--bootnodes", ",".join(bootnodes)]
        self._start(kind, [*arguments, "--dial"] if dial else arguments)

    def _start(self, kind: str, arguments: list[str]) -> None:
        # fixed after the start
        self._process = subprocess.Popen(
            [*COMMANDS[kind], *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._collect, name=f"interop-{kind}", daemon=True)
        self._changed = threading.Condition()
        # guarded by _changed
        self._events: list[Event] = []
        self._ended = False

        self._reader.start()
        listening = self.expect("listening")
        self.record: str = listening.get("record") or ""
        self.enode: str = listening.get("enode") or self.record
        self.node = p2p.parse_node(self.enode)

    def _collect(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._changed:
                self._events.append(json.loads(line))
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def do(self, cmd: str, **fields: object) -> None:
        """Send a command."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"cmd": cmd, **fields}) + "\n")
        self._process.stdin.flush()

    def set_mode(self, protocol: str, mode: str, count: int = 0) -> None:
        """Set what the program does with messages, and wait until it does."""
        self.do("mode", protocol=protocol, mode=mode, count=count)
        self.expect("mode_set", protocol=protocol, mode=mode)

    def ask(self, cmd: str, answer: str, **fields: object) -> Event:
        """Send a command, and wait for the event that answers it.

        Raises Refused when the command fails. No other command may be under way.
        """
        self.do(cmd, **fields)
        found = self._find([{"event": answer}, {"event": "error", "cmd": cmd}], DEADLINE_S)
        if found is None:
            raise AssertionError(f"no {answer}; came instead: {self._summary()}")
        if found["event"] == "error":
            raise Refused(found["error"])
        return found

    def expect(self, event: str, *, within_s: float = DEADLINE_S, **fields: object) -> Event:
        """Wait for the first event with these fields, and take it out of the list."""
        found = self._find([{"event": event, **fields}], within_s)
        if found is None:
            raise AssertionError(f"no {event} with {fields}; came instead: {self._summary()}")
        return found

    def expect_none(self, event: str, *, within_s: float) -> None:
        """Fail as soon as such an event comes within the time."""
        found = self._find([{"event": event}], within_s)
        if found is not None:
            raise AssertionError(f"came, but should not: {found}")
        if self._ended:
            raise AssertionError("the program has ended")

    def _find(self, wanted: list[dict[str, object]], within_s: float) -> Event | None:
        """The first event that has all fields of one of ``wanted``, or None."""
        deadline = time.monotonic() + within_s
        with self._changed:
            while True:
                for found in self._events:
                    if any(fields.items() <= found.items() for fields in wanted):
                        self._events.remove(found)
                        return found
                left_s = deadline - time.monotonic()
                if left_s <= 0 or self._ended:
                    return None
                self._changed.wait(left_s)

    def _summary(self) -> str:
        with self._changed:
            last = "".join(f"\n  {event}" for event in self._events[-10:])
            return f"{last}\n  (the program has ended)" if self._ended else last

    def stop(self) -> None:
        """End the process by ending its input, or else by force; safe to call twice."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended already
            self._process.stdin.close()
        try:
            self._process.wait(QUIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        self._process.stdout.close()


class ProgramV5(Program):
    """A program that runs discovery v5, with the same methods; ``node`` has its record.

    With ``key`` and ``port`` it is a program that ran before.
    """

    def __init__(
        self,
        kind: str,
        *,
        bootnodes: Iterable[str] = (),
        key: p2p.PrivateKey | None = None,
        port: int = 0,
        protocols: str = "",
        dial: bool = False,
    ) -> None:
        """With ``dial`` it looks for nodes all the time; for Go only, as ``protocols``."""
        self.key = key or p2p.generate_key()
        arguments = ["--key", self.key.to_bytes().hex(), "--discovery-addr", f"127.0.0.1:{port}"]
        arguments += ["--bootnodes", ",".join(bootnodes)]
        if kind == "go":
            arguments += ["--discv5", "--protocols", protocols, *(["--dial"] if dial else [])]
        self._start(kind, arguments)
        self.node = p2p.parse_node(self.record)


#: A fixture: starts a program with discovery v5; the options of :class:`ProgramV5` may be given.
StartProgramV5 = Callable[..., ProgramV5]
#: A fixture: starts a program; the options of :class:`Program` may be given.
StartProgram = Callable[..., Program]
