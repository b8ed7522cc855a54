"""A command in a pseudo-terminal, and the screen that a user would see, by pyte."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping

import pyte

from tests.kit.waiting import PATIENCE_S

#: The command line as a process. A shell makes background jobs ignore Ctrl-C, and their children
#: inherit that, the tests, too.
PROGRAM = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from p2p.__main__ import main
sys.exit(main())
"""
#: A session's first process makes the terminal its own, so that Ctrl-C is for it.
_START = f"import fcntl, termios\nfcntl.ioctl(0, termios.TIOCSCTTY, 0)\n{PROGRAM}"


def _without_size(environment: Mapping[str, str]) -> dict[str, str]:
    """Leave out the variables that count for more than the size of the terminal.

    The readline of Python sets them, which pytest imports.
    """
    return {name: environment[name] for name in environment if name not in ("COLUMNS", "LINES")}


class Terminal:
    """``python -m p2p`` with these arguments in a terminal of ``columns`` and ``lines``."""

    def __init__(self, *arguments: object, columns: int = 80, lines: int = 24) -> None:
        self._screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self._screen)
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.settings = termios.tcgetattr(slave)
        self._slave = slave
        self._process = subprocess.Popen(
            [sys.executable, "-c", _START, *map(str, arguments)],
            stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            env={**_without_size(os.environ), "TERM": "xterm-256color"},
        )  # fmt: skip

    @property
    def text(self) -> str:
        """The screen, without spaces at the ends of lines."""
        return "\n".join(line.rstrip() for line in self._screen.display)

    def type(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def wait_for(self, condition: Callable[[str], object]) -> str:
        """Return the screen once it fulfils a condition."""
        deadline = time.monotonic() + PATIENCE_S
        while not condition(self.text):
            assert time.monotonic() < deadline, f"not on the screen:\n{self.text}"
            self._read(0.1)
        return self.text

    def wait(self) -> int:
        """Return the exit code of the command; read what it has shown at its end."""
        deadline = time.monotonic() + PATIENCE_S
        while self._process.poll() is None:
            assert time.monotonic() < deadline, f"it does not end:\n{self.text}"
            self._read(0.1)
        while self._read(0.0):
            pass
        assert termios.tcgetattr(self._slave) == self.settings, "the terminal is left changed"
        return self._process.returncode

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(PATIENCE_S)
        os.close(self._master)
        os.close(self._slave)

    def _read(self, timeout: float) -> bool:
        ready, _, _ = select.select([self._master], [], [], timeout)
        if ready:
            self._stream.feed(os.read(self._master, 65536))
        return bool(ready)
