"""examples/typed_foo_bar.py prints what its docstring says."""

from __future__ import annotations

from typing import Any


def test_it_prints_what_the_docstring_shows(run: Any, documented: Any) -> None:
    code, lines, errors = run("typed_foo_bar.py").end()
    assert (code, errors) == (0, "")
    assert [line for line in lines if line] == documented("typed_foo_bar.py")[0]
