"""Runs scenarios and writes down their figures: ``python -m tests.stress [NAME ...]``."""

from __future__ import annotations

import argparse
import importlib
import platform
import sys
import time
import traceback
from datetime import datetime, timezone
from pathlib import Path
from types import ModuleType

import p2p
from benchmarks.report import cpu_model
from tests.stress import SCENARIOS
from tests.stress.figure import Figure, Scale, table

RESULTS = Path(__file__).with_name("RESULTS.md")


def scenario(name: str) -> ModuleType:
    """The module of a scenario."""
    return importlib.import_module(f"tests.stress.{name}")


def measure(name: str, scale: Scale) -> tuple[str, bool]:
    """Run one, and return its section of the results and whether all figures are within limits."""
    module = scenario(name)
    print(f"== {name}", file=sys.stderr, flush=True)
    start = time.monotonic()
    figures: list[Figure] = []
    failure = ""
    try:
        for figure in module.run(scale):
            figures.append(figure)
            print(f"   {figure}", file=sys.stderr, flush=True)
    except Exception:
        failure = f"\nFAILED\n\n```\n{traceback.format_exc()}```\n"
    seconds = time.monotonic() - start
    summary = (module.__doc__ or "").splitlines()[0]
    section = f"## {name}\n\n{summary} ({seconds:,.0f} s)\n\n{table(figures)}\n{failure}"
    return section, not failure and all(one.ok for one in figures)


def head(scale: Scale) -> str:
    """Where and when."""
    now = datetime.now(timezone.utc).date().isoformat()
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return (
        f"# Results\n\n`make stress` on {now}, {scale.value} scale:\n"
        f"p2p {p2p.__version__}, {python}, "
        f"{cpu_model()}, {platform.system()}. Both ends of every scenario share the machine.\n"
    )


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the status of the process."""
    parser = argparse.ArgumentParser(prog="python -m tests.stress", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(SCENARIOS)}")
    parser.add_argument("--short", action="store_true", help="as short as in every test run")
    parser.add_argument("--results", type=Path, metavar="PATH", help=f"such as {RESULTS.name}")
    options = parser.parse_args(arguments)
    unknown = set(options.names) - set(SCENARIOS)
    if unknown:
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}")
    scale = Scale.SHORT if options.short else Scale.FULL
    measured = [measure(name, scale) for name in options.names or SCENARIOS]
    text = "\n".join([head(scale), *(section for section, _ in measured)])
    print(text)
    if options.results:
        options.results.write_text(text, encoding="utf-8")
    return 0 if all(ok for _, ok in measured) else 1


if __name__ == "__main__":
    sys.exit(main())
