"""Plays steps in a shell, and checks each; the main thread, and one for each running command.

It knows nothing of ``p2p``: its commands are those of the folder that comes first in PATH.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import pyte

from tests.tour.machine import NEEDS
from tests.tour.steps import Chapter, End, Run, Start, Step

#: Seconds for a whole tour.
LIMIT_S = 300.0
#: Seconds between two looks at a file.
LOOK_S = 0.05
#: Lines of an output that are shown, and characters of a line.
MAX_LINES, MAX_WIDTH = 10, 110
#: Columns and lines of a terminal.
SCREEN = (100, 24)


class StepFailed(Exception):
    """A command whose end or output is not as expected."""


class Background:
    """A running command with its output so far."""

    def __init__(self, process: subprocess.Popen[str], deadline: float) -> None:
        self.process = process
        self._deadline = deadline
        self._changed = threading.Condition()
        # guarded by _changed
        self._output = ""
        self._told = 0
        self._is_over = False
        self._reader = threading.Thread(target=self._read, name=f"output of {process.pid}")
        self._reader.start()

    @property
    def output(self) -> str:
        with self._changed:
            return self._output

    def news(self) -> str:
        """The output since the last call."""
        with self._changed:
            begin, self._told = self._told, len(self._output)
            return self._output[begin:]

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Wait until the output has ``pattern``."""
        with self._changed:
            while (found := _search(pattern, self._output)) is None:
                left_s = self._deadline - time.monotonic()
                if self._is_over or left_s <= 0:
                    raise StepFailed(f"no output like {pattern!r}:\n{self._output}")
                self._changed.wait(left_s)
            return found

    def wait_for_file(self, path: Path) -> None:
        """Wait until a file is there, while the command runs."""
        while not path.exists():
            with self._changed:
                if self._is_over or time.monotonic() >= self._deadline:
                    raise StepFailed(f"no file {path.name}:\n{self._output}")
                self._changed.wait(LOOK_S)

    def interrupt(self) -> int:
        """Press Ctrl-C, and return the exit code."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGINT)
        code = self.process.wait(max(1.0, self._deadline - time.monotonic()))
        self._reader.join()
        return code

    def kill(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._reader.join()

    def _read(self) -> None:
        """Read the output until its end. The thread of the output."""
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                with self._changed:
                    self._output += line
                    self._changed.notify_all()
        self._end_reading()

    def _end_reading(self) -> None:
        with self._changed:
            self._is_over = True
            self._changed.notify_all()


class OnScreen(Background):
    """A running command in a terminal of its own: its output is what the screen shows."""

    def __init__(self, process: subprocess.Popen[str], deadline: float, terminal: int) -> None:
        self._terminal = terminal
        self._screen = pyte.Screen(*SCREEN)
        super().__init__(process, deadline)

    def news(self) -> str:
        return self.output

    def _read(self) -> None:
        stream = pyte.ByteStream(self._screen)
        with open(self._terminal, "rb", buffering=0) as shown, suppress(OSError):
            while data := shown.read(65536):  # OSError: the program has closed the terminal
                with self._changed:
                    stream.feed(data)
                    lines = [line.rstrip() for line in self._screen.display]
                    self._output = "\n".join(lines).rstrip()
                    self._changed.notify_all()
        self._end_reading()


class Player:
    """Plays steps in a folder, as a context manager that ends all it has started.

    ``skipped`` has the commands that the machine lacks something for, each with the reason.
    """

    def __init__(self, folder: Path, environment: dict[str, str], limit_s: float = LIMIT_S) -> None:
        self.count = 0
        self.skipped: list[tuple[str, str]] = []
        self._folder = folder
        self._environment = {**environment, "PWD": str(folder)}
        self._deadline = time.monotonic() + limit_s
        self._running: dict[str, Background] = {}

    def __enter__(self) -> Player:
        return self

    def __exit__(self, *_: object) -> None:
        for background in self._running.values():
            background.kill()

    def play(self, steps: Iterable[Step]) -> None:
        """Play steps in their order. Raises StepFailed at the first that fails."""
        for step in steps:
            if isinstance(step, Chapter):
                print(f"\n== {step.title}", flush=True)
            elif reason := NEEDS[step.needs]() if step.needs else "":
                self._skip(step, reason)
            elif isinstance(step, Run):
                self._run(step)
            elif isinstance(step, Start):
                self._start(step)
            else:
                self._end(step)

    def _skip(self, step: Run | Start | End, reason: str) -> None:
        if not isinstance(step, End):
            print(f"$ {step.command}\n  SKIPPED: {reason}", flush=True)
            self.skipped.append((step.command, reason))

    def _run(self, step: Run) -> None:
        print(f"$ {step.variable}=$({step.command})" if step.variable else f"$ {step.command}")
        code, output = self._output_of(step.command)
        while (
            step.repeat and time.monotonic() < self._deadline and not _is_good(step, code, output)
        ):
            code, output = self._output_of(step.command)
        _show(output)
        if not _is_good(step, code, output):
            codes = " or ".join(map(str, step.exit_codes))
            wanted = f"expected {codes}" + (
                f", and output like {step.output!r}" if step.output else ""
            )
            raise StepFailed(f"exit code {code}; {wanted}:\n{output}")
        if step.variable:
            self._environment[step.variable] = output.strip()
        self.count += 1

    def _output_of(self, command: str) -> tuple[int, str]:
        process = self._popen(command)
        try:
            output, _ = process.communicate(timeout=max(0.0, self._deadline - time.monotonic()))
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            if isinstance(error, subprocess.TimeoutExpired):
                raise StepFailed("the time of the tour is over") from None
            raise
        return process.returncode, output

    def _start(self, step: Start) -> None:
        print(f"$ {step.command}" + ("" if step.on_screen else " &"), flush=True)
        background = self._running[step.name] = self._background(step)
        found = background.wait_for(step.ready)
        if step.file:
            background.wait_for_file(self._folder / step.file)
        _show(background.news(), SCREEN[1] if step.on_screen else MAX_LINES)
        if found.groups():
            self._environment[step.name] = found[1]
            _show(f"$ {step.name}={found[1]}", indent="")
        self.count += 1

    def _background(self, step: Start) -> Background:
        command = f"exec {step.command}"  # without exec, Ctrl-C would be an end of the shell, too
        if not step.on_screen:
            return Background(self._popen(command), self._deadline)
        master, slave = pty.openpty()
        columns, lines = SCREEN
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        try:
            return OnScreen(self._popen(f"TERM=xterm {command}", slave), self._deadline, master)
        finally:
            os.close(slave)

    def _end(self, step: End) -> None:
        background = self._running[step.name]
        background.wait_for(step.until)
        print(f"^C in {step.name}", flush=True)
        code = background.interrupt()
        _show(background.news())
        if code != 0 or (step.output and not _search(step.output, background.output)):
            wanted = f"expected 0, and output like {step.output!r}"
            raise StepFailed(f"exit code {code}; {wanted}:\n{background.output}")

    def _popen(self, command: str, terminal: int | None = None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["sh", "-c", command],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL if terminal is None else terminal,
            stdout=subprocess.PIPE if terminal is None else terminal,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            start_new_session=True,
        )


def _is_good(step: Run, code: int, output: str) -> bool:
    return code in step.exit_codes and _search(step.output, output) is not None


def _search(pattern: str, text: str) -> re.Match[str] | None:
    return re.search(pattern, text, re.MULTILINE)


def _show(output: str, max_lines: int = MAX_LINES, indent: str = "  ") -> None:
    """Print the first lines of an output and the last, each cut to the width."""
    lines = output.splitlines()
    if len(lines) > max_lines:
        left = len(lines) - max_lines + 1
        lines = [*lines[: max_lines - 2], f"… {left} lines", lines[-1]]
    for line in lines:
        print(indent + (line if len(line) <= MAX_WIDTH else line[: MAX_WIDTH - 1] + "…"))
    print(end="", flush=True)
