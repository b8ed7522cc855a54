"""Metrics for Prometheus, by prometheus-client (the extra ``p2p-blocking[metrics]``).

The only module that imports prometheus-client, and only for a program that has its metrics served.
It owns the translation of our metrics to those of the library. Any thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from p2p.errors import ConfigError
from p2p.metrics.catalog import FAMILIES
from p2p.metrics.metric import Family, Histogram, Metric
from p2p.metrics.view import Metrics


def check_installed() -> None:
    """Raise ConfigError if prometheus-client is not installed."""
    _library()


def prometheus_collector(metrics: Metrics) -> Any:
    """Return a collector of prometheus-client that reads the metrics of a server.

    It is for a program that serves metrics itself, at an address of its choice::

        prometheus_client.REGISTRY.register(prometheus_collector(server.metrics))
        prometheus_client.start_http_server(9100, addr="10.0.0.7")

    A registry takes one server: a second one has the same names. Raises ConfigError if
    prometheus-client is not installed. Any thread may call it, and use the collector.
    """
    check_installed()
    return _Collector(metrics)


def wsgi_app(metrics: Metrics) -> Callable[..., Iterable[bytes]]:
    """Return the WSGI application that answers Prometheus, with a registry of its own."""
    library = _library()
    registry = library.CollectorRegistry()
    registry.register(_Collector(metrics))
    app: Callable[..., Iterable[bytes]] = library.make_wsgi_app(registry)
    return app


class _Collector:
    """A collector in the sense of prometheus-client."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def describe(self) -> Iterator[Any]:
        """Return all families, without values: the library compares their names."""
        return map(_empty, FAMILIES)

    def collect(self) -> Iterator[Any]:
        """Return the families that have a metric, with the values of this moment."""
        found: dict[Family, Any] = {}
        for metric in self._metrics.values():
            family = found.get(metric.family)
            if family is None:
                family = found[metric.family] = _empty(metric.family)
            _add(family, metric)
        return iter(found.values())


def _empty(family: Family) -> Any:
    core = _library().core
    kinds = {
        "counter": core.CounterMetricFamily,
        "gauge": core.GaugeMetricFamily,
        "histogram": core.HistogramMetricFamily,
    }
    return kinds[family.kind](family.prometheus, family.help, labels=family.labels)


def _add(family: Any, metric: Metric) -> None:
    labels = [metric.labels[name] for name in metric.family.labels]
    if isinstance(metric, Histogram):
        bounds = [(str(bound), number) for bound, number in metric.buckets.items()]
        family.add_metric(labels, [*bounds, ("+Inf", metric.count)], metric.sum)
    else:
        family.add_metric(labels, metric.value)


def _library() -> Any:
    """Import ``prometheus_client``."""
    try:
        import prometheus_client.core
    except ImportError as error:
        raise ConfigError(
            "metrics for Prometheus (metrics_addr) need prometheus-client: "
            "pip install 'p2p-blocking[metrics]'"
        ) from error
    return prometheus_client
