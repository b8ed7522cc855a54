"""Metrics of a server: counters, gauges and histograms with go-ethereum's names.

``Server.metrics`` is a :class:`Metrics`, a read-only mapping of names to a :class:`Counter`, a
:class:`Gauge` or a :class:`Histogram`; ``Metric`` stands for any of the three. Each belongs to a
:class:`Family`, and ``FAMILIES`` lists them all. The option ``metrics_addr`` of a server serves
them to Prometheus; :func:`prometheus_collector` is for a program that serves them itself.
"""

from __future__ import annotations

from p2p.metrics.catalog import FAMILIES
from p2p.metrics.metric import Counter, Family, Gauge, Histogram, Metric
from p2p.metrics.prometheus import prometheus_collector
from p2p.metrics.view import Metrics

__all__ = [
    "FAMILIES",
    "Counter",
    "Family",
    "Gauge",
    "Histogram",
    "Metric",
    "Metrics",
    "prometheus_collector",
]
