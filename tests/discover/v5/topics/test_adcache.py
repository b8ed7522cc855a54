"""The ad cache (discv5-theory, "Ad Cache")."""

from __future__ import annotations

import math
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p.discover.v5.topics.adcache import Ad, AdCache
from tests.discover.v5.topics.advertisers import advertiser, spread, topic_of


def ad_of(number: int, topic: int = 1, expiry: float = 10.0) -> Ad:
    node = advertiser(number, spread(number))
    assert node.ip is not None
    return Ad(topic_of(topic), node, node.ip, expiry)


def filled(count: int, capacity: int = 100) -> AdCache:
    cache = AdCache(capacity)
    for number in range(count):
        cache.add(ad_of(number, expiry=10.0 + number))
    return cache


def test_full_cache_takes_no_ad() -> None:
    cache = filled(3, capacity=3)
    with pytest.raises(ValueError):
        cache.add(ad_of(4))
    assert len(cache) == 3


def test_node_has_one_ad_for_a_service() -> None:
    cache = filled(1)
    with pytest.raises(ValueError):
        cache.add(ad_of(0))
    cache.add(ad_of(0, topic=2))
    assert cache.count(topic_of(1)) == cache.count(topic_of(2)) == 1


def test_ads_expire_in_the_order_of_admission() -> None:
    cache = filled(3)
    assert cache.next_expiry == 10.0
    assert cache.expired(9.9) is None
    expired = []
    while (ad := cache.expired(11.0)) is not None:
        cache.remove(ad)
        expired.append(ad.expiry)
    assert expired == [10.0, 11.0]
    assert cache.next_expiry == 12.0


def test_empty_cache_never_expires() -> None:
    assert AdCache(3).next_expiry == math.inf
    assert AdCache(3).expired(1e9) is None


def test_services_without_ads_take_no_memory() -> None:
    cache = AdCache(3)
    ad = ad_of(0)
    cache.add(ad)
    cache.remove(ad)
    assert cache.topics == 0 and len(cache) == 0


def test_choice_is_of_one_service_and_limited() -> None:
    cache = filled(20)
    cache.add(ad_of(50, topic=2))
    chosen = cache.choose(topic_of(1), 10, random.Random(1))
    assert len({node.id for node in chosen}) == 10
    assert cache.choose(topic_of(2), 10, random.Random(1)) == [ad_of(50).node]
    assert cache.choose(topic_of(3), 10, random.Random(1)) == []


def test_choice_prefers_no_advertiser() -> None:
    cache, rng = filled(20), random.Random(1)
    times = Counter(node.id for _ in range(400) for node in cache.choose(topic_of(1), 5, rng))
    assert len(times) == 20  # each is expected 100 times
    assert 60 < min(times.values()) and max(times.values()) < 140


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5), st.integers(0, 2))))
def test_cache_has_what_was_added_and_not_removed(steps: list[tuple[bool, int, int]]) -> None:
    cache, expected = AdCache(8), {}
    for adds, number, topic in steps:
        ad = ad_of(number, topic)
        key = (ad.topic, ad.node.id)
        if not adds and key in expected:
            cache.remove(expected.pop(key))
        elif adds and key not in expected and len(expected) < 8:
            cache.add(ad)
            expected[key] = ad
    assert len(cache) == len(expected)
    for topic in range(3):
        ads = [ad for (its, _), ad in expected.items() if its == topic_of(topic)]
        chosen = cache.choose(topic_of(topic), 8, random.Random(1))
        assert {node.id for node in chosen} == {ad.node.id for ad in ads}
        assert cache.count(topic_of(topic)) == len(chosen) == len(ads)
