"""The waiting-time function and its lower bounds (discv5-theory, "Waiting-Time Function")."""

from __future__ import annotations

import math
from ipaddress import ip_address

import pytest

from p2p.discover.v5.topics.adcache import Ad, AdCache
from p2p.discover.v5.topics.waiting import Quote, RegistrarConfig, WaitingTime
from tests.discover.v5.topics.advertisers import advertiser, topic_of

E, C, G = 900.0, 100, 1e-7
NOW = 1000.0
SERVICE, OTHER = topic_of(1), topic_of(2)


class Queue:
    """A cache of 100 ads with its waiting-time function."""

    def __init__(self) -> None:
        self.cache = AdCache(C)
        self.waiting = WaitingTime(self.cache, RegistrarConfig(E, C, 10.0, G))
        self.added = 0

    def add(self, topic: bytes, *ips: str) -> list[Ad]:
        return [self.add_one(topic, ip) for ip in ips]

    def add_one(self, topic: bytes, ip: str) -> Ad:
        self.added += 1
        ad = Ad(topic, advertiser(self.added, ip), ip_address(ip), NOW + E)
        self.cache.add(ad)
        self.waiting.admitted(ad)
        return ad

    def remove(self, ad: Ad) -> None:
        self.cache.remove(ad)
        self.waiting.removed(ad)

    def quote(self, topic: bytes, ip: str, now: float = NOW, renewed: Ad | None = None) -> Quote:
        return self.waiting.quote(topic, ip_address(ip), renewed, now)

    def wait_s(self, topic: bytes, ip: str, now: float = NOW) -> float:
        return self.quote(topic, ip, now).wait_s

    def issue(self, topic: bytes, ip: str, now: float = NOW) -> float:
        quote = self.quote(topic, ip, now)
        self.waiting.issued(topic, quote, now)
        return quote.wait_s


def occupancy(count: int) -> float:
    return 1 / (1 - count / C) ** 10


def test_empty_cache_leaves_the_safety_constant() -> None:
    assert Queue().wait_s(SERVICE, "20.0.0.1") == pytest.approx(E * G)


def test_waiting_time_is_that_of_the_formula() -> None:
    queue = Queue()
    queue.add(SERVICE, "20.0.0.1", "120.0.0.1")
    queue.add(OTHER, "150.0.0.1", "200.0.0.1")
    # 60.0.0.1 is 001111…, beside 20 (000101…), 120 (011110…), 150 (100101…), 200 (110010…): one of
    # four is below 00, as many as expected.
    expected = E * occupancy(4) * (2 / 4 + 0.0 + G)
    assert queue.wait_s(SERVICE, "60.0.0.1") == pytest.approx(expected)
    # 20.0.0.2 has 30 bits in common with 20.0.0.1; at levels 1 and 2 not more than expected.
    expected = E * occupancy(4) * (0.0 + 28 / 32 + G)
    assert queue.wait_s(topic_of(3), "20.0.0.2") == pytest.approx(expected)


def test_fuller_cache_means_a_longer_wait() -> None:
    queue, waits = Queue(), []
    for number in range(C):
        queue.add(topic_of(number), f"{number + 11}.0.0.1")
        waits.append(queue.wait_s(topic_of(1000), "203.0.112.1"))
    # The part of the address may fall with each new ad, the occupancy only rises.
    assert waits[90] > waits[50] > waits[10]
    assert waits[-1] == math.inf


def test_full_cache_means_to_wait_without_end_for_any_ad() -> None:
    queue = Queue()
    for number in range(C):
        queue.add(SERVICE, f"{number + 11}.0.0.1")
    assert queue.wait_s(OTHER, "203.0.112.1") == math.inf
    assert queue.wait_s(OTHER, "10.0.0.1") == math.inf


def test_service_with_more_ads_means_a_longer_wait() -> None:
    queue = Queue()
    queue.add(SERVICE, "20.0.0.1", "120.0.0.1", "150.0.0.1")
    queue.add(OTHER, "200.0.0.1")
    ip = "60.0.0.1"
    assert queue.wait_s(SERVICE, ip) > queue.wait_s(OTHER, ip) > queue.wait_s(topic_of(3), ip)


def test_families_have_trees_of_their_own() -> None:
    queue = Queue()
    queue.add(OTHER, "20.0.0.1")
    assert queue.quote(SERVICE, "2a00::1").address_s == pytest.approx(E * occupancy(1) * G)
    queue.add(OTHER, "2a00::1")
    assert queue.quote(SERVICE, "2a00::1").address_s == pytest.approx(E * occupancy(2) * (1 + G))


def test_ads_of_an_own_network_are_not_similar() -> None:
    queue = Queue()
    queue.add(OTHER, "10.0.0.1", "127.0.0.1", "20.0.0.1")
    assert queue.quote(SERVICE, "10.0.0.1").address_s == pytest.approx(E * occupancy(3) * G)
    assert queue.quote(SERVICE, "20.0.0.1").address_s == pytest.approx(E * occupancy(3) * (1 + G))
    for ad in queue.add(OTHER, "10.0.0.2"):
        queue.remove(ad)


def test_ad_to_be_renewed_does_not_count() -> None:
    queue = Queue()
    queue.add(SERVICE, "20.0.0.1", "120.0.0.1")
    before = queue.quote(SERVICE, "60.0.0.1")
    (ad,) = queue.add(SERVICE, "60.0.0.1")
    assert queue.quote(SERVICE, "60.0.0.1", renewed=ad)[:3] == pytest.approx(before[:3])
    moved = queue.quote(SERVICE, "60.0.0.2", renewed=ad)
    assert moved.service_s == pytest.approx(before.service_s)


# Lower bounds.


def test_service_in_the_cache_has_a_lower_bound() -> None:
    queue = Queue()
    queue.add(SERVICE, "20.0.0.1")
    first_s = queue.issue(SERVICE, "200.0.0.1")  # of the service alone: no common prefix
    queue.add(OTHER, "21.0.0.1", "22.0.0.1", "23.0.0.1")
    assert queue.quote(SERVICE, "200.0.0.1").service_s < first_s / 2
    for passed_s in (0.0, 1.0, 100.0):
        wait_s = queue.wait_s(SERVICE, "200.0.0.1", NOW + passed_s)
        assert wait_s >= min(first_s, E) - passed_s


def test_service_that_is_not_in_the_cache_has_no_bound() -> None:
    queue = Queue()
    queue.add(OTHER, "20.0.0.1")
    for number in range(200):
        queue.issue(topic_of(number + 10), f"{number + 11}.7.7.7")
    assert queue.waiting._services.keys() == {OTHER}


def test_bound_of_a_service_ends_with_its_last_ad() -> None:
    queue = Queue()
    ads = queue.add(SERVICE, "20.0.0.1", "21.0.0.1")
    queue.issue(SERVICE, "200.0.0.1")
    queue.remove(ads[0])
    assert queue.wait_s(SERVICE, "200.0.0.1") > 800.0
    queue.remove(ads[1])
    assert queue.waiting._services == {}


def test_address_has_a_lower_bound_for_every_service() -> None:
    queue = Queue()
    queue.add(SERVICE, "20.0.0.1")
    first_s = queue.issue(topic_of(5), "20.0.0.1")
    for number in range(30):
        queue.add(OTHER, f"20.0.{number + 1}.0", f"{number + 30}.0.0.1")
    for topic in (topic_of(5), topic_of(6)):
        wait_s = queue.wait_s(topic, "20.0.0.1", NOW + 60.0)
        assert wait_s >= min(first_s, E) - 60.0


def test_addresses_with_the_same_longest_prefix_share_the_largest_bound() -> None:
    queue = Queue()
    queue.add(SERVICE, "20.0.0.1")
    near, beside = "20.0.64.1", "20.0.65.1"
    queue.issue(topic_of(5), near)
    for number in range(30):
        queue.add(OTHER, f"{number + 30}.0.0.1")
    assert queue.wait_s(topic_of(5), beside) == queue.wait_s(topic_of(5), near)


def test_bound_is_never_above_the_lifetime_of_an_ad() -> None:
    queue = Queue()
    ads = queue.add(SERVICE, *(f"{number + 11}.0.0.1" for number in range(90)))
    assert queue.issue(SERVICE, "20.0.0.1") > 1e12
    for ad in ads[10:]:
        queue.remove(ad)
    assert queue.wait_s(SERVICE, "20.0.0.1", NOW + 2 * E + 1) == pytest.approx(
        queue.quote(SERVICE, "20.0.0.1").service_s + queue.quote(SERVICE, "20.0.0.1").address_s
    )
