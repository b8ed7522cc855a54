"""Lines that a user types, or that come by a pipe, without a thread that waits for them.

:class:`LineInput` reads a descriptor that ``select`` has reported. In a live view the terminal
neither echoes nor edits, so :class:`LineEditor`, which is pure, does: Backspace, Ctrl-U for the
line, Ctrl-W for a word, Ctrl-D for the end.
"""

from __future__ import annotations

import codecs
import os
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager, suppress

#: Bytes read at once, and characters of a line; more are cut.
READ_SIZE, MAX_LINE = 4096, 4096
_ENTER, _BACKSPACE, _END, _LINE, _WORD = "\r\n", "\x7f\b", "\x04", "\x15", "\x17"


class LineEditor:
    """The line being typed, as ``text``, and whether the end was typed. Pure."""

    def __init__(self) -> None:
        self.text = ""
        self.at_end = False

    def feed(self, keys: str) -> list[str]:
        """Take keys; return the lines that are complete."""
        lines = []
        for key in keys:
            if key in _ENTER:
                lines.append(self.text)
                self.text = ""
            else:
                self._edit(key)
        return lines

    def _edit(self, key: str) -> None:
        if key in _BACKSPACE:
            self.text = self.text[:-1]
        elif key == _LINE:
            self.text = ""
        elif key == _WORD:
            self.text = self.text.rstrip().rpartition(" ")[0]
        elif key == _END:
            self.at_end = self.at_end or not self.text
        elif key.isprintable() and len(self.text) < MAX_LINE:
            self.text += key


class LineInput:
    """Lines of the descriptor ``fileno``. Main thread."""

    def __init__(self, fileno: int) -> None:
        self.fileno = fileno
        self.is_terminal = os.isatty(fileno)
        self.editor = LineEditor()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def read(self) -> list[str]:
        """Return the complete lines among what can be read now; does not block after ``select``."""
        data = os.read(self.fileno, READ_SIZE)
        lines = self.editor.feed(self._decoder.decode(data))
        if not data:
            self.editor.at_end = True
            lines += [self.editor.text] if self.editor.text else []
        return lines

    @contextmanager
    def without_echo(self) -> Iterator[None]:
        """Turn echo and line editing of the terminal off in the block. Ctrl-C still works."""
        before = termios.tcgetattr(self.fileno)
        changed = termios.tcgetattr(self.fileno)
        changed[3] &= ~(termios.ECHO | termios.ICANON)
        termios.tcsetattr(self.fileno, termios.TCSADRAIN, changed)
        try:
            yield
        finally:
            with suppress(termios.error):  # the terminal may be gone
                termios.tcsetattr(self.fileno, termios.TCSADRAIN, before)


def standard_input() -> LineInput | None:
    """Return the standard input; None if it has no descriptor."""
    try:
        return LineInput(sys.stdin.fileno())
    except (AttributeError, OSError, ValueError):
        return None
