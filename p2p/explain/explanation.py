"""The explanation as data, and as text. The page of HTML is in :mod:`p2p.explain.page`.

Pure. Values of a remote are escaped here, when they are shown.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from p2p.explain.page import page_of
from p2p.netutil import printable

#: Characters of a line of text.
WIDTH = 100
#: Characters of a value that are shown.
TEXT_LENGTH = 4000
#: Bytes of a value that are shown; an auth or ack of a real node has some hundred.
BYTES_LENGTH = 4096


class Lines(tuple[str, ...]):
    """Text in several lines. A line break within one of them is escaped."""


@dataclass(frozen=True, slots=True)
class Value:
    """One value. ``data`` are bytes, lines, or anything that ``str`` shows in one line.

    ``formula`` is how it is made, in the notation of the specification, ``note`` a remark; both
    may be "".
    """

    name: str
    data: object
    formula: str = ""
    note: str = ""

    @property
    def size(self) -> str:
        """The length of bytes, as text; "" for other values."""
        if not isinstance(self.data, bytes):
            return ""
        return "1 byte" if len(self.data) == 1 else f"{len(self.data)} bytes"

    @property
    def shown(self) -> str:
        """The value as text: bytes as hex digits, all else escaped. What is very long is cut."""
        if isinstance(self.data, bytes):
            cut = "…" if len(self.data) > BYTES_LENGTH else ""
            return self.data[:BYTES_LENGTH].hex() + cut or "(empty)"
        lines = self.data if isinstance(self.data, Lines) else (str(self.data),)
        return "\n".join(printable(line, TEXT_LENGTH) for line in lines)


@dataclass(frozen=True, slots=True)
class Section:
    """One step: its title, its text, and its values in order."""

    title: str
    text: str
    values: Sequence[Value]


@dataclass(frozen=True, slots=True)
class Explanation:
    """A handshake, a packet or a message, in sections. Any thread."""

    title: str
    sections: Sequence[Section]

    def text(self) -> str:
        """Return it as text, for a terminal."""
        lines = [self.title, "=" * len(self.title)]
        for number, section in enumerate(self.sections, 1):
            lines += ["", f"{number}. {section.title}", *_wrapped(section.text, "   "), ""]
            for value in section.values:
                lines += _value_lines(value)
        return "\n".join(lines)

    def html(self) -> str:
        """Return it as a page of HTML, which needs no other file and no network."""
        sections = [
            (section.title, section.text, [_row(value) for value in section.values])
            for section in self.sections
        ]
        return page_of(self.title, sections)


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent)


def _value_lines(value: Value) -> list[str]:
    head = f"   {value.name}" + (f"  ({value.size})" if value.size else "")
    lines = [head + (f"  = {value.formula}" if value.formula else "")]
    for line in value.shown.split("\n"):
        lines += textwrap.wrap(line, WIDTH - 6, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return lines + _wrapped(value.note, "      # ")


def _row(value: Value) -> tuple[str, str, str, str, str]:
    return value.name, value.size, value.formula, value.shown, value.note
