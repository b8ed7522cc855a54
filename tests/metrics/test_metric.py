"""Families, readings and their names, beside those of go-ethereum."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from p2p.metrics import FAMILIES, Counter, Gauge, Histogram
from p2p.metrics.metric import Family

TESTDATA = Path(__file__).resolve().parents[1] / "testdata"
FAMILY = Family("a/{one}/b/{two}", "counter", "p2p_a_total", "Things")


def test_name_has_the_labels_in_place() -> None:
    assert FAMILY.labels == ("one", "two")
    assert FAMILY.name({"two": "{one}", "one": "x/y"}) == "a/x/y/b/{one}"
    assert Counter(FAMILY, {"one": "1", "two": "2"}, 3).name == "a/1/b/2"


def test_histogram_as_a_value_is_for_json() -> None:
    histogram = Histogram(FAMILY, {"one": "1", "two": "2"}, 3, 0.5, {1e-5: 1, 10.0: 2})
    expected = {"count": 3, "sum": 0.5, "buckets": {"1e-05": 1, "10.0": 2}}
    assert json.loads(json.dumps(histogram.value)) == expected


def test_families_differ_in_both_names() -> None:
    assert len({family.pattern for family in FAMILIES}) == len(FAMILIES)
    assert len({family.prometheus for family in FAMILIES}) == len(FAMILIES)


def test_names_for_prometheus_follow_its_rules() -> None:
    for family in FAMILIES:
        assert family.prometheus.startswith("p2p_")
        assert family.prometheus.endswith("_total") == (family.kind == "counter")
        assert family.kind != "histogram" or family.prometheus.endswith("_seconds")


def test_readings_of_a_family_are_of_its_kind() -> None:
    kinds = {"counter": Counter, "gauge": Gauge, "histogram": Histogram}
    assert {family.kind for family in FAMILIES} == kinds.keys()


# go-ethereum's names

VECTORS = json.loads((TESTDATA / "metrics.json").read_text(encoding="utf-8"))


def families_of(name: str) -> list[str]:
    """The patterns that a name fits, without those that have a label in place of fixed parts."""
    fitting = [family for family in FAMILIES if re.fullmatch(as_regex(family.pattern), name)]
    fewest = min((len(family.labels) for family in fitting), default=0)
    return [family.pattern for family in fitting if len(family.labels) == fewest]


def as_regex(pattern: str) -> str:
    of_failure = "error/{kind}"  # the only label with a slash in it
    return re.sub(r"\{\w+\}", "[^/{}]+", pattern.replace(of_failure, "error/[a-z/]+"))


@pytest.mark.parametrize("name", VECTORS["names"])
def test_each_metric_of_go_ethereum_is_there(name: str) -> None:
    assert len(families_of(name)) == 1, families_of(name)


@pytest.mark.parametrize("name", VECTORS["tracker"])
def test_each_metric_of_the_tracker_of_go_ethereum_is_there(name: str) -> None:
    # A reply without a request counts without its code: `deliver` may get its id only.
    name = re.sub(r"^(p2p/stale/\w+/\d+)/0x\w+$", r"\1", name)
    assert len(families_of(name)) == 1, families_of(name)
