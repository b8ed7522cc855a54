"""Keys and lines of the input."""

from __future__ import annotations

import os

import pytest

from p2p.cli.node.lineinput import MAX_LINE, LineEditor, LineInput


@pytest.mark.parametrize(
    ("keys", "lines", "text"),
    [
        ("ab", [], "ab"),
        ("ab\ncd\r", ["ab", "cd"], ""),
        ("abc\x7f\x7fd", [], "ad"),
        ("\x7fa", [], "a"),
        ("ab cd\x17", [], "ab"),
        ("ab cd\x15e", [], "e"),
        ("a\x1b[Ab", [], "a[Ab"),
        ("ä€\n", ["ä€"], ""),
    ],
)
def test_keys_edit_the_line(keys, lines, text):
    editor = LineEditor()
    assert editor.feed(keys) == lines
    assert (editor.text, editor.at_end) == (text, False)


def test_ctrl_d_ends_an_empty_line_only():
    editor = LineEditor()
    editor.feed("a\x04")
    assert not editor.at_end
    editor.feed("\x7f\x04")
    assert editor.at_end


def test_a_line_has_a_limit():
    editor = LineEditor()
    assert editor.feed("x" * (MAX_LINE + 5) + "\n") == ["x" * MAX_LINE]


def test_a_pipe_gives_lines_and_its_last_one_without_an_end():
    reader, writer = os.pipe()
    lines = LineInput(reader)
    os.write(writer, "one\ntwä".encode()[:-1])
    assert lines.read() == ["one"]
    os.write(writer, "twä".encode()[-1:])
    assert lines.read() == []
    os.close(writer)
    assert lines.read() == ["twä"] and lines.editor.at_end
    os.close(reader)
