"""One target under many inputs, and what came of it."""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz import corpus
from tests.fuzz.mutate import Mutator
from tests.fuzz.target import REPAIRED, Target, Violation, is_small, judge, judge_memory
from tests.fuzz.targets import TARGETS

#: Cases that mutation chooses from: seeds, corpus, and the newest with an outcome seldom seen.
MAX_POOL = 400
#: Of the inputs made; the others meet the layer that repairing gets past.
REPAIRED_SHARE = 0.8
#: How often an outcome may have been seen for its case to join the pool.
RARE = 3
#: Findings kept in full; after so many the rest is only counted.
MAX_FINDINGS = 20


@dataclass
class Tally:
    """What came of the inputs to one target."""

    name: str
    inputs: int = 0
    seconds: float = 0.0
    cpu_s: float = 0.0
    outcomes: Counter[str] = field(default_factory=Counter)
    deep: int = 0
    repaired: int = 0
    repaired_deep: int = 0
    worst_cpu_s: float = 0.0
    worst_memory_bytes: int = 0
    measured: int = 0
    findings: list[tuple[str, bytes]] = field(default_factory=list)
    violations: int = 0

    def add(self, text: str, case: bytes) -> None:
        """Note a broken rule, the first cases of each kind in full."""
        self.violations += 1
        if len(self.findings) < MAX_FINDINGS and all(known != text for known, _ in self.findings):
            self.findings.append((text, case))


class Pool:
    """The cases that new ones are made of; :data:`REPAIRED_SHARE` of those chosen are repaired."""

    def __init__(self, rng: random.Random, mask: int) -> None:
        self._rng = rng
        self._mask = mask
        self._raw: list[bytes] = []
        self._repaired: list[bytes] = []

    def add(self, case: bytes) -> None:
        """Take a case in, unless there are enough."""
        cases = self._repaired if case[:1] and case[0] & self._mask else self._raw
        if len(cases) < MAX_POOL:
            cases.append(case)

    def choose(self) -> bytes:
        """Any case."""
        repaired = self._rng.random() < REPAIRED_SHARE
        return self._rng.choice((self._repaired if repaired else self._raw) or self._any())

    def _any(self) -> list[bytes]:
        return self._repaired or self._raw


def run(name: str, inputs: int, seed: int, memory_every: int, save_to: Path | None = None) -> Tally:
    """Give a target its seeds, its corpus, and mutations of them, ``inputs`` in all at least."""
    target = TARGETS[name]
    rng = random.Random(f"{name} {seed}")
    mutator = Mutator(
        rng, words=target.words, max_size=target.max_size, reads_rlp=target.reads_rlp
    )
    pool = Pool(rng, REPAIRED if target.repairs else 0)
    tally = Tally(name)
    start, start_cpu = time.monotonic(), time.process_time()
    for case in corpus.cases(target):
        try_case(target, case, tally, memory=True)
        pool.add(case)
    while tally.inputs < inputs:
        case = mutator.mutate(pool.choose(), pool.choose())
        memory = tally.inputs % memory_every == 0
        outcome = try_case(target, case, tally, memory=memory)
        if outcome is not None and tally.outcomes[outcome] <= RARE:
            pool.add(case)
    tally.seconds, tally.cpu_s = time.monotonic() - start, time.process_time() - start_cpu
    if save_to is not None:
        for _, case in tally.findings:
            corpus.save(save_to / name, case)
    return tally


def try_case(target: Target, case: bytes, tally: Tally, memory: bool) -> str | None:
    """Judge a case and count it; its outcome, None for a violation."""
    tally.inputs += 1
    try:
        verdict = judge(target, case, tally.worst_cpu_s)
        if memory and is_small(target, case):
            tally.measured += 1
            peak = judge_memory(target, case)
            tally.worst_memory_bytes = max(tally.worst_memory_bytes, peak)
    except Violation as violation:
        tally.add(str(violation), case)
        return None
    tally.outcomes[verdict.outcome] += 1
    tally.worst_cpu_s = max(tally.worst_cpu_s, verdict.cpu_s)
    is_deep = target.is_deep(verdict.outcome)
    tally.deep += is_deep
    if case[:1] and case[0] & REPAIRED:
        tally.repaired += 1
        tally.repaired_deep += is_deep
    return verdict.outcome
