"""A discovery engine in virtual time, and the steps of a script for it, for any protocol.

A target adds what its steps mean and where the datagrams of the engine go.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

from p2p.discover.engine import Engine
from p2p.inputs import Now
from tests.fuzz import rlptree
from tests.fuzz.rlptree import Tree
from tests.kit.link import START_UNIX

E = TypeVar("E", bound=Engine)
S = TypeVar("S", bound="Scene[Any]")

#: Monotonic time at the start of each script.
START_S = 1000.0
START = Now(START_S, START_UNIX)


@dataclass
class Scene(Generic[E]):
    """An engine, the time, and the steps of a script."""

    #: How often a script may wake the engine; a long sleep of a live node is no input of interest.
    max_wakes: ClassVar[int]

    engine: E
    steps: list[Tree]
    time: float = field(default=START_S, kw_only=True)
    wakes: int = field(default=0, kw_only=True)

    @property
    def now(self) -> Now:
        return Now(self.time, self.time + START_UNIX - START_S)

    def take(self, step: Tree) -> None:
        """Run a step."""
        raise NotImplementedError

    def flush(self) -> object:
        """Take what the engine says."""
        raise NotImplementedError

    def wait(self, seconds: float) -> None:
        """Let time pass, with every deadline on the way."""
        end = self.time + seconds
        while (deadline := self.engine.deadline) <= end and self.wakes < self.max_wakes:
            self.wakes += 1
            self.time = max(self.time, deadline)
            self.engine.handle_timeout(self.now)
            self.flush()
        self.time = end


def steps_of(repaired: bool, body: bytes, most: int) -> list[Tree]:
    """The steps of a script, ``most`` at the most; without repair the body is one datagram."""
    return rlptree.read(body)[:most] if repaired else [[b"\x07", b"", body]]


def run_script(scene: S) -> S:
    """Run all steps of the script of a scene."""
    scene.flush()
    for step in scene.steps:
        scene.take(step)
        scene.flush()
    return scene


def label(scene: Scene[Any]) -> str:
    """The kinds of the packets accepted; without any, the most frequent reason to drop one."""
    counters = scene.engine.counters
    if counters.packets_in:
        return "accepted: " + " ".join(sorted(counters.packets_in))
    dropped = counters.dropped
    return "dropped: " + (max(dropped, key=lambda reason: dropped[reason]) if dropped else "none")
