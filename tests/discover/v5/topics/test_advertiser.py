from __future__ import annotations

import random

import pytest

from p2p.discover.v5.topics.advertiser import (
    FILL_INTERVAL_S,
    FIRST_FILL_INTERVAL_S,
    K_REGISTER,
    MAX_ASKING,
    MAX_LIFETIME_S,
    MAX_REGISTRATION_S,
    MAX_RENEWAL,
    MAX_REQUESTS,
    MAX_WAIT_S,
    MIN_LIFETIME_S,
    MIN_RENEWAL,
    REST_S,
    Advertiser,
    RegisterRequest,
)
from p2p.discover.v5.topics.table import TopicTable
from p2p.discover.v5.topics.usability import MAX_FAILS, Usability
from p2p.enode.node import Node
from tests.discover.v5.topics.nodes import TOPIC, node_of, nodes_at

LIFETIME_S = 900.0


class Ads:
    """An advertiser with a table of chosen nodes, and the time."""

    def __init__(self, *nodes: Node) -> None:
        self.usability = Usability()
        self.table = TopicTable(TOPIC, node_of(1000).id)
        for node in nodes:
            self.table.add(node, proven=True)
        self.advertiser = Advertiser(self.table, self.usability, random.Random(1))
        self.now = 1000.0

    def requests(self) -> list[RegisterRequest]:
        return self.advertiser.requests(self.now)

    def confirm(self, node: Node, ticket: bytes = b"", wait_s: float = LIFETIME_S) -> None:
        self.advertiser.confirmed(node.id, ticket, wait_s, self.now)

    def place_all(self) -> list[Node]:
        """Have all requests admitted; return the registrars in the order of the requests."""
        placed = []
        while requests := self.requests():
            for node, _ in requests:
                self.confirm(node)
                placed.append(node)
        return placed


def one_node() -> Ads:
    return Ads(node_of(1))


def test_first_request_has_no_ticket() -> None:
    assert one_node().requests() == [RegisterRequest(node_of(1), b"")]


def test_some_registrars_of_each_bucket_from_the_farthest_on() -> None:
    ads = Ads(*nodes_at(256, 8), *nodes_at(255, 7), *nodes_at(254, 3))
    placed = ads.place_all()
    distances = [ads.table.distance(node.id) for node in placed]
    assert distances == [256] * K_REGISTER + [255] * K_REGISTER + [254] * 3
    assert len(set(placed)) == len(placed) == len(ads.advertiser)
    assert set(ads.advertiser.registrars(ads.now)) == set(placed)


def test_few_requests_at_once() -> None:
    ads = Ads(*nodes_at(256, 8))
    first = ads.requests()
    assert len(first) == MAX_ASKING
    assert ads.requests() == []
    assert ads.advertiser.deadline == ads.now + FILL_INTERVAL_S
    ads.confirm(first[0].node)
    assert len(ads.requests()) == 1


def test_retry_has_the_ticket_and_comes_after_the_wait() -> None:
    ads = one_node()
    ads.requests()
    ads.confirm(node_of(1), b"ticket", 100.0)
    due = 1000.0 + 100.0
    ads.now = due
    assert ads.requests() == []
    ads.now = due + 0.5
    assert ads.requests() == [RegisterRequest(node_of(1), b"ticket")]
    ads.confirm(node_of(1), b"another", 5.0)
    ads.now += 6.0
    assert ads.requests() == [RegisterRequest(node_of(1), b"another")]


def test_deadline_is_that_of_the_next_request() -> None:
    ads = one_node()
    ads.requests()
    ads.confirm(node_of(1), b"ticket", 10.0)
    assert ads.now + 10.0 < ads.advertiser.deadline < ads.now + 10.5


def test_ad_is_renewed_before_it_expires_and_counts_meanwhile() -> None:
    ads = one_node()
    ads.requests()
    ads.confirm(node_of(1))
    ads.now += LIFETIME_S * (1 - MIN_RENEWAL) - 1
    assert ads.requests() == []
    ads.now += 1
    assert ads.requests() == [RegisterRequest(node_of(1), b"")]
    ads.confirm(node_of(1), b"ticket", 500.0)
    assert ads.advertiser.registrars(ads.now) == [node_of(1)]
    assert ads.advertiser.registrars(1000.0 + LIFETIME_S) == []


def test_renewal_begins_as_early_as_the_last_registration_took() -> None:
    ads = one_node()
    ads.requests()
    ads.confirm(node_of(1), b"ticket", 600.0)
    ads.now += 601.0
    ads.requests()
    ads.confirm(node_of(1))
    assert ads.advertiser.deadline == min(ads.now + 30.0, ads.now + LIFETIME_S - 601.0)
    ads.now += LIFETIME_S - 602.0
    assert ads.requests() == []
    ads.now += 1.0
    assert ads.requests() == [RegisterRequest(node_of(1), b"")]


def test_renewal_does_not_begin_at_once_however_long_it_took() -> None:
    ads = one_node()
    for _ in range(3):
        ads.requests()
        ads.confirm(node_of(1), b"ticket", 900.0)
        ads.now += 902.0
    ads.requests()
    ads.confirm(node_of(1))
    ads.now += LIFETIME_S * (1 - MAX_RENEWAL) - 1
    assert ads.requests() == []
    ads.now += 1
    assert len(ads.requests()) == 1


def test_places_are_looked_at_often_while_all_are_empty() -> None:
    ads = Ads()
    assert ads.requests() == []
    assert ads.advertiser.deadline == ads.now + FIRST_FILL_INTERVAL_S


def test_new_registrations_are_at_nodes_that_may_be_asked() -> None:
    ads = Ads(*nodes_at(256, 4))
    chosen = nodes_at(256, 4)[2]
    requests = ads.advertiser.requests(ads.now, lambda node: node == chosen)
    assert [request.node for request in requests] == [chosen]


@pytest.mark.parametrize(
    ("ticket", "wait_s"),
    [(b"ticket", MAX_WAIT_S + 1), (b"", MIN_LIFETIME_S - 1), (b"", 0.0), (b"t", 2.0**61)],
)
def test_registrar_that_asks_for_too_much_leaves_its_place(ticket: bytes, wait_s: float) -> None:
    nodes = nodes_at(256, K_REGISTER + 1)
    ads = Ads(*nodes)
    first = ads.requests()
    refused = first[0].node
    ads.confirm(refused, ticket, wait_s)
    placed = {request.node for request in first[1:]}
    for node in placed:
        ads.confirm(node)
    placed |= set(ads.place_all())
    assert placed == set(nodes) - {refused}
    ads.now += REST_S - 1
    assert ads.requests() == []


def test_registrar_is_asked_again_after_a_rest() -> None:
    ads = one_node()
    ads.requests()
    ads.advertiser.failed(node_of(1).id, ads.now)
    assert len(ads.advertiser) == 0
    ads.now += REST_S - 1
    assert ads.requests() == []
    ads.now += 1
    assert ads.requests() == [RegisterRequest(node_of(1), b"")]


def test_long_lifetime_is_cut() -> None:
    ads = one_node()
    ads.requests()
    ads.confirm(node_of(1), b"", 1e9)
    assert ads.advertiser.registrars(ads.now + MAX_LIFETIME_S) == []
    ads.now += MAX_LIFETIME_S * (1 - MIN_RENEWAL)
    assert len(ads.requests()) == 1


def test_registration_is_given_up_after_some_requests() -> None:
    ads = one_node()
    for _ in range(MAX_REQUESTS):
        assert len(ads.requests()) == 1
        ads.confirm(node_of(1), b"ticket", 1.0)
        ads.now += 2.0
    assert ads.requests() == []
    assert len(ads.advertiser) == 0


def test_registration_is_given_up_after_some_time() -> None:
    ads = one_node()
    began = ads.now
    while len(ads.requests()) == 1:
        ads.confirm(node_of(1), b"ticket", 900.0)
        if not len(ads.advertiser):
            break
        ads.now += 902.0
    assert MAX_REGISTRATION_S - 2 * 902.0 < ads.now - began <= MAX_REGISTRATION_S


def test_node_that_failed_at_other_topics_is_not_asked() -> None:
    ads = one_node()
    for _ in range(MAX_FAILS):
        ads.usability.failed(node_of(1).id, ads.now)
    assert ads.requests() == []


def test_answers_that_were_not_asked_for_change_nothing() -> None:
    ads = one_node()
    ads.confirm(node_of(1))
    ads.advertiser.failed(node_of(2).id, ads.now)
    ads.requests()
    ads.confirm(node_of(1))
    ads.confirm(node_of(1), b"ticket", 1.0)
    ads.advertiser.failed(node_of(1).id, ads.now)
    assert ads.advertiser.registrars(ads.now) == [node_of(1)]
