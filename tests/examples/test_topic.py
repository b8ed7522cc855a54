"""examples/topic.py: nodes of a protocol find each other through nodes of another one."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.slow
def test_three_nodes_meet_by_their_topic(run: Any, documented: Any, assert_like: Any) -> None:
    program = run("topic.py")
    lines = [program.line() for _ in range(5)]
    code, rest, errors = program.end()
    lines += rest
    assert (code, errors) == (0, "")
    assert_like(lines, documented("topic.py")[0])
    assert int(lines[-1].split()[0]) >= 3


def test_ctrl_c_ends_it_without_a_traceback(run: Any) -> None:
    program = run("topic.py")
    program.line(), program.line()
    program.interrupt()
    code, _, errors = program.end()
    assert (code, errors) == (0, "")
