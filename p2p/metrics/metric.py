"""Metrics as values: a family of them, and one reading of a counter, a gauge or a histogram.

Pure. A family has the pattern of go-ethereum's names, such as ``p2p/ingress/{protocol}``, and the
name for Prometheus, which has the parts in braces as labels. The families are in
:mod:`p2p.metrics.catalog`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

_PLACEHOLDER = re.compile(r"\{(\w+)\}")

#: The kinds of metrics.
Kind: TypeAlias = Literal["counter", "gauge", "histogram"]


@dataclass(frozen=True, slots=True)
class Family:
    """The metrics of one kind and meaning, which differ in their labels.

    ``pattern`` is their name in go-ethereum's form with each label in braces, ``prometheus`` their
    name for Prometheus, ``help`` their meaning with the unit of the values.
    """

    pattern: str
    kind: Kind
    prometheus: str
    help: str

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the labels, in the order of the pattern."""
        return tuple(_PLACEHOLDER.findall(self.pattern))

    def name(self, labels: Mapping[str, str]) -> str:
        """Return the name of the metric with these labels: ``p2p/ingress/eth/68/0x02``."""
        return _PLACEHOLDER.sub(lambda found: labels[found.group(1)], self.pattern)


@dataclass(frozen=True, slots=True)
class _Reading:
    """The value of a metric at one moment."""

    family: Family
    labels: Mapping[str, str]

    @property
    def name(self) -> str:
        """The name in go-ethereum's form."""
        return self.family.name(self.labels)


@dataclass(frozen=True, slots=True)
class Counter(_Reading):
    """A number that only grows, from 0 when the server was made: bytes, messages, dials."""

    value: int


@dataclass(frozen=True, slots=True)
class Gauge(_Reading):
    """A number that goes up and down: peers, messages in a queue."""

    value: int


@dataclass(frozen=True, slots=True)
class Histogram(_Reading):
    """A distribution: ``count`` values, their ``sum``, and how many are small.

    ``buckets`` has, for each bound, the number of values up to it; those of the smaller bounds are
    in it, as Prometheus counts.
    """

    count: int
    sum: float
    buckets: Mapping[float, int]

    @property
    def value(self) -> dict[str, Any]:
        """All of it as a dict for JSON, with each bound as text."""
        buckets = {str(bound): number for bound, number in self.buckets.items()}
        return {"count": self.count, "sum": self.sum, "buckets": buckets}


#: A reading of any kind.
Metric: TypeAlias = Counter | Gauge | Histogram
