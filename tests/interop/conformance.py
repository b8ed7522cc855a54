"""Our conformance suites against each implementation, as a table::

    python -m tests.interop.conformance --write docs/project/conformance.md

The table has a row for each case, and what a node has done that failed it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import p2p
from p2p.testing import conformance
from p2p.testing.conformance import Result, Verdict

from .discovery import OurDiscovery
from .ours import OurNode
from .program import Program, ProgramV5

#: Implementations by suite: @ethereumjs/devp2p has no discovery v5, @chainsafe/discv5 nothing else.
IMPLEMENTATIONS = {
    "rlpx": ("p2p", "go-ethereum", "@ethereumjs/devp2p"),
    "discv4": ("p2p", "go-ethereum", "@ethereumjs/devp2p"),
    "discv5": ("p2p", "go-ethereum", "@chainsafe/discv5"),
}
#: Limit on the wait for each answer, in seconds; those that come take milliseconds.
ANSWER_S = 2.0
_KINDS = {"go-ethereum": "go", "@ethereumjs/devp2p": "node", "@chainsafe/discv5": "node-v5"}
_MARKS = {Verdict.PASSED: "yes", Verdict.FAILED: "no", Verdict.SKIPPED: "-"}
_HEAD = """# Conformance of implementations

The suites of `p2p test`, run against nodes on one machine: "yes" if the node keeps the rule, "no"
if it does not. What it does instead is below each table. Written by
`python -m tests.interop.conformance`; `make interop` checks it.
"""


@contextmanager
def node_of(suite: str, implementation: str) -> Iterator[p2p.Node]:
    """Run a node of an implementation."""
    if implementation == "p2p" and suite == "rlpx":
        ours = OurNode("foo/1/5", "our node")
        with ours.server:
            yield ours.server.self
    elif implementation == "p2p":
        with OurDiscovery(protocol=suite.replace("disc", "")) as discovery:
            yield discovery.node
    else:
        kind = _KINDS[implementation]
        program = ProgramV5(kind) if suite == "discv5" else Program(kind, bootnodes=())
        try:
            yield program.node
        finally:
            program.stop()


def results_of(suite: str, implementation: str) -> list[Result]:
    """Return the results of a suite against one node."""
    with node_of(suite, implementation) as node:
        return list(conformance.run_suite(suite, node, answer_s=ANSWER_S))


def failures(results: list[Result]) -> dict[str, str]:
    """Return what each failed case has found."""
    return {r.case.name: r.detail for r in results if r.verdict is Verdict.FAILED}


def table(suite: str) -> str:
    """Return the table of a suite, in Markdown."""
    names = IMPLEMENTATIONS[suite]
    columns = {name: results_of(suite, name) for name in names}
    lines = [f"## {suite}", "", f"| case | rule | section | {' | '.join(names)} |"]
    lines.append("|---" * (3 + len(names)) + "|")
    for row in zip(*columns.values(), strict=True):
        case = row[0].case
        marks = " | ".join(_MARKS[result.verdict] for result in row)
        lines.append(f"| {case.name} | {case.rule} | {case.section} | {marks} |")
    lines.append("")
    for name, results in columns.items():
        lines += [f"- {name}, {case}: {detail}" for case, detail in failures(results).items()]
    return "\n".join(lines).rstrip() + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, help="the page to write, by default printed")
    path: Path | None = parser.parse_args().write
    page = "\n".join([_HEAD, *(table(suite) for suite in IMPLEMENTATIONS)])
    if path is None:
        print(page)
    else:
        path.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
