"""One case of a conformance suite, its target and its result.

Pure, apart from the code of the cases, which runs in the thread of the caller and blocks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from p2p.enode import Node

#: Limit on the wait for each answer, in seconds. Discovery answers within 0.5, RLPx within 5.
ANSWER_S = 5.0


class Verdict(Enum):
    """Outcome of a case."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


class Skip(Exception):
    """Raised by a case that cannot be run against this target; the text is the reason."""


@dataclass(frozen=True, slots=True)
class Target:
    """The node under test. ``answer_s`` is the limit on the wait for each of its answers."""

    node: Node
    answer_s: float = ANSWER_S


@dataclass(frozen=True, slots=True)
class Case:
    """One case. ``rule`` is the rule that it checks, ``section`` the section that has it.

    ``run`` raises AssertionError, with the difference, if the target breaks the rule.
    """

    name: str
    rule: str
    section: str
    run: Callable[[Target], None]


@dataclass(frozen=True, slots=True)
class Result:
    """Outcome of ``case``; ``detail`` is the difference or the reason, "" if it passed."""

    case: Case
    verdict: Verdict
    detail: str
    duration_s: float


class CaseList:
    """Cases in the order of their definition; calling it makes the decorator of a case."""

    def __init__(self, document: str) -> None:
        self._document = document
        self.cases: list[Case] = []

    def __call__(
        self, section: str, rule: str
    ) -> Callable[[Callable[[Target], None]], Callable[[Target], None]]:
        """Return a decorator that adds a function as a case, named after it."""

        def add(function: Callable[[Target], None]) -> Callable[[Target], None]:
            name = function.__name__.replace("_", "-")
            place = section if ".md" in section else f"{self._document}, {section}"
            self.cases.append(Case(name, rule, place, function))
            return function

        return add
