from __future__ import annotations

from itertools import islice

import pytest

from p2p.discover.table.bucket import BUCKET_IP_LIMIT, BUCKET_SIZE
from p2p.discover.table.table import TABLE_IP_LIMIT
from p2p.discover.v5.fields import MAX_TOPIC_DISTANCES
from p2p.discover.v5.topics.table import TopicTable, supports_topics
from p2p.enode.distance import log_distance
from p2p.enode.node import Node
from tests.discover.v5.net import key_of
from tests.discover.v5.topics.nodes import TOPIC, node_of, nodes_at, numbers_at

OWN_ID = node_of(1000).id


@pytest.fixture
def table() -> TopicTable:
    return TopicTable(TOPIC, OWN_ID)


@pytest.mark.parametrize(
    ("node", "supports"),
    [
        (node_of(1), True),
        (node_of(1, key="ng"), True),
        (node_of(1, version=2), False),
        (node_of(1, key=None), False),
        (Node.from_parts(key_of(1).public_key, "20.0.1.1", 1, 1), False),
    ],
)
def test_only_nodes_whose_record_has_the_entry_are_in_the_table(
    table: TopicTable, node: Node, supports: bool
) -> None:
    assert supports_topics(node) is supports
    assert table.add(node, proven=True) is supports
    assert (node.id in table) is supports


def test_own_node_and_nodes_without_endpoint_have_no_place(table: TopicTable) -> None:
    assert not table.add(node_of(1000), proven=True)
    assert not table.add(node_of(1, ip="0.0.0.0"), proven=True)


def test_nodes_are_in_buckets_by_their_distance_from_the_topic(table: TopicTable) -> None:
    for number in range(1, 100):
        table.add(node_of(number), proven=True)
    assert table.distances == sorted(table.distances, reverse=True)
    assert len(table) == sum(len(table.at(distance)) for distance in table.distances)
    for distance in table.distances:
        assert {log_distance(TOPIC, node.id) for node in table.at(distance)} == {distance}


def test_full_bucket_takes_a_proven_node_in_place_of_one_that_is_not(table: TopicTable) -> None:
    *first, late, unproven = nodes_at(256, BUCKET_SIZE + 2)
    for node in first:
        assert table.add(node, proven=False)
    table.prove(first[0].id)
    assert not table.add(unproven, proven=False)
    assert table.add(late, proven=True)
    assert first[0].id in table and first[1].id not in table
    assert table.proven_at(256) == [first[0], late] or table.proven_at(256) == [late, first[0]]


def test_full_bucket_of_proven_nodes_takes_none(table: TopicTable) -> None:
    *first, late = nodes_at(256, BUCKET_SIZE + 1)
    for node in first:
        table.add(node, proven=True)
    assert not table.add(late, proven=True)
    assert table.at(256) == first


def test_bucket_and_table_have_few_nodes_of_a_network(table: TopicTable) -> None:
    for number in islice(numbers_at(256), 5):
        table.add(node_of(number, ip=f"9.9.9.{number % 250}"), proven=False)
    assert len(table) == BUCKET_IP_LIMIT
    for number in range(1, 200):
        table.add(node_of(number, ip=f"9.9.9.{number % 250}"), proven=False)
    assert len(table) <= TABLE_IP_LIMIT


def test_proven_node_takes_the_place_of_others_in_its_network(table: TopicTable) -> None:
    numbers = list(islice(numbers_at(256), 3))
    nodes = [node_of(number, ip=f"9.9.9.{number}") for number in numbers]
    for node in nodes[:2]:
        assert table.add(node, proven=False)
    assert table.add(nodes[2], proven=True)
    assert nodes[2].id in table


def test_own_networks_have_no_limit(table: TopicTable) -> None:
    for number in islice(numbers_at(256), 10):
        assert table.add(node_of(number, ip="192.168.1.2"), proven=False)


def test_newer_record_replaces_an_older_one(table: TopicTable) -> None:
    assert table.add(node_of(1, seq=2), proven=True)
    distance = table.distances[0]
    for seq, kept in ((1, 2), (3, 3)):
        assert table.add(node_of(1, seq=seq), proven=False)
        assert [node.seq for node in table.at(distance)] == [kept]
    assert len(table.proven_at(distance)) == 1


def test_newer_record_in_a_full_network_does_not_count(table: TopicTable) -> None:
    numbers = list(islice(numbers_at(256), 3))
    for number in numbers[:2]:
        table.add(node_of(number, ip=f"9.9.9.{number}"), proven=True)
    table.add(node_of(numbers[2]), proven=True)
    assert table.add(node_of(numbers[2], ip="9.9.9.200", seq=2), proven=True)
    assert [node.seq for node in table.at(256)] == [1, 1, 1]


def test_removed_node_leaves_its_place_to_others(table: TopicTable) -> None:
    *first, late = nodes_at(256, BUCKET_SIZE + 1)
    for node in first:
        table.add(node, proven=True)
    table.remove(first[3].id)
    table.remove(late.id)
    assert table.add(late, proven=False)


def test_free_distances_are_the_farthest_with_space(table: TopicTable) -> None:
    for node in nodes_at(256, BUCKET_SIZE):
        table.add(node, proven=False)
    free = table.free_distances()
    assert free == tuple(range(255, 255 - MAX_TOPIC_DISTANCES, -1))
