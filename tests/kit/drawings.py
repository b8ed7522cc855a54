"""Machines as their sources show them: drawings read as transitions, and who sets a state."""

from __future__ import annotations

import ast
import inspect
import re
from enum import Enum
from types import ModuleType
from typing import TypeVar

S = TypeVar("S", bound=Enum)


def transitions_drawn(docstring: str | None, states: type[S]) -> dict[S, set[S]]:
    """The transitions in a drawing of three columns, apart by two spaces or more: state, what
    leads on, next state. A row of the state ``any`` stands for all states but the next one.
    """
    drawn: dict[S, set[S]] = {state: set() for state in states}
    for line in (docstring or "").splitlines():
        columns = re.split(r"\s{2,}", line.strip())
        if len(columns) == 3 and columns[2] in states.__members__:
            following = states[columns[2]]
            name = columns[0]
            starts = set(states) - {following} if name == "any" else {states[name]}
            for state in starts:
                drawn[state].add(following)
    return drawn


def setters(module: ModuleType, attribute: str) -> set[str]:
    """The functions of a module that assign to ``attribute`` of anything."""
    return {
        function.name
        for function in ast.walk(ast.parse(inspect.getsource(module)))
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
        if node.attr == attribute
    }
