"""examples/lab_rumour.py prints what its docstring says."""

from __future__ import annotations

from typing import Any


def test_the_rumour_crosses_the_partition_when_it_has_healed(
    run: Any, documented: Any, assert_like: Any
) -> None:
    (shown,) = documented("lab_rumour.py")
    code, lines, errors = run("lab_rumour.py").end()
    assert (code, errors) == (0, "")
    assert_like(lines, shown)
