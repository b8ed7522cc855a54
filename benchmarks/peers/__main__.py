"""Run the workloads for all implementations in turn, and print ratios."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.peers import crowds, handshakes, messages, report
from benchmarks.peers.discovery import DiscoveryV5, Pings
from benchmarks.peers.document import document
from benchmarks.peers.process import KINDS, Ends, Pair, is_built
from benchmarks.peers.scale import FULL, QUICK, Scale
from benchmarks.process import ROOT

DEFAULT_JSON = ROOT / "build" / "bench-peers.json"

#: Workloads of a pair; those of ONE_END measure only the listening end, those of OURS only ours.
WORKLOADS: dict[str, Callable[[Ends, Pair, Scale], messages.Figures]] = {
    "small": messages.small,
    "large": messages.large,
    "ping-pong": messages.ping_pong,
    "handshakes": handshakes.whole,
    "bare-handshakes": handshakes.bare,
    "busy": messages.busy,
    "idle": crowds.idle,
    "spread": crowds.spread,
}
PINGS = "pings"
DISCV5 = "discv5"
NAMES = (*WORKLOADS, PINGS, DISCV5)
ONE_END = {"bare-handshakes", "idle", "spread"}
CROWDS = {"idle", "spread"}
BY_GO = {"bare-handshakes", "idle", "spread"}
OURS = {"busy"}

Samples = dict[tuple[str, str], list[float]]


class Run:
    """All rounds of the chosen workloads."""

    def __init__(self, scale: Scale, pairs: Sequence[Pair], tell: Callable[[str], object]) -> None:
        self.samples: Samples = {}
        self._scale = scale
        self._pairs = pairs
        self._tell = tell

    def measure(self, names: Sequence[str]) -> None:
        """Run the rounds. Processes of discovery, which are never quite idle, come last."""
        with ExitStack() as processes:
            ends = Ends(processes)
            for number in range(self._scale.rounds):
                for name in names:
                    if name in WORKLOADS and self._has_turn(name, number):
                        self._go_round(name, ends, number)
        kinds = [str(pair) for pair in self._pairs if pair.is_alike]
        if PINGS in names:
            with ExitStack() as processes:
                self._go_rounds(PINGS, Pings(processes, kinds))
        if DISCV5 in names:
            with ExitStack() as processes:
                with_v5 = [kind for kind in kinds if kind != "node"]
                self._go_rounds(DISCV5, DiscoveryV5(processes, with_v5, self._scale))

    def _go_rounds(self, name: str, workload: Pings | DiscoveryV5) -> None:
        for number in range(self._scale.rounds):
            self._say(number, name)
            for (key, kind), value in workload.measure(self._scale).items():
                self._keep(key, kind, value)

    def _has_turn(self, name: str, number: int) -> bool:
        return name not in CROWDS or number < self._scale.crowd_rounds

    def _go_round(self, name: str, ends: Ends, number: int) -> None:
        """Run each pair in turn; the first one changes with the round."""
        pairs = [pair for pair in self._pairs if self._takes_part(name, pair)]
        turn = number % len(pairs) if pairs else 0
        for pair in pairs[turn:] + pairs[:turn]:
            self._say(number, f"{name}, {pair}")
            for key, value in WORKLOADS[name](ends, pair, self._scale).items():
                self._keep(key, str(pair), value)

    def _takes_part(self, name: str, pair: Pair) -> bool:
        if name in OURS:
            return str(pair) == "ours"
        if name in BY_GO and not is_built("go"):
            return False
        return pair.is_alike or name not in ONE_END

    def _keep(self, key: str, pair: str, value: float) -> None:
        self.samples.setdefault((key, pair), []).append(value)

    def _say(self, number: int, text: str) -> None:
        self._tell(f"round {number + 1} of {self._scale.rounds}: {text}")


def pairs_of(kinds: Sequence[str], crosswise: bool) -> list[Pair]:
    """Return each kind with itself, then each with each other, if ``crosswise``."""
    alike = [Pair(kind, kind) for kind in kinds]
    across = [Pair(one, other) for one in kinds for other in kinds if one != other]
    return alike + across if crosswise else alike


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--rounds", type=int, metavar="N", help="number of rounds")
    parser.add_argument("--only", default=",".join(KINDS), metavar="KIND,KIND",
                        help="implementations (default: %(default)s)")  # fmt: skip
    parser.add_argument("--alike", action="store_true", help="no pairs of two implementations")
    parser.add_argument("--json", type=Path, default=DEFAULT_JSON, metavar="PATH",
                        help="where to write the JSON (build/bench-peers.json)")  # fmt: skip
    options = parser.parse_args(arguments)
    unknown = {*options.names} - {*NAMES} | {*options.only.split(",")} - {*KINDS}
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    scale = (QUICK if options.quick else FULL).with_rounds(options.rounds)
    pairs = pairs_of(built(options.only.split(",")), not options.alike)
    run = Run(scale, pairs, tell)
    run.measure([name for name in NAMES if not options.names or name in options.names])
    write(run.samples, scale, pairs, options.json)


def tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def built(kinds: Sequence[str]) -> list[str]:
    """Return the kinds that can be run; print the command that builds each other one."""
    for kind in kinds:
        if not is_built(kind):
            tell(f"without {kind}: benchmarks/peers/build.sh {kind} builds it")
    return [kind for kind in kinds if is_built(kind)]


def write(samples: Samples, scale: Scale, pairs: Sequence[Pair], path: Path) -> None:
    """Print the tables, and write the JSON."""
    table = report.rows(scale)
    print(report.main_table(samples, table))
    across = report.cross_table(samples, table, pairs)
    if across:
        print(f"\n{across}")
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(document(samples, report.verdicts(samples, table)), indent=2)
    path.write_text(text + "\n", encoding="utf-8")
    tell(f"written to {path}")


if __name__ == "__main__":
    main()
