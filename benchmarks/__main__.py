"""Run all workloads, print a table, and write the measurements as JSON."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from benchmarks import codec, memory, report
from benchmarks.discovery import LoadedMessages, Lookups, Pings
from benchmarks.handshakes import Handshakes
from benchmarks.messages import Messages
from benchmarks.options import Options
from benchmarks.process import ROOT
from benchmarks.scale import FULL, QUICK, Scale

DEFAULT_JSON = ROOT / "build" / "bench.json"


def run(scale: Scale, tell: Callable[[str], object]) -> dict[str, list[float]]:
    """Run all workloads, and return the samples of each measured time."""
    samples: dict[str, list[float]] = {}

    def keep(measured: dict[str, float]) -> None:
        for key, value in measured.items():
            samples.setdefault(key, []).append(value)

    def go_round(*workloads: Callable[[Scale], dict[str, float]]) -> None:
        for number in range(1, scale.rounds + 1):
            for workload in workloads:
                tell(f"round {number} of {scale.rounds}: {workload.__module__}")
                keep(workload(scale))

    with ExitStack() as processes:
        messages = Messages(processes)
        handshakes = Handshakes(processes)
        go_round(codec.measure, messages.measure, handshakes.measure)
    with ExitStack() as processes:
        go_round(Options(processes).measure)
    # Separately, since a network of many nodes is never quite idle.
    with ExitStack() as processes:
        pings = Pings(processes)
        if pings.missing:
            tell(f"without go-ethereum's pings: {pings.missing}")
        loaded = LoadedMessages(processes)
        go_round(pings.measure, loaded.measure)
    with ExitStack() as processes:
        go_round(Lookups(processes, scale).measure)
    tell(memory.__name__)
    keep(memory.measure(scale))
    return samples


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--json", type=Path, default=DEFAULT_JSON, metavar="PATH",
                        help="where to write the JSON (default: build/bench.json)")  # fmt: skip
    options = parser.parse_args(arguments)
    scale = QUICK if options.quick else FULL
    samples = run(scale, lambda text: print(text, file=sys.stderr, flush=True))
    write(samples, scale, options.json)


def write(samples: dict[str, list[float]], scale: Scale, path: Path) -> None:
    """Print the table and write the JSON."""
    table = [row for row in report.rows(scale.crowds) if row.key in samples]
    shown = report.figures(samples, table)
    print(report.table_text(shown, [row.name for row in table]))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report.document(shown, samples), indent=2) + "\n", encoding="utf-8")
    print(f"written to {path}", file=sys.stderr)


if __name__ == "__main__":
    main()
