"""The metrics as a mapping."""

from __future__ import annotations

import json

import pytest

from p2p.metrics import Counter, Gauge, Metrics
from p2p.metrics.metric import Family

SIZE = Family("size/{name}", "gauge", "p2p_size", "Sizes")
READS = Family("reads", "counter", "p2p_reads_total", "Reads")


class Source:
    """Counts how often it is read."""

    def __init__(self) -> None:
        self.reads = 0

    def read(self) -> list[Counter | Gauge]:
        self.reads += 1
        sizes = [Gauge(SIZE, {"name": name}, number) for number, name in enumerate("ab")]
        return [Counter(READS, {}, self.reads), *sizes]


def test_each_call_reads_once_and_anew() -> None:
    source = Source()
    metrics = Metrics(source.read)
    assert [metrics["reads"].value, metrics["reads"].value] == [1, 2]
    assert [metric.value for metric in metrics.values()] == [3, 0, 1]
    assert {name: metric.value for name, metric in metrics.items()} == metrics.snapshot() | {
        "reads": 4
    }
    assert source.reads == 5


def test_it_is_a_mapping_that_cannot_be_written() -> None:
    metrics = Metrics(Source().read)
    assert list(metrics) == ["reads", "size/a", "size/b"]
    assert len(metrics) == 3
    assert "size/a" in metrics and "size" not in metrics
    with pytest.raises(KeyError, match="'size'"):
        metrics["size"]
    assert not hasattr(metrics, "__setitem__") and not hasattr(metrics, "__delitem__")


def test_snapshot_is_a_dict_for_json() -> None:
    shown = json.loads(json.dumps(Metrics(Source().read).snapshot()))
    assert shown == {"reads": 1, "size/a": 0, "size/b": 1}
