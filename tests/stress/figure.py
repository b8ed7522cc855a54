"""What a scenario measured, and the limit it must keep."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol


class Scale(Enum):
    """How long a scenario runs: SHORT is for every change, FULL is what the figures are of."""

    SHORT = "short"
    FULL = "full"


@dataclass(frozen=True)
class Figure:
    """A measured number in its unit; ``most`` and ``least`` are the limits, where there are any.

    ``timed`` says that it depends on how fast the machine is at the moment, so that a busy one may
    miss the limit with nothing wrong: such a figure is judged at full scale only.
    """

    name: str
    value: float
    unit: str
    most: float | None = None
    least: float | None = None
    timed: bool = False

    @property
    def ok(self) -> bool:
        """Whether it is within its limits."""
        return (self.most is None or self.value <= self.most) and (
            self.least is None or self.value >= self.least
        )

    @property
    def limit(self) -> str:
        """The limits in words: ``<= 64``, or nothing."""
        parts = [f"<= {self.most:,g}"] if self.most is not None else []
        parts += [f">= {self.least:,g}"] if self.least is not None else []
        return " and ".join(parts)


class Scenario(Protocol):
    """A module that has one."""

    __name__: str

    def run(self, scale: Scale) -> Iterator[Figure]:
        """Do it, and yield what was measured."""


def table(figures: Sequence[Figure]) -> str:
    """The figures as lines of a Markdown table."""
    lines = ["| figure | measured | limit | ok |", "|---|---:|---|---|"]
    for one in figures:
        number = f"{one.value:,.0f}" if abs(one.value) >= 100 else f"{one.value:,.3g}"
        lines.append(
            f"| {one.name} | {number} {one.unit} | {one.limit} | {'yes' if one.ok else 'NO'} |"
        )
    return "\n".join(lines)
