"""Estimates of rates: what a peer delivers, and what peers have in common."""

from __future__ import annotations

import math
from typing import Any

import pytest

from p2p.errors import ArgumentError
from p2p.requests import PeerRates, RateEstimator
from p2p.requests.rates import (
    LEAST_TARGET_S,
    MAX_ITEMS,
    MOST_TARGET_S,
    MOST_TIMEOUT_S,
    OVERESTIMATE,
    TARGET_FACTOR,
    TIMEOUT_FACTOR,
    WEIGHT,
)

CODE = 3


def test_first_request_is_for_one_item() -> None:
    assert RateEstimator().capacity(CODE, 5.0) == 1


def test_first_measurement_counts_in_full_and_later_ones_by_their_weight() -> None:
    rates = RateEstimator()
    rates.update(CODE, 100, 1.0)
    assert rates.rates == {CODE: 100.0}
    rates.update(CODE, 200, 1.0)
    assert rates.rates[CODE] == pytest.approx(100 + WEIGHT * 100)


def test_capacity_is_a_little_more_than_the_estimate() -> None:
    rates = RateEstimator({CODE: 100.0})
    assert rates.capacity(CODE, 2.0) == math.ceil(1 + OVERESTIMATE * 200)
    assert rates.capacity(CODE, 0.0) == 1
    assert RateEstimator({CODE: 1e300}).capacity(CODE, 1e10) == MAX_ITEMS


def test_capacity_grows_to_the_true_rate_of_a_peer_that_always_has_time() -> None:
    rates = RateEstimator()
    asked = 0
    for _ in range(500):
        asked = rates.capacity(CODE, 2.0)
        rates.update(CODE, asked, 0.05 + asked / 1000)  # 1,000 a second, after 50 ms
    assert 1900 < asked < 2000


def test_request_without_items_falls_back_to_one_item() -> None:
    rates = RateEstimator({CODE: 100.0}, round_trip_s=3.0)
    rates.update(CODE, 0, 20.0)
    assert rates.capacity(CODE, 5.0) == 1
    assert rates.round_trip_s == 3.0
    rates.update(CODE, 5, 1.0)
    assert rates.rates[CODE] == 5.0


def test_codes_have_rates_of_their_own() -> None:
    rates = RateEstimator()
    rates.update(1, 10, 1.0)
    rates.update(2, 20, 1.0)
    assert rates.rates == {1: 10.0, 2: 20.0}


def test_round_trip_moves_towards_the_measured_one() -> None:
    rates = RateEstimator(round_trip_s=10.0)
    rates.update(CODE, 1, 5.0)
    assert rates.round_trip_s == pytest.approx(10.0 - WEIGHT * 5.0)


def test_reply_in_no_time_is_no_division_by_zero() -> None:
    rates = RateEstimator()
    rates.update(CODE, 1, 0.0)
    assert rates.capacity(CODE, 5.0) == MAX_ITEMS


def test_without_peers_the_target_is_the_longest() -> None:
    rates = PeerRates()
    assert rates.target_s == TARGET_FACTOR * MOST_TARGET_S
    assert rates.timeout_s == min(TIMEOUT_FACTOR * MOST_TARGET_S, MOST_TIMEOUT_S)


def peers_with(*round_trips: float) -> PeerRates:
    """Peers with these round trips."""
    rates = PeerRates()
    for key, seconds in enumerate(round_trips):
        peer = rates.add(key)
        for _ in range(200):
            peer.update(CODE, 1, seconds)
    return rates


def test_target_is_that_of_the_better_peers() -> None:
    rates = peers_with(15.0, 14.0, 3.0, 13.0, 12.0)  # in order, the one of rank 2
    assert rates.target_s == pytest.approx(TARGET_FACTOR * 13.0, rel=1e-3)
    assert rates.timeout_s == pytest.approx(TIMEOUT_FACTOR * 13.0, rel=1e-3)


@pytest.mark.parametrize("seconds, usual_s", [(0.01, LEAST_TARGET_S), (300.0, MOST_TARGET_S)])
def test_target_stays_in_its_range(seconds: float, usual_s: float) -> None:
    assert peers_with(seconds).target_s == TARGET_FACTOR * usual_s


def test_new_peer_begins_with_the_mean_of_the_others() -> None:
    rates = PeerRates()
    rates.add("a").update(CODE, 100, 4.0)
    rates.add("b")  # begins with 25 a second, and has another code
    assert rates.add("b").rates == {CODE: 25.0}
    peer = rates.add("c")
    assert peer.rates == {CODE: 25.0}
    assert peer.round_trip_s == pytest.approx(rates.target_s / TARGET_FACTOR)


def test_removed_peer_has_no_say() -> None:
    rates = peers_with(3.0, 15.0)
    rates.remove(1)
    rates.remove("unknown")
    assert len(rates) == 1
    assert rates.target_s == pytest.approx(TARGET_FACTOR * 3.0, rel=1e-3)


@pytest.mark.parametrize(
    "call",
    [
        lambda: RateEstimator([1]),
        lambda: RateEstimator(round_trip_s=-1),
        lambda: RateEstimator(round_trip_s="x"),
        lambda: RateEstimator().update("x", 1, 1.0),
        lambda: RateEstimator().update(1, -1, 1.0),
        lambda: RateEstimator().update(1, 1, math.nan),
        lambda: RateEstimator().capacity(1, math.inf),
    ],
)
def test_wrong_arguments_are_refused(call: Any) -> None:
    with pytest.raises(ArgumentError):
        call()
