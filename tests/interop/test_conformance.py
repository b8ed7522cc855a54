"""Our conformance suites against go-ethereum: it keeps the rules that the table says it keeps.

The table is docs/project/conformance.md, which ``conformance.py`` writes.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from p2p.testing import conformance
from p2p.testing.conformance import Verdict

from .conformance import IMPLEMENTATIONS, node_of, results_of

PAGE = Path(__file__).parents[2] / "docs" / "project" / "conformance.md"


def marks(suite: str, implementation: str) -> dict[str, str]:
    """Return the marks of the table by case."""
    text = PAGE.read_text(encoding="utf-8").split(f"## {suite}\n")[1].split("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    column = rows[0].index(implementation)
    return {row[0]: row[column] for row in rows[1:]}


@pytest.mark.parametrize("suite", IMPLEMENTATIONS)
def test_go_ethereum_keeps_the_rules_of_the_table(suite: str) -> None:
    results = results_of(suite, "go-ethereum")
    failed = {result.case.name for result in results if result.verdict is Verdict.FAILED}
    table = marks(suite, "go-ethereum")
    assert failed == {name for name, mark in table.items() if mark == "no"}
    assert table.keys() == {case.name for case in conformance.SUITES[suite]}


@pytest.mark.parametrize("suite", IMPLEMENTATIONS)
def test_we_keep_all_rules_of_the_table(suite: str) -> None:
    assert set(marks(suite, "p2p").values()) == {"yes"}


def test_command_against_go_ethereum(capsys: pytest.CaptureFixture[str]) -> None:
    from p2p.cli import main

    with node_of("discv4", "go-ethereum") as node:
        assert main(["test", "discv4", node.url, "--case", "ping", "--case", "enr-request"]) == 0
    assert "2 passed, 0 failed" in capsys.readouterr().out
