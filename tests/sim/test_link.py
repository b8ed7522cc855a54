"""The quality of links: its values, and what a limited bandwidth does."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any

import pytest

import p2p
from p2p.sim import Link
from p2p.sim.link import MAX_QUEUE_S, LinkModel

A, B = IPv4Address("20.0.1.1"), IPv4Address("20.0.2.1")


def test_one_latency_is_the_shortest_and_the_longest() -> None:
    assert Link(0.3) == Link((0.3, 0.3))
    assert Link(0.3).latency_span == (0.3, 0.3)


@pytest.mark.parametrize(
    "options",
    [
        *({"latency_s": value} for value in (-1, (2, 1), (1,), float("nan"), float("inf"))),
        *({"loss": value} for value in (-0.1, 1.1, float("nan"))),
        *({"jitter": value} for value in (-0.1, float("inf"))),
        *({"bandwidth": value} for value in (0, -1, float("inf"))),
    ],
    ids=str,
)
def test_value_out_of_range_is_refused_by_name(options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(p2p.ArgumentError, match=f"^{name}: "):
        Link(**options)


@pytest.mark.parametrize("name", ["latency_s", "loss", "jitter", "bandwidth", "reordering"])
def test_value_of_a_wrong_type_is_refused_by_name(name: str) -> None:
    with pytest.raises(p2p.ArgumentError, match=f"^{name}: "):
        Link(**{name: "1"})


def test_jitter_is_the_largest_addition() -> None:
    model = LinkModel(1)
    delays = [model.delays(Link(1.0, jitter=0.5), A, B)[0] for _ in range(1000)]
    assert 1.0 <= min(delays) < 1.05
    assert 1.45 < max(delays) <= 1.5
    assert model.delays(Link(1.0, jitter=0), A, B) == [1.0]


def test_datagrams_wait_for_the_bandwidth_of_their_direction() -> None:
    model, link = LinkModel(1), Link(0.0, bandwidth=1000)
    assert [model.delays(link, A, B, 100, now=5.0) for _ in range(3)] == [
        [pytest.approx(0.1)],
        [pytest.approx(0.2)],
        [pytest.approx(0.3)],
    ]
    assert model.delays(link, B, A, 100, now=5.0) == [pytest.approx(0.1)]
    assert model.delays(link, A, B, 100, now=9.0) == [pytest.approx(0.1)]


def test_queue_of_a_slow_link_is_bounded() -> None:
    model, link = LinkModel(1), Link(0.0, bandwidth=1000)
    arrived = [model.delays(link, A, B, 100, now=0.0) for _ in range(100)]
    assert len(list(filter(None, arrived))) == MAX_QUEUE_S * 1000 / 100 + 1
