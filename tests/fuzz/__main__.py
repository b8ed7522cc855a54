"""Gives every decoder mutated inputs: ``python -m tests.fuzz [--inputs N] [TARGET ...]``.

Without names all targets run. The same seed gives the same inputs. A case that breaks a rule is
written into ``build/fuzz/found/<target>/``; ``--replay PATH`` runs it again, with the traceback.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
import traceback
from concurrent.futures import ProcessPoolExecutor, as_completed
from datetime import datetime, timezone
from pathlib import Path

from tests.fuzz.run import Tally, run
from tests.fuzz.target import Violation, judge, judge_memory
from tests.fuzz.targets import TARGETS

FOUND = Path("build", "fuzz", "found")


def depth(tally: Tally) -> float:
    """The share of repaired inputs (of all, where nothing is repaired) that came past repair."""
    if tally.repaired:
        return tally.repaired_deep / tally.repaired
    return tally.deep / max(1, tally.inputs)


def commonest(tally: Tally) -> str:
    """What most often became of an input."""
    total = max(1, tally.inputs)
    return ", ".join(f"{name} {n / total:.0%}" for name, n in tally.outcomes.most_common(5))


def line(tally: Tally) -> str:
    """What is worth knowing of a run."""
    return (
        f"{tally.name}: {tally.inputs:,} inputs in {tally.seconds:.0f} s ({tally.cpu_s:.0f} s of "
        f"CPU); past the repaired layer {tally.deep / max(1, tally.inputs):.0%} of all, "
        f"{depth(tally):.0%} of the repaired; worst {tally.worst_cpu_s * 1000:.1f} ms, "
        f"{tally.worst_memory_bytes / 1024:.0f} KiB (of {tally.measured:,}); "
        f"{len(tally.outcomes)} outcomes: {commonest(tally)}; {tally.violations} violations"
    )


def table(tallies: list[Tally], seconds: float, jobs: int) -> str:
    """The results as a page."""
    now = datetime.now(timezone.utc).date().isoformat()
    rows = [
        f"| {t.name} | {t.inputs:,} | {t.cpu_s:.0f} | {depth(t):.0%} | {t.worst_cpu_s * 1000:.1f} "
        f"| {t.worst_memory_bytes / 1024:.0f} ({t.measured:,}) | {t.violations} "
        f"| {len(t.outcomes)}: {commonest(t)} |\n"
        for t in tallies
    ]
    return (
        f"# Results\n\n`make fuzz-ci` on {now}: {platform.python_implementation()} "
        f"{platform.python_version()}, {platform.system()} {platform.machine()}, {jobs} processes, "
        f"{seconds:,.0f} s, of which {sum(t.cpu_s for t in tallies):,.0f} s of CPU in all.\n\n"
        "Limits for each input: 50 ms of CPU, 256 KiB, no violation. *Deep* are the repaired "
        "inputs that came past\nhash, signature and MAC; memory was measured on as many inputs as "
        "stand in brackets.\n\n"
        "| target | inputs | CPU s | deep | worst ms | worst KiB (of) | violations | outcomes |\n"
        "|---|---:|---:|---:|---:|---:|---:|---|\n" + "".join(rows)
    )


def show(tally: Tally) -> None:
    print(line(tally), flush=True)
    for text, case in tally.findings:
        print(f"   {text}\n      {case[:200].hex()}{'…' if len(case) > 200 else ''}", flush=True)


def replay(name: str, path: Path) -> int:
    """Run one stored case, with the traceback of what is wrong."""
    case = path.read_bytes()
    try:
        print(judge(TARGETS[name], case), judge_memory(TARGETS[name], case))
    except Violation:
        traceback.print_exc()
        return 1
    return 0


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the status of the process."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}")
    parser.add_argument("--inputs", type=int, default=10_000, metavar="N", help="for each target")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes")
    parser.add_argument("--memory-every", type=int, default=50, metavar="N", help="inputs")
    parser.add_argument("--results", type=Path, metavar="PATH", help="write a table there")
    parser.add_argument("--replay", type=Path, metavar="PATH", help="one case, for one TARGET")
    options = parser.parse_args(arguments)
    unknown = set(options.names) - set(TARGETS)
    if unknown:
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    if options.replay:
        return replay(options.names[0], options.replay)
    start = time.monotonic()
    names = options.names or list(TARGETS)
    tallies: dict[str, Tally] = {}
    with ProcessPoolExecutor(options.jobs) as pool:
        # The last targets take the longest, so they go first.
        runs = [
            pool.submit(run, name, options.inputs, options.seed, options.memory_every, FOUND)
            for name in reversed(names)
        ]
        for finished in as_completed(runs):
            tallies[finished.result().name] = finished.result()
            show(finished.result())
    seconds = time.monotonic() - start
    violations = sum(tally.violations for tally in tallies.values())
    print(f"{len(names)} targets in {seconds:.0f} s; {violations} violations")
    if options.results:
        in_order = [tallies[name] for name in names]
        options.results.write_text(table(in_order, seconds, options.jobs), encoding="utf-8")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
