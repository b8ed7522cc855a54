"""The same targets with coverage as the guide: ``python -m tests.fuzz.guided [--runs N] [TARGET]``.

Needs atheris (``pip install -e '.[fuzz]'``; CPython on Linux or macOS). One process fuzzes one
target, because libFuzzer never returns; without a name they all run in turn, ``--jobs`` at a time.
New cases come from our own mutator, so that they are repaired as everywhere else, and every fourth
time from libFuzzer's. What it finds interesting goes to ``build/fuzz/corpus/<target>/`` and is
there for the next run; the stored corpus is only read. Whatever breaks a rule ends the run, with
the case in ``build/fuzz/found/<target>/``. ``--keep N`` adds the best of what was found to the
stored corpus (:func:`tests.fuzz.corpus.thin`), N for each target at the most.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["p2p"]):
    from tests.fuzz import corpus
    from tests.fuzz.mutate import Mutator
    from tests.fuzz.target import Target, judge
    from tests.fuzz.targets import TARGETS

BUILD = Path("build", "fuzz")
#: What libFuzzer cuts cases to, beyond what our mutator makes, in bytes.
ROOM = 16
#: Every so often a case is left to libFuzzer's own mutations.
THEIRS = 4
#: Largest case that is kept in the stored corpus, in bytes.
MAX_KEPT_SIZE = 1200


def fuzz(target: Target, options: list[str]) -> None:
    """Fuzz one target; does not return."""
    seeds = corpus.cases(target)
    rng = random.Random()
    mutator = Mutator(
        rng, words=target.words, max_size=target.max_size, reads_rlp=target.reads_rlp
    )

    def mutate(case: bytes, max_size: int, seed: int) -> bytes:
        rng.seed(seed)
        if not case or rng.randrange(THEIRS) == 0:
            return bytes(atheris.Mutate(case, max_size))
        return mutator.mutate(bytes(case), rng.choice(seeds))[:max_size]

    def cross(case: bytes, other: bytes, max_size: int, seed: int) -> bytes:
        rng.seed(seed)
        return mutator.mutate(bytes(case), bytes(other))[:max_size]

    def run(case: bytes) -> None:
        judge(target, case)

    arguments = [sys.argv[0], f"-max_len={target.max_size + ROOM}", *options]
    atheris.Setup(arguments, run, custom_mutator=mutate, custom_crossover=cross)
    atheris.Fuzz()


def folders(target: Target) -> tuple[Path, Path, Path]:
    """Where found cases go, where what broke goes, and where the seeds are as files."""
    found, broken, seeds = (
        BUILD / part / target.name for part in ("corpus", "found", "seeds")
    )
    for folder in (found, broken, seeds):
        folder.mkdir(parents=True, exist_ok=True)
    for case in corpus.cases(target):
        corpus.save(seeds, case)
    return found, broken, seeds


def command(name: str, options: list[str]) -> list[str]:
    """The process that fuzzes one target."""
    return [sys.executable, "-m", "tests.fuzz.guided", "--child", name, *options]


def explore(name: str, runs: int, seconds: int) -> int:
    """Fuzz one target in a process of its own; returns its status."""
    found, broken, seeds = folders(TARGETS[name])
    options = [
        f"-runs={runs}", f"-max_total_time={seconds}", f"-artifact_prefix={broken}/",
        "-print_final_stats=1", "-verbosity=0", str(found), str(seeds),
    ]  # fmt: skip
    print(f"== {name}", flush=True)
    return subprocess.run(command(name, options), check=False).returncode


def keep(name: str, count: int) -> None:
    """Thin out what was found for one target into the stored corpus."""
    target = TARGETS[name]
    found = [path.read_bytes() for path in sorted((BUILD / "corpus" / name).glob("*"))]
    kept = corpus.thin(target, found, count, MAX_KEPT_SIZE)
    for case in kept:
        corpus.save(corpus.FOLDER / name, case)
    print(f"{name}: {len(kept)} of {len(found)} cases kept, {sum(map(len, kept)):,} bytes")


def main(arguments: list[str]) -> int:
    """The command line; returns the status of the process."""
    if arguments[:1] == ["--child"]:
        fuzz(TARGETS[arguments[1]], arguments[2:])
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.guided", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}")
    parser.add_argument("--runs", type=int, default=-1, metavar="N", help="for each target")
    parser.add_argument("--seconds", type=int, default=0, metavar="N", help="for each target")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes")
    parser.add_argument("--keep", type=int, metavar="N", help="thin out instead of fuzzing")
    options = parser.parse_args(arguments)
    names = options.names or list(TARGETS)
    if options.keep is not None:
        for name in names:
            keep(name, options.keep)
        return 0
    with ThreadPoolExecutor(options.jobs) as pool:
        runs = [pool.submit(explore, name, options.runs, options.seconds) for name in names]
    return max(run.result() for run in runs)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
