"""Metrics in the form of Prometheus, read by its own parser."""

from __future__ import annotations

import sys

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

import p2p
from p2p.metrics import FAMILIES, Counter, Gauge, Histogram, Metric, Metrics, prometheus_collector

BY_KIND = {
    kind: next(family for family in FAMILIES if family.kind == kind and family.labels)
    for kind in ("counter", "gauge", "histogram")
}
LABELS = {"protocol": 'odd "name"\\\n', "version": "1", "code": "0x00", "kind": "x"}


def readings() -> list[Metric]:
    return [
        Counter(BY_KIND["counter"], LABELS, 2**60),
        Gauge(BY_KIND["gauge"], LABELS, 3),
        Histogram(BY_KIND["histogram"], LABELS, 3, 0.5, {0.1: 1, 1.0: 2}),
    ]


def samples(metrics: Metrics) -> dict[tuple[str, str], float]:
    """Each value by its name and the bound of its bucket, with the labels of LABELS."""
    registry = CollectorRegistry()
    registry.register(prometheus_collector(metrics))
    found = {}
    for family in text_string_to_metric_families(generate_latest(registry).decode()):
        for sample in family.samples:
            bound = sample.labels.pop("le", "")
            assert sample.labels.items() <= LABELS.items()
            found[sample.name, bound] = sample.value
    return found


def test_values_and_labels_are_those_of_the_readings() -> None:
    counter, gauge, histogram = (BY_KIND[kind].prometheus for kind in BY_KIND)
    assert samples(Metrics(readings)) == {
        (counter, ""): 2**60,
        (gauge, ""): 3.0,
        (f"{histogram}_bucket", "0.1"): 1.0,
        (f"{histogram}_bucket", "1.0"): 2.0,
        (f"{histogram}_bucket", "+Inf"): 3.0,
        (f"{histogram}_count", ""): 3.0,
        (f"{histogram}_sum", ""): 0.5,
    }


def test_collector_describes_every_family() -> None:
    described = prometheus_collector(Metrics(list)).describe()
    names = [f"{one.name}_total" if one.type == "counter" else one.name for one in described]
    assert names == [family.prometheus for family in FAMILIES]


def test_second_server_in_one_registry_is_refused() -> None:
    registry = CollectorRegistry()
    registry.register(prometheus_collector(Metrics(list)))
    with pytest.raises(ValueError, match="Duplicated"):
        registry.register(prometheus_collector(Metrics(list)))


@pytest.mark.parametrize("of_server", [True, False])
def test_missing_library_is_one_error_with_the_command(
    monkeypatch: pytest.MonkeyPatch, of_server: bool
) -> None:
    for name in list(sys.modules):
        if name.partition(".")[0] == "prometheus_client":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(p2p.ConfigError, match=r"pip install 'p2p-blocking\[metrics\]'"):
        if of_server:
            key = p2p.generate_key()
            p2p.Server(private_key=key, name="x", max_peers=1, metrics_addr="127.0.0.1:0")
        else:
            prometheus_collector(Metrics(list))
