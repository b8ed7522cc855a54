"""Command for the conformance suites: ``p2p test rlpx | discv4 | discv5``. Main thread; network."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from typing import Any

import click
from rich.text import Text

import p2p
from p2p.cli.command import group
from p2p.cli.exitcode import ExitCode
from p2p.cli.options import with_timeout
from p2p.cli.output import Output, with_output
from p2p.cli.parameters import NODE
from p2p.cli.shown import safe, shown
from p2p.testing import conformance
from p2p.testing.conformance import Result, Verdict

_STYLES = {Verdict.PASSED: "green", Verdict.FAILED: "bold red", Verdict.SKIPPED: "yellow"}
_PROTOCOLS = {
    "rlpx": "RLPx and its base protocol",
    "discv4": "discovery v4",
    "discv5": "discovery v5",
}


@group("test")
def test() -> None:
    """Test whether a node keeps the rules of the specifications.

    The cases do what a hostile remote may do: test nodes of your own only. The exit code is 1 if a
    case has failed. To a node that is not on a LAN, connections of RLPx are 31 seconds apart, since
    nodes drop a second one that comes earlier.
    """


class _CaseName(click.Choice[str]):
    """The name of a case; the error for a wrong one has the near names, or all of them."""

    name = "case"

    def convert(self, value: Any, param: Any, context: Any) -> str:
        if value in self.choices:
            return str(value)
        near = difflib.get_close_matches(str(value), self.choices, cutoff=0.5)
        which, names = "near it" if near else "there", ", ".join(near or self.choices)
        self.fail(f"no case {shown(value)}; {which}: {names}", param, context)


def _add_suite(suite: str) -> None:
    cases = conformance.SUITES[suite]

    @test.command(
        suite,
        help=f"Test {_PROTOCOLS[suite]} of NODE: {len(cases)} cases. --timeout is for each answer.",
        examples=f'p2p test {suite} "enode://…"\np2p test {suite} NODE --case {cases[0].name}',
    )
    @click.argument("node", type=NODE)
    @click.option(
        "--case",
        "only",
        metavar="NAME",
        type=_CaseName([case.name for case in cases]),
        multiple=True,
        help="Run this case only; may be repeated.",
    )
    @with_timeout("5s")
    @with_output
    def run(output: Output, node: p2p.Node, only: Collection[str], timeout: float) -> int:
        results = []
        with output.progress(f"Testing {suite}", total=len(only or cases)) as update:
            for result in conformance.run_suite(suite, node, only or None, timeout):
                results.append(result)
                update(completed=len(results), text=result.case.name)
                _show(output, suite, result)
        failed = sum(result.verdict is Verdict.FAILED for result in results)
        passed = sum(result.verdict is Verdict.PASSED for result in results)
        output.text(f"{passed} passed, {failed} failed, {len(results) - passed - failed} skipped")
        return ExitCode.NEGATIVE if failed else ExitCode.OK


def _show(output: Output, suite: str, result: Result) -> None:
    case = result.case
    record = {
        "suite": suite,
        "case": case.name,
        "verdict": result.verdict.value,
        "detail": result.detail,
        "rule": case.rule,
        "section": case.section,
        "seconds": round(result.duration_s, 3),
    }
    line = Text()
    line.append(f"{result.verdict.value:8}", _STYLES[result.verdict])
    line.append(f"{case.name:38} {case.rule} ({case.section})")
    if result.detail:
        line.append(f"\n        {safe(result.detail)}", "dim")  # it may quote the node
    output.result(record, line)


for _suite in conformance.SUITES:
    _add_suite(_suite)
