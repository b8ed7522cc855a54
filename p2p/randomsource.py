"""What the package asks of a random source.

Pure modules and plain data are handed one, so that a test can decide what is drawn;
``random.Random`` has everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol


class RandomSource(Protocol):
    """A random source; ``random.Random`` is one."""

    def random(self) -> float:
        """A number from 0.0 up to, but not including, 1.0."""

    def randrange(self, stop: int, /) -> int:
        """A number from 0 up to, but not including, ``stop``."""

    def sample(self, population: Sequence[Any], k: int) -> list[Any]:
        """``k`` different members of ``population`` in random order."""
