"""Every target on its seeds, its stored corpus and a few hundred inputs, and the fuzzer on itself.

What a long run would find, a short one can only sample; the toy decoders show that the rules are
looked at, so that silence means something.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.fuzz import corpus, rlptree
from tests.fuzz.__main__ import main
from tests.fuzz.mutate import Mutator
from tests.fuzz.run import run
from tests.fuzz.target import (
    MAX_CPU_S,
    MAX_MEMORY_BYTES,
    REPAIRED,
    SMALL,
    Target,
    Violation,
    judge,
    judge_memory,
)
from tests.fuzz.targets import TARGETS
from tests.rlpx.pair import Memory

INPUTS = 300
MEMORY_EVERY = 25
MAX_CORPUS_BYTES = 300 * 1024

each_target = pytest.mark.parametrize("name", TARGETS)


@each_target
def test_inputs_break_no_rule(name: str) -> None:
    stored = len(corpus.cases(TARGETS[name]))
    tally = run(name, stored + INPUTS, seed=1, memory_every=MEMORY_EVERY)
    assert tally.findings == []
    assert tally.inputs == stored + INPUTS and tally.measured >= INPUTS // MEMORY_EVERY
    assert tally.worst_cpu_s <= MAX_CPU_S and tally.worst_memory_bytes <= MAX_MEMORY_BYTES


@each_target
def test_some_seeds_are_accepted(name: str) -> None:
    target = TARGETS[name]
    outcomes = {judge(target, case).outcome for case in target.seeds()}
    assert any(outcome.startswith(("accepted", "open")) for outcome in outcomes)


@pytest.mark.parametrize("name", [n for n, target in TARGETS.items() if target.shallow])
def test_repair_brings_most_mutations_past_the_first_layer(name: str) -> None:
    target = TARGETS[name]
    rng = random.Random(name)
    mutator = Mutator(rng, words=target.words, max_size=target.max_size)
    seeds = [case for case in target.seeds() if case[0] & REPAIRED]
    cases = [mutator.mutate(rng.choice(seeds), rng.choice(seeds)) for _ in range(60)]
    cases = [bytes([case[0] | REPAIRED]) + case[1:] for case in cases]
    deep = sum(target.is_deep(judge(target, case).outcome) for case in cases)
    assert deep >= len(cases) // 2


def test_the_stored_corpus_is_small_and_belongs_to_targets() -> None:
    folders = list(corpus.FOLDER.iterdir()) if corpus.FOLDER.exists() else []
    assert {folder.name for folder in folders} <= set(TARGETS)
    sizes = [path.stat().st_size for folder in folders for path in folder.iterdir()]
    assert sum(sizes) < MAX_CORPUS_BYTES


# The rules are looked at.


def toy(decode: Callable[[bytes], Any], **changes: Any) -> Target:
    """A target whose decoder the test makes up."""
    target = Target(
        "toy",
        seeds=lambda: [b"\0seed"],
        build=lambda variant, repaired, body: body,
        decode=decode,
        errors=(KeyError,),
    )
    return replace(target, **changes)


def raising(error: BaseException) -> Callable[[bytes], Any]:
    def decode(data: bytes) -> Any:
        raise error

    return decode


def test_documented_error_is_an_outcome() -> None:
    assert judge(toy(raising(KeyError("no 17 here"))), b"\0x").outcome.startswith("KeyError")


class Panic(BaseException):
    """What a library that is not written in Python may raise."""


@pytest.mark.parametrize(
    "error", [IndexError("out"), RecursionError(), MemoryError(), AssertionError(), Panic("panic")]
)
def test_any_other_error_is_a_violation(error: BaseException) -> None:
    with pytest.raises(Violation, match="not a documented error"):
        judge(toy(raising(error)), b"\0x")


@pytest.mark.parametrize("text", ["line\nbreak", "x" * 1000, "\x1b[31m"])
def test_text_that_would_spoil_the_log_is_a_violation(text: str) -> None:
    target = toy(raising(ValueError(text)), errors=(ValueError,))
    with pytest.raises(Violation, match="log"):
        judge(target, b"\0x")


def burn(data: bytes) -> None:
    end = time.thread_time() + 1.2 * MAX_CPU_S
    while time.thread_time() < end:
        pass


def test_input_that_takes_too_long_is_a_violation() -> None:
    with pytest.raises(Violation, match="ms"):
        judge(toy(burn), b"\0x")


def test_input_that_was_slow_once_is_none() -> None:
    calls: list[bytes] = []

    def decode(data: bytes) -> None:
        calls.append(data)
        if len(calls) == 1:
            burn(data)

    assert judge(toy(decode), b"\0x").cpu_s <= MAX_CPU_S


def test_small_input_that_takes_too_much_memory_is_a_violation() -> None:
    def decode(data: bytes) -> int:
        return len(bytes(MAX_MEMORY_BYTES + 1))

    with pytest.raises(Violation, match="KiB"):
        judge_memory(toy(decode), b"\0x")
    assert judge_memory(toy(decode), b"\0" + bytes(SMALL + 1)) > MAX_MEMORY_BYTES


def test_value_that_does_not_agree_is_a_violation() -> None:
    def check(built: bytes, value: bytes) -> None:
        assert value == built

    target = toy(lambda data: data[:3], check=check)
    assert judge(target, b"\0abc").outcome == "accepted"
    with pytest.raises(Violation, match="does not agree"):
        judge(target, b"\0abcd")


def test_refusal_that_does_not_agree_is_a_violation() -> None:
    def check(built: bytes, error: Exception) -> None:
        raise AssertionError("it was good")

    with pytest.raises(Violation, match="it was good"):
        judge(toy(raising(KeyError("k")), check_refused=check), b"\0x")


# Mutation.


def mutations(seed: int, count: int) -> list[bytes]:
    mutator = Mutator(random.Random(seed), max_size=500)
    cases = [b"\1" + b"\xc8\x83dog\x83cat", b"\0" + bytes(range(256)), b"", b"\1"]
    for _ in range(count):
        cases.append(mutator.mutate(cases[-1], cases[-3]))
        if len(cases[-1]) < 3:
            cases.append(cases[0])
    return cases


def test_the_same_seed_makes_the_same_cases() -> None:
    assert mutations(7, 300) == mutations(7, 300) != mutations(8, 300)


def test_cases_are_no_longer_than_allowed() -> None:
    assert max(map(len, mutations(1, 2000))) <= 501


def test_making_a_case_takes_little_memory() -> None:
    mutator = Mutator(random.Random(1), max_size=2048)
    case = b"\1" + rlptree.encode([[b"a" * 100], [[b"b" * 500, b"c"]] * 2])
    with Memory() as memory:
        for _ in range(2000):
            mutator.mutate(case, case)
    assert memory.peak < 2**20


@pytest.mark.parametrize("seed", range(5))
def test_a_tree_that_was_read_is_written_as_it_was(seed: int) -> None:
    for case in mutations(seed, 300):
        assert rlptree.write(rlptree.read(case)) == case


def test_lengths_around_a_change_are_right_again() -> None:
    items = rlptree.read(b"\xc8\x83dog\x83cat")
    assert items == [[b"dog", b"cat"]]
    assert isinstance(items[0], list)
    items[0][1] = [b"a" * 60]
    assert rlptree.write(items) == b"\xf8\x44\x83dog\xf8\x3e\xb8\x3c" + b"a" * 60


def test_a_lie_survives_beside_a_change() -> None:
    lie = b"\xb8\x03cat"  # a length that belongs into the head
    items = rlptree.read(rlptree.header(9, 0xC0) + b"\x83dog" + lie)
    assert isinstance(items[0], list)
    items[0][0] = b"horse"
    assert rlptree.write(items) == rlptree.header(11, 0xC0) + b"\x85horse" + lie


def test_the_command_line_knows_its_targets(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["no-such-target"])
    assert "no such target" in capsys.readouterr().err
