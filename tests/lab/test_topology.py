"""Topologies: the edges that they promise, the same ones for each seed, and wrong arguments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis.strategies import integers, sampled_from

from p2p.errors import ArgumentError
from p2p.lab import edges_of, full, random_graph, ring, small_world, star
from p2p.lab.topology import DEGREE, TOPOLOGIES

Edge = tuple[int, int]


def degrees(edges: Iterable[Edge]) -> Counter[int]:
    return Counter(end for edge in edges for end in edge)


def is_connected(edges: Iterable[Edge], nodes: int) -> bool:
    """Whether there is a path between any two nodes."""
    group = list(range(nodes))
    for one, other in edges:
        joined = group[one], group[other]
        group = [joined[0] if number == joined[1] else number for number in group]
    return len(set(group)) <= 1


def test_ring_connects_each_node_with_two() -> None:
    assert ring(5) == [(0, 1), (0, 4), (1, 2), (2, 3), (3, 4)]
    assert (ring(0), ring(1), ring(2)) == ([], [], [(0, 1)])


def test_star_connects_all_with_its_center() -> None:
    assert star(4) == [(0, 1), (0, 2), (0, 3)]
    assert star(4, center=2) == [(0, 2), (1, 2), (2, 3)]
    assert star(1) == []


def test_full_has_all_edges() -> None:
    assert full(4) == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]


@given(nodes=integers(6, 60), degree=integers(2, 5), seed=integers())
def test_random_graph_is_connected_with_the_mean_degree(nodes: int, degree: int, seed: int) -> None:
    edges = random_graph(nodes, degree, seed)
    assert len(edges) == round(nodes * degree / 2)
    assert is_connected(edges, nodes)


@given(nodes=integers(7, 60), neighbors=sampled_from([2, 4, 6]), seed=integers())
def test_small_world_keeps_the_edges_of_its_lattice_in_number(
    nodes: int, neighbors: int, seed: int
) -> None:
    edges = small_world(nodes, neighbors, 0.3, seed)
    assert len(edges) == nodes * neighbors // 2
    assert min(degrees(edges).values()) >= neighbors // 2  # an edge keeps its near end


def test_small_world_without_rewiring_is_a_lattice() -> None:
    assert small_world(7, 2, 0.0) == ring(7)
    assert set(degrees(small_world(9, 4, 0.0)).values()) == {4}


def test_rewiring_moves_about_its_share_of_the_edges() -> None:
    lattice = set(small_world(500, 4, 0.0))
    moved = len(lattice - set(small_world(500, 4, 0.1)))
    assert 60 < moved < 140
    assert len(lattice - set(small_world(500, 4, 1.0))) > 950


@given(name=sampled_from(TOPOLOGIES), nodes=integers(0, 30), seed=integers(0, 5))
def test_a_name_gives_edges_in_order_for_any_number_of_nodes(
    name: str, nodes: int, seed: int
) -> None:
    edges = edges_of(name, nodes, seed)
    assert edges == sorted(set(edges)) == edges_of(name, nodes, seed)
    assert all(0 <= one < other < nodes for one, other in edges)
    assert is_connected(edges, nodes) or name in ("none", "small-world")


def test_another_seed_gives_other_edges() -> None:
    for name in ("random", "small-world"):
        assert edges_of(name, 50, 1) != edges_of(name, 50, 2)
        assert len(edges_of(name, 50)) == 50 * DEGREE // 2


def test_given_edges_are_put_in_order() -> None:
    assert edges_of([(2, 1), [0, 1]], 3) == [(0, 1), (1, 2)]  # type: ignore[list-item]


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: ring(-1), "nodes: wanted an int from 0"),
        (lambda: ring(True), "nodes: wanted an int from 0"),
        (lambda: star(3, 3), "center: wanted an int from 0 to 2"),
        (lambda: random_graph(10, 1), "a mean number of neighbors that gives 9 to 45 edges, not 5"),
        (lambda: random_graph(10, 20), "gives 9 to 45 edges, not 100"),
        (lambda: random_graph(10, float("nan")), "degree: wanted a finite number"),
        (lambda: random_graph(10, "4"), "degree: wanted a number"),
        (lambda: random_graph(10, 4, 1.5), "seed: wanted an int"),
        (lambda: small_world(10, 3), "neighbors: wanted an even int from 0 to 9"),
        (lambda: small_world(10, 10), "neighbors: wanted an even int from 0 to 9"),
        (lambda: small_world(10, 4, 1.5), "rewiring: wanted a probability, from 0 to 1"),
        (lambda: edges_of("circle", 5), "topology: wanted one of none, ring, star"),
        (lambda: edges_of(5, 5), "topology: wanted the name of a topology, or pairs"),
        (lambda: edges_of([(0, 1, 2)], 5), "topology: wanted the name of a topology, or pairs"),
        (lambda: edges_of([(0, 5)], 5), "topology: wanted indexes from 0 to 4"),
        (lambda: edges_of([(1, 1)], 5), "topology: wanted two different nodes"),
        (lambda: edges_of([(0, 1), (1, 0)], 5), "each edge once"),
    ],
)
def test_wrong_arguments_are_refused(call: Callable[[], Any], words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        call()
