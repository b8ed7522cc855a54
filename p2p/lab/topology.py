"""Topologies: which nodes of a lab are connected at its start.

A topology is a list of edges, pairs of indexes of nodes, each edge once. The functions return the
same edges for the same arguments, in every run and on every machine. Pure.

The small world is that of D. Watts and S. Strogatz, Collective dynamics of 'small-world' networks,
Nature 393 (1998): a ring in which some edges lead elsewhere.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable

from p2p.arguments import check_int, check_type, wrong, wrong_type
from p2p.lab.numbers import INT, probability, real

Edge = tuple[int, int]

#: Limit on the nodes of a lab: as many as have an address of their own.
MAX_NODES = 62_500
#: Mean number of neighbors of a node of "random" and "small-world".
DEGREE = 4
#: Share of the edges of "small-world" that lead elsewhere.
REWIRING = 0.1

_NODES = f"an int from 0 to {MAX_NODES}"


def ring(nodes: int) -> list[Edge]:
    """Return a circle: each node is connected with the next, the last with the first."""
    _check_nodes(nodes)
    return _sorted((number, (number + 1) % nodes) for number in range(nodes))


def star(nodes: int, center: int = 0) -> list[Edge]:
    """Return a star: all nodes are connected with ``center``, and with no other."""
    _check_nodes(nodes)
    check_int("center", center, 0, max(0, nodes - 1), f"an int from 0 to {max(0, nodes - 1)}")
    return _sorted((center, number) for number in range(nodes))


def full(nodes: int) -> list[Edge]:
    """Return all edges: each node is connected with all others."""
    _check_nodes(nodes)
    return [(one, other) for one in range(nodes) for other in range(one + 1, nodes)]


def random_graph(nodes: int, degree: float = DEGREE, seed: int = 1) -> list[Edge]:
    """Return a connected random graph with a mean of ``degree`` neighbors.

    A random tree connects all nodes, the other edges are chosen uniformly. Raises ArgumentError
    for a degree with fewer edges than the tree, or more than there are.
    """
    _check_nodes(nodes)
    least, most = max(0, nodes - 1), nodes * (nodes - 1) // 2
    count = round(nodes * real("degree", degree) / 2)
    if not least <= count <= most:
        wanted = f"a mean number of neighbors that gives {least} to {most} edges, not {count}"
        raise wrong("degree", degree, wanted)
    chance = _random("random", seed)
    order = list(range(nodes))
    chance.shuffle(order)
    edges = {_edge(order[chance.randrange(at)], order[at]) for at in range(1, nodes)}
    while len(edges) < count:
        edges.add(_edge(*chance.sample(range(nodes), 2)))
    return sorted(edges)


def small_world(
    nodes: int, neighbors: int = DEGREE, rewiring: float = REWIRING, seed: int = 1
) -> list[Edge]:
    """Return a small world (Watts and Strogatz): a ring lattice with some edges rewired.

    Each node is connected with the ``neighbors`` nearest ones, an even number less than ``nodes``.
    Then the far end of each edge is moved to a random node with probability ``rewiring``. With a
    high one the graph may be in several parts. Raises ArgumentError for other values.
    """
    _check_nodes(nodes)
    wanted = f"an even int from 0 to {max(0, nodes - 1)}"
    check_int("neighbors", neighbors, 0, max(0, nodes - 1), wanted)
    if neighbors % 2:
        raise wrong("neighbors", neighbors, wanted)
    rewiring = probability("rewiring", rewiring)
    chance = _random("small-world", seed)
    lattice = [
        (number, (number + step) % nodes)
        for step in range(1, neighbors // 2 + 1)
        for number in range(nodes)
    ]
    edges = {_edge(*edge) for edge in lattice}
    for near, far in lattice:
        if chance.random() < rewiring:
            _rewire(edges, near, far, nodes, chance)
    return sorted(edges)


def edges_of(topology: str | Iterable[Edge], nodes: int, seed: int = 1) -> list[Edge]:
    """Return the edges of a topology by its name, or check given ones.

    The names are "none", "ring", "star", "full", "random" and "small-world"; the last two have a
    mean of 4 neighbors, or all others in a smaller network. Raises ArgumentError for another name,
    and for an edge to itself, to an unknown node, or given twice.
    """
    _check_nodes(nodes)
    check_int("seed", seed, *INT)
    if isinstance(topology, str):
        if topology not in _BY_NAME:
            raise wrong("topology", topology, f"one of {', '.join(_BY_NAME)}, or edges")
        return _BY_NAME[topology](nodes, seed)
    return _checked(topology, nodes)


def _checked(topology: object, nodes: int) -> list[Edge]:
    wanted = "the name of a topology, or pairs of indexes of nodes"
    check_type("topology", topology, Iterable, wanted)
    assert isinstance(topology, Iterable)
    found: set[Edge] = set()
    for pair in topology:
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise wrong_type("topology", pair, wanted)
        for end in pair:
            check_int("topology", end, 0, nodes - 1, f"indexes from 0 to {nodes - 1}")
        edge = _edge(pair[0], pair[1])
        if edge[0] == edge[1] or edge in found:
            raise wrong("topology", pair, "two different nodes in each edge, and each edge once")
        found.add(edge)
    return sorted(found)


_BY_NAME: dict[str, Callable[[int, int], list[Edge]]] = {
    "none": lambda nodes, seed: [],
    "ring": lambda nodes, seed: ring(nodes),
    "star": lambda nodes, seed: star(nodes),
    "full": lambda nodes, seed: full(nodes),
    "random": lambda nodes, seed: random_graph(nodes, min(DEGREE, max(0, nodes - 1)), seed),
    "small-world": lambda nodes, seed: small_world(
        nodes, min(DEGREE, max(0, nodes - 1) // 2 * 2), REWIRING, seed
    ),
}
#: Names of the topologies.
TOPOLOGIES = tuple(_BY_NAME)


def _rewire(edges: set[Edge], near: int, far: int, nodes: int, chance: random.Random) -> None:
    """Move the far end of an edge to another node, if there is one without an edge to ``near``."""
    others = [other for other in range(nodes) if other != near]
    free = [other for other in others if _edge(near, other) not in edges]
    if free:
        edges.discard(_edge(near, far))
        edges.add(_edge(near, chance.choice(free)))


def _sorted(pairs: Iterable[Edge]) -> list[Edge]:
    return sorted({_edge(one, other) for one, other in pairs if one != other})


def _edge(one: int, other: int) -> Edge:
    return (one, other) if one < other else (other, one)


def _random(name: str, seed: int) -> random.Random:
    check_int("seed", seed, *INT)
    return random.Random(f"{name} {seed}")


def _check_nodes(nodes: int) -> None:
    check_int("nodes", nodes, 0, MAX_NODES, _NODES)
