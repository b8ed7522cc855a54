"""A rule for the tests themselves: no clock runs while somebody waits for something real.

``eventually`` looks every few milliseconds. A condition that moves a clock as well makes an answer
over a socket late whenever the machine is busy. ``pass_until`` and ``Swarm`` let everything arrive
before they move it.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
SOURCES = sorted(TESTS.rglob("*.py"))


def moves_a_clock(node: ast.AST) -> bool:
    parts = ast.walk(node)
    return any(isinstance(part, ast.Attribute) and part.attr == "advance" for part in parts)


def polled_clocks(source: str) -> list[int]:
    """The lines of the calls of ``eventually`` that move a clock, themselves or by a function."""
    if "advance" not in source:
        return []
    parts = list(ast.walk(ast.parse(source)))
    movers = {
        part.name for part in parts if isinstance(part, ast.FunctionDef) and moves_a_clock(part)
    }

    def is_refused(node: ast.AST) -> bool:
        names = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
        return moves_a_clock(node) or bool(names & movers)

    return [
        part.lineno
        for part in parts
        if isinstance(part, ast.Call) and ast.unparse(part.func) == "eventually"
        if any(map(is_refused, part.args))
    ]


@pytest.mark.parametrize(
    "source",
    [
        "eventually(lambda: arrived() or clock.advance(1.0))",
        "def arrived():\n    clock.advance(1.0)\neventually(arrived)",
        "def step(): clock.advance(1.0)\neventually(lambda: arrived() or step())",
    ],
)
def test_condition_that_moves_a_clock_is_found(source: str) -> None:
    assert len(polled_clocks(source)) == 1


def test_no_condition_that_is_polled_moves_a_clock() -> None:
    found = {path.relative_to(TESTS): polled_clocks(path.read_text("utf-8")) for path in SOURCES}
    assert {path: lines for path, lines in found.items() if lines} == {}
