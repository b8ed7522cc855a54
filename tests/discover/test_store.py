"""The node store in memory: what it remembers, for how long, and how much."""

from __future__ import annotations

import random
from ipaddress import IPv4Address

import pytest

from p2p.discover import store as store_module
from p2p.discover.store import MemoryStore, NodeStore
from p2p.enode.node import Node
from p2p.enr import Record
from tests.discover.link import key_of

HOUR_S = 3600.0
NOW = 1_700_000_000.0
IP = IPv4Address("20.0.0.1")
OTHER_IP = IPv4Address("20.0.0.2")


def node_of(number: int, ip: IPv4Address = IP) -> Node:
    return Node.from_parts(key_of(number).public_key, ip, 30303, 30303)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def test_memory_store_is_a_node_store(store: MemoryStore) -> None:
    checked: NodeStore = store
    assert checked.node(node_of(1).id) is None


def test_nothing_is_known_of_a_node_that_was_never_seen(store: MemoryStore) -> None:
    node_id = node_of(1).id
    assert store.last_ping_received(node_id, IP) == 0.0
    assert store.last_pong_received(node_id, IP) == 0.0
    assert store.find_fails(node_id, IP) == 0


def test_what_is_known_belongs_to_a_node_at_an_address(store: MemoryStore) -> None:
    node_id = node_of(1).id
    store.set_last_ping_received(node_id, IP, NOW)
    store.set_last_pong_received(node_id, IP, NOW + 1)
    store.set_find_fails(node_id, IP, 3)
    assert store.last_ping_received(node_id, IP) == NOW
    assert store.last_pong_received(node_id, IP) == NOW + 1
    assert store.find_fails(node_id, IP) == 3
    assert store.last_pong_received(node_id, OTHER_IP) == 0.0
    assert store.last_pong_received(node_of(2).id, IP) == 0.0


def test_looking_at_an_unknown_address_does_not_make_it_known(store: MemoryStore) -> None:
    store.last_ping_received(node_of(1).id, IP)
    store.set_find_fails(node_of(2).id, IP, 1)
    assert store.find_fails(node_of(1).id, IP) == 0


def test_seeds_are_those_that_answered_within_the_age(store: MemoryStore) -> None:
    for number, age_s in ((1, 10.0), (2, 2 * HOUR_S)):
        store.update_node(node_of(number))
        store.set_last_pong_received(node_of(number).id, IP, NOW - age_s)
    store.update_node(node_of(3))  # never answered
    assert store.query_seeds(10, HOUR_S, NOW, random.Random(1)) == [node_of(1)]


def test_seeds_are_no_more_than_asked_for_and_chosen_at_random(store: MemoryStore) -> None:
    for number in range(50):
        store.update_node(node_of(number))
        store.set_last_pong_received(node_of(number).id, IP, NOW)
    first = store.query_seeds(10, HOUR_S, NOW, random.Random(1))
    second = store.query_seeds(10, HOUR_S, NOW, random.Random(2))
    assert len(set(first)) == len(set(second)) == 10
    assert set(first) != set(second)


def test_an_older_record_does_not_replace_a_newer_one(store: MemoryStore) -> None:
    newer, older = (Node.from_record(Record.sign(key_of(1), seq, ip="20.0.0.1")) for seq in (2, 1))
    store.update_node(newer)
    store.update_node(older)
    assert store.node(newer.id) == newer


def test_what_is_older_than_a_day_expires(store: MemoryStore) -> None:
    for number, age_s in ((1, 23 * HOUR_S), (2, 25 * HOUR_S)):
        store.update_node(node_of(number))
        store.set_last_pong_received(node_of(number).id, IP, NOW - age_s)
    store.expire(NOW)
    assert store.node(node_of(1).id) is not None
    assert store.node(node_of(2).id) is None
    assert store.last_pong_received(node_of(2).id, IP) == 0.0


def test_a_deleted_node_is_forgotten_with_its_addresses(store: MemoryStore) -> None:
    store.update_node(node_of(1))
    store.set_last_pong_received(node_of(1).id, IP, NOW)
    store.delete_node(node_of(1).id)
    assert store.node(node_of(1).id) is None
    assert store.last_pong_received(node_of(1).id, IP) == 0.0


def test_memory_is_bounded_and_the_oldest_make_room(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "MAX_ADDRESSES", 3)
    monkeypatch.setattr(store_module, "MAX_NODES", 3)
    for number in range(5):
        store.update_node(node_of(number))
        store.set_last_pong_received(node_of(number).id, IP, NOW)
    kept = [number for number in range(5) if store.node(node_of(number).id)]
    proven = [n for n in range(5) if store.last_pong_received(node_of(n).id, IP)]
    assert kept == proven == [2, 3, 4]
