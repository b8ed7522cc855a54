"""What the fuzzer must know of a decoder, and the verdict on one input.

A *case* is what the mutator works on and the corpus holds: a first byte, the recipe, and a body.
Bit 0 of the recipe says whether the input is repaired: then hash, signature and MAC are computed
for the body, which is what they protect; otherwise the body is the input as it comes from the wire,
and hardly a mutation of it passes the first check. The other bits choose among what a decoder can
be asked.

An input is made by ``build`` and read by ``decode``; only the latter is measured. It must return or
raise one of ``errors`` with a short printable text, within :data:`MAX_CPU_S` and, when the input is
small, :data:`MAX_MEMORY_BYTES`. What it returned goes to ``check``, which asserts that encoding and
decoding it again agrees, and whatever else must hold.
"""

from __future__ import annotations

import re
import time
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

#: CPU time of this thread for one input.
MAX_CPU_S = 0.050
#: Peak of what Python allocates for one small input.
MAX_MEMORY_BYTES = 256 * 1024
#: A small input: no hello, handshake packet, datagram or record is larger. In bytes.
SMALL = 2048
#: Longest text of an error, in characters: it goes to the log.
MAX_TEXT = 300
#: How often an input that seems to break a limit is tried again; the best counts.
TRIES = 5

REPAIRED = 1


class Violation(Exception):
    """An input broke a rule; the text says which."""


@dataclass(frozen=True)
class Target:
    """A decoder under test."""

    name: str
    #: Cases to begin with, besides the stored corpus.
    seeds: Callable[[], Sequence[bytes]]
    #: Takes the recipe without bit 0, whether to repair, and the body.
    build: Callable[[int, bool, bytes], Any]
    decode: Callable[[Any], Any]
    errors: tuple[type[Exception], ...]
    check: Callable[[Any, Any], None] = lambda built, value: None
    check_refused: Callable[[Any, Exception], None] = lambda built, error: None
    #: How long an input is, in bytes, where that is not how long its case is.
    size: Callable[[Any], int] = lambda built: 0
    #: What became of an input that was not refused by an exception.
    label: Callable[[Any], str] = lambda value: "accepted"
    #: How outcomes begin that the repair is there to avoid.
    shallow: tuple[str, ...] = ()
    words: tuple[bytes, ...] = ()
    reads_rlp: bool = True
    #: Whether there is anything to repair.
    repairs: bool = True
    max_size: int = SMALL

    def make(self, case: bytes) -> Any:
        """What ``decode`` takes."""
        recipe = case[0] if case else 0
        return self.build(recipe >> 1, bool(recipe & REPAIRED), case[1:])

    def is_deep(self, outcome: str) -> bool:
        """Whether an input with that outcome came past the layer that the repair makes right."""
        return not outcome.startswith(self.shallow) if self.shallow else True


@dataclass(frozen=True)
class Verdict:
    """How an input fared; ``cpu_s`` is at most that, and exact when it is a new worst."""

    outcome: str
    cpu_s: float


def judge(target: Target, case: bytes, worst_s: float = MAX_CPU_S) -> Verdict:
    """Run one case. Raises Violation.

    CPU time never exceeds elapsed time, which costs less to ask for; so only where the latter is
    beyond ``worst_s``, the worst so far, the case runs again with the former.
    """
    built = target.make(case)
    start = time.perf_counter()
    try:
        value = target.decode(built)
        elapsed_s = time.perf_counter() - start
    except target.errors as error:
        elapsed_s = time.perf_counter() - start
        outcome = describe(error)
        _hold(target.check_refused, built, error)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise Violation(f"not a documented error: {type(error).__name__}: {error}") from error
    else:
        _hold(target.check, built, value)
        outcome = target.label(value)
    if elapsed_s <= worst_s:
        return Verdict(outcome, elapsed_s)
    cpu_s = _cpu_of(target, case)
    if cpu_s > worst_s:
        cpu_s = min(cpu_s, *(_cpu_of(target, case) for _ in range(TRIES)))
    if cpu_s > MAX_CPU_S:
        raise Violation(f"takes {cpu_s * 1000:.0f} ms")
    return Verdict(outcome, cpu_s)


def judge_memory(target: Target, case: bytes) -> int:
    """The peak of what decoding a case allocates, in bytes. Raises Violation."""
    peak = _memory_of(target, case)
    if peak > MAX_MEMORY_BYTES and is_small(target, case):
        peak = min(_memory_of(target, case) for _ in range(TRIES))
        if peak > MAX_MEMORY_BYTES:
            raise Violation(f"takes {peak // 1024} KiB")
    return peak


def is_small(target: Target, case: bytes) -> bool:
    """Whether the limit of memory holds for the input that a case makes."""
    return len(case) <= 1 + SMALL and target.size(target.make(case)) <= SMALL


def describe(error: Exception) -> str:
    """The class and the reason of a refusal, without numbers and places, for counting."""
    text = str(error)
    if len(text) > MAX_TEXT or not text.isprintable():
        raise Violation(f"an error's text is not fit for the log: {text!r}")
    reason = re.sub(r"^\S* ?\(?byte \d+\)?: ", "", text)
    reason = re.sub(r"'[^']*'|\"[^\"]*\"", "…", reason)
    return f"{type(error).__name__}: {re.sub(r'[0-9][0-9,]*', 'N', reason)}"[:100]


def _hold(check: Callable[..., None], *arguments: Any) -> None:
    try:
        check(*arguments)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise Violation(f"does not agree: {type(error).__name__}: {error}") from error


def _cpu_of(target: Target, case: bytes) -> float:
    built = target.make(case)
    start = time.thread_time()
    _try(target, built)
    return time.thread_time() - start


def _memory_of(target: Target, case: bytes) -> int:
    built = target.make(case)
    tracemalloc.start()
    try:
        _try(target, built)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def _try(target: Target, built: Any) -> None:
    try:
        target.decode(built)
    except target.errors:
        pass
