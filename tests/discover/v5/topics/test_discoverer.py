from __future__ import annotations

import random
from collections import Counter

from p2p.discover.v5.topics.discoverer import (
    CONCURRENCY,
    F_RETURN,
    K_LOOKUP,
    MAX_QUERIES,
    Discoverer,
)
from p2p.discover.v5.topics.table import TopicTable
from p2p.discover.v5.topics.usability import MAX_FAILS, Usability
from p2p.enode.node import Node
from tests.discover.v5.topics.nodes import TOPIC, node_of, nodes_at

OWN = node_of(1000)
NOW = 1000.0


class Search:
    """A search in a table of chosen nodes."""

    def __init__(self, *nodes: Node, enough: int = 30) -> None:
        self.usability = Usability()
        self.table = TopicTable(TOPIC, OWN.id)
        for node in nodes:
            self.table.add(node, proven=True)
        chance = random.Random(1)
        self.discoverer = Discoverer(self.table, self.usability, chance, OWN.id, enough)

    def walk(self, *advertisers: Node, failing: frozenset[Node] = frozenset()) -> list[Node]:
        """Ask to the end; each registrar has the same ads. Return the nodes in their order."""
        asked = []
        while queries := self.discoverer.queries(NOW):
            for node in queries:
                asked.append(node)
                if node in failing:
                    self.discoverer.failed(node.id)
                else:
                    self.discoverer.answered(node.id, advertisers)
        assert self.discoverer.is_finished
        return asked


def test_some_registrars_of_each_bucket_from_the_farthest_on() -> None:
    search = Search(*nodes_at(256, 8), *nodes_at(255, 8), *nodes_at(254, 2))
    asked = search.walk()
    distances = [search.table.distance(node.id) for node in asked]
    assert distances == [256] * K_LOOKUP + [255] * K_LOOKUP + [254] * 2
    assert len(set(asked)) == len(asked) == search.discoverer.query_count


def test_few_queries_at_once() -> None:
    search = Search(*nodes_at(256, 5))
    first = search.discoverer.queries(NOW)
    assert len(first) == CONCURRENCY
    assert search.discoverer.queries(NOW) == []
    assert not search.discoverer.is_finished
    search.discoverer.answered(first[0].id, ())
    assert len(search.discoverer.queries(NOW)) == 1


def test_search_ends_when_enough_are_found() -> None:
    search = Search(*nodes_at(256, 5), *nodes_at(255, 5), enough=2)
    asked = search.walk(node_of(501), node_of(502))
    assert len(asked) == CONCURRENCY  # those under way when the first answer came
    assert search.discoverer.found_count == 2


def test_each_advertiser_is_a_result_once_and_we_are_none() -> None:
    search = Search(*nodes_at(256, 2))
    one, other = search.discoverer.queries(NOW)
    first, second = node_of(501), node_of(502)
    assert search.discoverer.answered(one.id, [first, first, OWN]) == [first]
    assert search.discoverer.answered(other.id, [first, second]) == [second]


def test_registrar_counts_for_few_advertisers() -> None:
    search = Search(*nodes_at(256, 1))
    (node,) = search.discoverer.queries(NOW)
    advertisers = [node_of(number) for number in range(501, 501 + 2 * F_RETURN)]
    assert search.discoverer.answered(node.id, advertisers) == advertisers[:F_RETURN]


def test_failed_query_is_followed_by_another_in_its_bucket() -> None:
    nodes = nodes_at(256, 8)
    failing = frozenset(nodes[:4])
    asked = Search(*nodes).walk(failing=failing)
    assert 4 <= len([node for node in asked if node not in failing]) <= K_LOOKUP
    assert len(asked) > K_LOOKUP


def test_nodes_that_are_learned_meanwhile_are_asked() -> None:
    search = Search(*nodes_at(256, 1))
    (node,) = search.discoverer.queries(NOW)
    late = [*nodes_at(256, 2)[1:], *nodes_at(250, 1)]
    for each in late:
        search.table.add(each, proven=False)
    search.discoverer.answered(node.id, ())
    assert search.discoverer.queries(NOW) == late


def test_node_that_rests_is_not_asked() -> None:
    node = node_of(1)
    search = Search(node)
    for _ in range(MAX_FAILS):
        search.usability.failed(node.id, NOW)
    assert search.walk() == []


def test_registrars_that_all_fail_are_a_bounded_number_of_queries() -> None:
    search = Search(node_of(1))
    asked: Counter[Node] = Counter()
    number = 1
    while queries := search.discoverer.queries(NOW):
        for node in queries:
            asked[node] += 1
            number += 1
            search.table.remove(node.id)
            search.table.add(node_of(number), proven=False)  # an answer named it
            search.discoverer.failed(node.id)
    assert asked.total() == MAX_QUERIES
    assert set(asked.values()) == {1}


def test_answer_of_another_changes_nothing_else() -> None:
    search = Search(node_of(1))
    search.discoverer.failed(node_of(2).id)
    assert len(search.walk()) == 1
