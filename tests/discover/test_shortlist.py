"""One lookup: whom it asks, when it ends, and what a hostile answer can do to it."""

from __future__ import annotations

import random
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest

from p2p.crypto import PrivateKey, keccak256
from p2p.discover.shortlist import (
    ALPHA,
    MAX_ENTRIES,
    MAX_QUERIES,
    NETWORK_LIMIT,
    RESULT_SIZE,
    LookupEntry,
    Shortlist,
)
from p2p.enode.distance import xor_distance
from p2p.enode.node import Node
from p2p.enode.nodeid import NodeID
from p2p.netutil import Netlist, OwnNetworks
from tests.kit.link import key_of

TARGET = keccak256(b"target")
SELF_ID = NodeID(keccak256(b"self"))
ANY_KEY = PrivateKey.from_bytes(b"\x01" * 32).public_key
#: Of a local network, so that all nodes may have it.
IP = IPv4Address("10.0.0.1")


def node_near(bits: int, number: int = 0, ip: IPv4Address | IPv6Address = IP) -> Node:
    """A node whose distance to the target has so many bits."""
    offset = (1 << (bits - 1)) | number
    node_id = NodeID((int.from_bytes(TARGET, "big") ^ offset).to_bytes(32, "big"))
    return Node(node_id, ip, 30303, 30303, public_key=ANY_KEY)


def as_entry(node: Node) -> LookupEntry:
    entry = LookupEntry.from_node(node)
    assert entry is not None
    return entry


def lookup_from(*nodes: Node) -> Shortlist:
    return Shortlist(TARGET, SELF_ID, nodes)


def finish(lookup: Shortlist) -> list[NodeID]:
    """Answer all queries with nothing; returns who was asked."""
    asked = []
    while chosen := lookup.next_queries():
        for entry in chosen:
            asked.append(entry.id)
            lookup.answered(entry)
    return asked


def test_a_lookup_with_nobody_to_ask_is_over() -> None:
    lookup = lookup_from()
    assert lookup.finished
    assert lookup.result() == []


def test_three_nodes_are_asked_at_a_time_the_nearest_first() -> None:
    lookup = lookup_from(*(node_near(bits) for bits in range(200, 210)))
    chosen = lookup.next_queries()
    assert [entry.id for entry in chosen] == [node_near(b).id for b in (200, 201, 202)]
    assert lookup.next_queries() == []
    lookup.answered(chosen[0])
    assert [entry.id for entry in lookup.next_queries()] == [node_near(203).id]
    assert ALPHA == 3


def test_a_nearer_node_that_somebody_names_is_asked_next() -> None:
    lookup = lookup_from(*(node_near(bits) for bits in range(200, 210)))
    chosen = lookup.next_queries()
    lookup.answered(chosen[0])
    lookup.add([as_entry(node_near(100))])
    assert [entry.id for entry in lookup.next_queries()] == [node_near(100).id]


def test_a_lookup_is_over_when_the_sixteen_nearest_have_answered() -> None:
    nodes = [node_near(bits) for bits in range(200, 240)]
    lookup = lookup_from(*nodes)
    asked = finish(lookup)
    assert lookup.finished
    assert asked == [node.id for node in nodes[:RESULT_SIZE]]
    assert lookup.result() == nodes[:RESULT_SIZE]


def test_a_lookup_is_not_over_while_somebody_is_being_asked() -> None:
    lookup = lookup_from(node_near(200))
    (entry,) = lookup.next_queries()
    assert not lookup.finished
    lookup.answered(entry)
    assert lookup.finished


def test_a_node_that_does_not_answer_is_not_in_the_result_and_the_next_takes_its_place() -> None:
    nodes = [node_near(bits) for bits in range(200, 217)]
    lookup = lookup_from(*nodes)
    while chosen := lookup.next_queries():
        for entry in chosen:
            (lookup.failed if entry.id == nodes[0].id else lookup.answered)(entry)
    assert lookup.result() == nodes[1:]


def test_a_node_is_asked_once_however_often_it_is_named() -> None:
    lookup = lookup_from(node_near(200))
    (entry,) = lookup.next_queries()
    lookup.answered(entry)
    lookup.add([as_entry(node_near(200))])
    assert lookup.next_queries() == []
    assert lookup.finished


def test_another_address_of_a_node_that_did_not_answer_is_tried() -> None:
    lookup = lookup_from(node_near(200), node_near(201))
    false, honest = lookup.next_queries()
    lookup.failed(false)
    lookup.add([as_entry(node_near(200))])
    assert lookup.next_queries() == []
    lookup.add([as_entry(node_near(200).with_ip("20.9.9.9"))])
    (entry,) = lookup.next_queries()
    assert entry.ip == ip_address("20.9.9.9")
    lookup.answered(entry)
    lookup.answered(honest)
    assert [node.ip for node in lookup.result()] == [ip_address("20.9.9.9"), IP]


def test_we_are_not_asked_ourselves() -> None:
    lookup = lookup_from(Node(SELF_ID, IP, 30303, 30303, public_key=ANY_KEY))
    assert lookup.finished
    assert not lookup.is_new(SELF_ID)


def test_a_key_that_is_not_on_the_curve_is_found_out_when_it_is_used() -> None:
    wrong = b"\x01" * 64
    entry = LookupEntry(NodeID(keccak256(wrong)), IP, 30303, 30303, wrong)
    assert entry.node() is None


def test_an_entry_becomes_a_node_with_its_key() -> None:
    key = key_of(1).public_key
    entry = LookupEntry(NodeID.from_public_key(key), IP, 30303, 30304, key.to_bytes())
    assert entry.node() == Node.from_parts(key, IP, 30304, 30303)


def test_a_liar_who_names_ever_nearer_nodes_cannot_keep_a_lookup_going() -> None:
    lookup = lookup_from(node_near(256))
    asked = 0
    while chosen := lookup.next_queries():
        for entry in chosen:
            asked += 1
            lookup.answered(entry)
            nearer = max(1, xor_distance(TARGET, entry.id).bit_length() - 1)
            lookup.add(as_entry(node_near(nearer, n)) for n in range(min(16, nearer)))
    assert lookup.finished
    assert asked <= MAX_QUERIES


def test_a_liar_who_names_many_nodes_does_not_fill_our_memory() -> None:
    lookup = lookup_from()
    for number in range(1000):
        lookup.add([as_entry(node_near(256, number))])
    assert sum(not lookup.is_new(node_near(256, n).id) for n in range(1000)) == MAX_ENTRIES


@pytest.mark.parametrize("seed", range(3))
def test_a_lookup_finds_the_nearest_when_each_node_knows_its_neighbors(seed: int) -> None:
    rng = random.Random(seed)
    ids = [NodeID(rng.randbytes(32)) for _ in range(300)]
    nodes = [Node(node_id, IP, 30303, 30303, public_key=ANY_KEY) for node_id in ids]

    def near(target: bytes, count: int, among: list[Node] = nodes) -> list[Node]:
        return sorted(among, key=lambda node: xor_distance(target, node.id))[:count]

    # Each knows those near to it, and a few others.
    knows = {node.id: near(node.id, 20) + rng.sample(nodes, 20) for node in nodes}
    lookup = lookup_from(*rng.sample(nodes, 3))
    while chosen := lookup.next_queries():
        for entry in chosen:
            lookup.answered(entry)
            told = near(TARGET, 16, knows[entry.id])
            lookup.add([as_entry(node) for node in told])
    assert lookup.result() == near(TARGET, 16)


@pytest.mark.parametrize("order", [1, -1])
def test_of_a_network_of_the_internet_only_the_nearest_nodes_are_found(order: int) -> None:
    crowd = [node_near(200 + n, ip=IPv4Address(f"20.0.0.{n}")) for n in range(1, 30)]
    others = [node_near(230 + n, ip=IPv4Address(f"20.0.{n}.1")) for n in range(1, 20)]
    lookup = lookup_from(*(crowd + others)[::order])
    finish(lookup)
    assert lookup.result() == crowd[:NETWORK_LIMIT] + others[: RESULT_SIZE - NETWORK_LIMIT]


def test_of_an_own_network_all_nodes_are_found() -> None:
    fleet = [node_near(200 + n, ip=IPv4Address(f"20.0.0.{n}")) for n in range(1, 13)]
    own = OwnNetworks(Netlist.parse("20.0.0.0/24"))
    lookup = Shortlist(TARGET, SELF_ID, fleet, own)
    finish(lookup)
    assert lookup.result() == fleet


def test_a_network_of_ipv6_is_a_site_not_hundreds_of_providers() -> None:
    site = [node_near(200 + n, ip=IPv6Address(f"2a01:4f8:1:{n}::1")) for n in range(1, 9)]
    others = [node_near(230 + n, ip=IPv6Address(f"2a01:4f8:1{n}::1")) for n in range(1, 9)]
    lookup = lookup_from(*site, *others)
    finish(lookup)
    assert lookup.result() == site[:NETWORK_LIMIT] + others


def test_a_node_that_fails_makes_room_for_another_of_its_network() -> None:
    crowd = [node_near(200 + n, ip=IPv4Address(f"20.0.0.{n}")) for n in range(1, 4)]
    lookup = lookup_from(*crowd[:NETWORK_LIMIT])
    lookup.failed(lookup.next_queries()[0])
    lookup.add([as_entry(crowd[-1])])
    finish(lookup)
    assert lookup.result() == [crowd[-1]]


def test_a_node_that_gave_way_may_still_answer() -> None:
    far, near = (node_near(bits, ip=IPv4Address(f"20.0.0.{bits}")) for bits in (201, 200))
    nearest = node_near(199, ip=IPv4Address("20.0.0.199"))
    lookup = lookup_from(far, near)
    asked = lookup.next_queries()
    lookup.add([as_entry(nearest)])
    for entry in asked:
        lookup.answered(entry)
    finish(lookup)
    assert lookup.result() == [nearest, near]
