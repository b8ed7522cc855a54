"""A lookup that keeps its steps, on networks of which the truth is known."""

from __future__ import annotations

import random
from heapq import nsmallest

import pytest

import p2p
from p2p.cli.discovery.walk import (
    ALPHA,
    MAX_NAMED,
    MAX_QUERIES,
    RESULT_SIZE,
    Walk,
    distances_to,
    may_name,
)
from p2p.enode import log_distance, xor_distance

KEY = p2p.generate_key().public_key


def node(number: int, ip: str = "10.0.0.1") -> p2p.Node:
    """A node with an ID of our choice: a walk does not look at keys."""
    made = p2p.Node.from_parts(KEY, ip, 1, 1)
    import dataclasses

    return dataclasses.replace(made, id=p2p.NodeID(number.to_bytes(32, "big")))


def crowd(count: int, seed: int = 1) -> list[p2p.Node]:
    source = random.Random(seed)
    return [node(source.getrandbits(256)) for _ in range(count)]


def run(walk: Walk, nodes: list[p2p.Node], silent: frozenset[p2p.NodeID] = frozenset()) -> None:
    """Answer as nodes do that know all others: with those nearest to the target."""
    near = nsmallest(MAX_NAMED, nodes, key=lambda each: xor_distance(walk.target, each.id))
    while not walk.is_over:
        for hop in walk.next_hops():
            if hop.node.id in silent:
                walk.failed(hop, "no answer", 0.5)
            else:
                walk.answered(hop, near, 0.1)


def test_result_has_the_nearest_nodes_in_their_order():
    nodes = crowd(200)
    walk = Walk(nodes[7].id, node(0).id, nodes[:1])
    run(walk, nodes)
    assert walk.result() == nsmallest(
        RESULT_SIZE, nodes, key=lambda each: xor_distance(walk.target, each.id)
    )


def test_node_that_does_not_answer_is_not_in_the_result():
    nodes = crowd(20)
    walk = Walk(nodes[7].id, node(0).id, nodes[:1])
    run(walk, nodes, silent=frozenset({nodes[7].id}))
    assert nodes[7] not in walk.result()
    assert {hop.node.id: hop.error for hop in walk.hops}[nodes[7].id] == "no answer"


def test_hop_has_the_node_that_named_it_and_its_depth():
    start, named = crowd(2)
    walk = Walk(named.id, node(0).id, [start])
    run(walk, [named])
    assert [(hop.depth, hop.named_by) for hop in walk.hops] == [(1, None), (2, start.id)]
    assert (walk.hops[0].named, walk.hops[0].new, walk.hops[0].nearest) == (1, 1, 0)
    assert (walk.hops[1].named, walk.hops[1].new) == (1, 0)


def test_no_more_than_three_are_asked_at_a_time():
    walk = Walk(node(1).id, node(0).id, crowd(20))
    assert len(walk.next_hops()) == ALPHA and walk.next_hops() == [] and not walk.is_over


def test_liars_without_end_are_not_followed_for_ever():
    walk = Walk(node(0).id, node(2**256 - 1).id, [node(2**255)])
    nearer = 2**254
    while not walk.is_over:
        for hop in walk.next_hops():
            walk.answered(hop, [node(nearer)], 0.1)
            nearer -= 1
    assert len(walk.hops) == MAX_QUERIES


def test_walk_without_nodes_is_over():
    walk = Walk(node(1).id, node(0).id, [node(0)])
    assert walk.is_over and walk.result() == []


@pytest.mark.parametrize(
    ("teller", "named", "believed"),
    [
        ("8.8.8.8", "9.9.9.9", True),
        ("8.8.8.8", "10.0.0.1", False),
        ("8.8.8.8", "127.0.0.1", False),
        ("10.0.0.1", "10.0.0.2", True),
        ("10.0.0.1", "127.0.0.1", False),
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "10.0.0.1", True),
        ("8.8.8.8", "224.0.0.1", False),
        ("8.8.8.8", "0.0.0.0", False),
    ],
)
def test_address_is_believed_of_whom_can_reach_it(teller, named, believed):
    assert may_name(node(1, teller), node(2, named)) is believed


def test_distances_are_those_next_to_the_target():
    first, other = crowd(2)
    distance = log_distance(first.id, other.id)
    found = list(distances_to(first.id, other.id))
    assert found[0] == distance and len(found) == 8
    assert all(0 < each <= 256 for each in found)
