"""A registrar under floods: bounds that always hold, and what an attacker gains.

Properties over any order of requests, and attackers that keep to the rules: they return with their
tickets in time, which is the best that they can do.
"""

from __future__ import annotations

import random
import tracemalloc
from collections import Counter
from heapq import heapify, heappop, heappush

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from p2p.discover.v5.topics.iptree import Vertex
from p2p.discover.v5.topics.registrar import Admitted, Wait
from p2p.enode.node import Node
from tests.discover.v5.topics.advertisers import (
    DELAY_S,
    Desk,
    advertiser,
    crowd,
    spread,
    topic_of,
)

TOPIC, OTHER, RARE = topic_of(1), topic_of(2), topic_of(3)


def neighbor(number: int) -> Node:
    """One of an attacker's nodes: all are in 60.1.2.0/24."""
    return advertiser(5000 + number, f"60.1.2.{number % 256}")


@settings(max_examples=30)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(1000, 60_000))
def test_flood_of_a_topic_makes_it_wait_longer_than_others(
    flood: int, others: int, place: int
) -> None:
    # With that capacity the wait stays below the lifetime of an ad, the longest that is issued.
    desk = Desk(capacity=100_000)
    desk.put(OTHER, *crowd(*range(others)))
    desk.put(TOPIC, *crowd(*range(200, 200 + others + flood)))
    node = advertiser(1, spread(place))
    flooded, other, rare = (desk.quote_s(node, topic) for topic in (TOPIC, OTHER, RARE))
    assert flooded > other > rare


@settings(max_examples=30)
@given(st.integers(1, 150), st.integers(0, 255))
def test_flood_from_one_network_waits_longer_than_others(flood: int, host: int) -> None:
    desk = Desk()
    desk.put(OTHER, *crowd(*range(100)), *map(neighbor, range(flood)))
    inside = desk.quote_s(advertiser(1, f"60.1.2.{host}"), RARE)
    outside = desk.quote_s(advertiser(2, spread(1000)), RARE)
    assert inside > 2 * outside


# Any order of requests.

PINNED = advertiser(900, "60.1.2.3")
#: Eight bits in common with PINNED, and no more with any other node.
PROBE = advertiser(901, "60.200.2.3")
NODES = [*crowd(*range(20)), *map(neighbor, range(10))]
SERVICES = [TOPIC, OTHER, *(topic_of(number) for number in range(10, 15))]
LIFETIME_S = 100.0


class Requests(RuleBasedStateMachine):
    """A small registrar; the ad of PINNED for TOPIC is always there."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk(ad_lifetime_s=LIFETIME_S)
        self.tickets: dict[tuple[Node, bytes], Wait] = {}
        self.quoted: list[tuple[float, int]] = []

    @initialize(capacity=st.sampled_from([20, 1000]))
    def start(self, capacity: int) -> None:
        self.desk = Desk(capacity=capacity, ad_lifetime_s=LIFETIME_S)
        self.pin()

    def pin(self) -> None:
        self.desk.put(TOPIC, PINNED)

    @rule(passed_s=st.floats(0.0, 40.0))
    def wait(self, passed_s: float) -> None:
        self.desk.time += passed_s
        self.pin()

    @rule(nodes=st.lists(st.sampled_from(NODES)), topic=st.sampled_from(SERVICES))
    def fill(self, nodes: list[Node], topic: bytes) -> None:
        """Change what the cache looks like."""
        self.desk.registrar.handle_timeout(self.desk.now)
        if len(self.desk.registrar) + len(nodes) <= self.desk.config.capacity:
            self.desk.put(topic, *nodes)

    @rule(node=st.sampled_from(NODES), topic=st.sampled_from(SERVICES), returns=st.booleans())
    def request(self, node: Node, topic: bytes, returns: bool) -> None:
        last = self.tickets.pop((node, topic), None) if returns else None
        if last is not None:
            self.wait(last.wait_ms / 1000)
        decision = self.desk.ask(node, topic, last.ticket if last else b"")
        if isinstance(decision, Wait):
            assert 1 <= decision.wait_ms <= LIFETIME_S * 1000
            self.tickets[node, topic] = decision
        else:
            assert isinstance(decision, Admitted)

    @rule()
    def ask_again(self) -> None:
        """A first request never improves on an earlier one by more than the elapsed time."""
        wait_ms = self.desk.wait_of(PROBE, TOPIC).wait_ms
        for time, earlier_ms in self.quoted:
            assert wait_ms >= earlier_ms - (self.desk.time - time) * 1000 - 1
        self.quoted.append((self.desk.time, wait_ms))

    @invariant()
    def state_is_bounded_and_agrees(self) -> None:
        registrar = self.desk.registrar
        waiting, cache = registrar._waiting, registrar._cache
        assert len(cache) == len(cache._ads) <= self.desk.config.capacity
        assert sum(cache.count(topic) for topic in SERVICES) == len(cache)
        assert waiting._services.keys() == cache._topics.keys()
        assert len(waiting._trees[4]) == len(cache)
        assert vertices(waiting._trees[4]._root) <= 1 + 32 * len(cache)


def vertices(vertex: Vertex) -> int:
    return 1 + sum(vertices(child) for child in (vertex.zero, vertex.one) if child is not None)


TestRequests = Requests.TestCase
TestRequests.settings = settings(max_examples=40, stateful_step_count=40)


# Attackers.


class Siege:
    """Nodes that ask for ads without a pause, each as soon as its ticket allows."""

    def __init__(self, desk: Desk, requests: list[tuple[Node, bytes]]) -> None:
        self.desk = desk
        start = desk.time
        times = [start + desk.random.random() for _ in requests]
        self.queue = [
            (time, number, node, topic, b"")
            for number, (time, (node, topic)) in enumerate(zip(times, requests, strict=True))
        ]
        heapify(self.queue)
        self.admitted: Counter[bytes] = Counter()

    def run(self, duration_s: float) -> None:
        end = self.desk.time + duration_s
        while self.queue[0][0] < end:
            time, number, node, topic, ticket = heappop(self.queue)
            self.desk.time = time
            decision = self.desk.ask(node, topic, ticket)
            if isinstance(decision, Wait):
                time += decision.wait_ms / 1000 + DELAY_S
                heappush(self.queue, (time, number, node, topic, decision.ticket))
            else:
                self.admitted[node.id] += 1
                heappush(self.queue, (time + 850.0, number, node, topic, b""))
        self.desk.time = end


def test_attacker_who_floods_a_topic_from_one_network_gets_fewer_ads_for_each_node() -> None:
    desk = Desk()
    honest, attackers = crowd(*range(20)), [neighbor(number) for number in range(300)]
    siege = Siege(desk, [(node, TOPIC) for node in [*attackers, *honest]])
    siege.run(4 * 3600.0)
    per_honest = sum(siege.admitted[node.id] for node in honest) / len(honest)
    per_attacker = sum(siege.admitted[node.id] for node in attackers) / len(attackers)
    assert per_honest > 1.5 * per_attacker


def test_topic_beside_a_flooded_one_is_registered_in_a_short_time() -> None:
    desk = Desk()
    Siege(desk, [(neighbor(number), TOPIC) for number in range(300)]).run(3600.0)
    assert desk.register(advertiser(1, spread(1)), RARE) < 300.0


def test_flood_under_many_identities_cannot_fill_the_cache() -> None:
    desk = Desk(capacity=100)
    Siege(desk, [(neighbor(number), TOPIC) for number in range(500)]).run(3600.0)
    assert len(desk.registrar) < 60
    assert desk.registrar.counters["waiting"] > 1000


def test_memory_does_not_grow_with_the_requests() -> None:
    # At 100,000 requests: benchmarks/topics.py.
    desk = Desk(capacity=20)
    nodes = [neighbor(number) for number in range(200)]

    def flood(count: int) -> None:
        rng = random.Random(count)
        for number in range(count):
            desk.time += 0.01
            desk.ask(nodes[number % 200], rng.randbytes(32), rng.randbytes(48))

    flood(200)
    tracemalloc.start()
    try:
        flood(3000)
        assert tracemalloc.get_traced_memory()[0] < 20_000
    finally:
        tracemalloc.stop()


def test_tickets_that_are_collected_do_not_come_back_at_once() -> None:
    # Each has a window of its own.
    desk = Desk()
    desk.put(TOPIC, *crowd(*range(50)))
    tickets = []
    for number in range(300):
        desk.time += 1.0
        node = neighbor(number)
        tickets.append((node, desk.wait_of(node, OTHER)))
    desk.time += 900.0
    valid = sum(isinstance(desk.ask(node, OTHER, wait.ticket), Admitted) for node, wait in tickets)
    assert valid < 30
