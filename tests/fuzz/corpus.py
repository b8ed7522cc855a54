"""The stored corpus: small cases that reach what the built-in seeds do not.

One file a case in ``tests/testdata/fuzz/<target>/``, named by its hash. They were found with
coverage as the guide (:mod:`tests.fuzz.guided`) and thinned out: a case is kept if it takes a step
from one line of the library to another that no seed and no other case takes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from types import FrameType
from typing import Any

import p2p
from tests.fuzz.target import Target, Violation, judge

FOLDER = Path(__file__).parent.parent / "testdata" / "fuzz"
LIBRARY = str(Path(p2p.__file__).parent)

Step = tuple[str, int, int]


def stored(target: Target) -> list[bytes]:
    """The cases in the corpus of a target."""
    return [path.read_bytes() for path in sorted(FOLDER.joinpath(target.name).glob("*"))]


def cases(target: Target) -> list[bytes]:
    """Where mutation begins: seeds and corpus."""
    return [*target.seeds(), *stored(target)]


def save(folder: Path, case: bytes) -> Path:
    """Write a case into a folder, under the name of its hash."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / sha256(case).hexdigest()[:16]
    path.write_bytes(case)
    return path


def thin(target: Target, found: Iterable[bytes], count: int, max_size: int) -> list[bytes]:
    """At most ``count`` of the cases found: each time the one that reaches most that is new."""
    known: set[Step] = set()
    for case in cases(target):
        known |= steps(target, case)
    left = {case: steps(target, case) for case in found if len(case) <= max_size}
    kept: list[bytes] = []
    while len(kept) < count:
        left = {case: reached - known for case, reached in left.items() if not reached <= known}
        if not left:
            break
        _, _, best = min((-len(reached), len(case), case) for case, reached in left.items())
        known |= left[best]
        kept.append(best)
    return kept


def steps(target: Target, case: bytes) -> set[Step]:
    """The steps from line to line of the library that a case takes; none if it breaks a rule."""
    taken: set[Step] = set()

    def enter(frame: FrameType, event: str, argument: Any) -> Any:
        name = frame.f_code.co_filename
        if not name.startswith(LIBRARY):
            return None
        last = frame.f_code.co_firstlineno

        def step(frame: FrameType, event: str, argument: Any) -> Any:
            nonlocal last
            if event == "line":
                taken.add((name, last, frame.f_lineno))
                last = frame.f_lineno
            return step

        return step

    before = sys.gettrace()
    sys.settrace(enter)
    try:
        judge(target, case, worst_s=float("inf"))
    except Violation:
        return set()
    finally:
        sys.settrace(before)
    return taken
