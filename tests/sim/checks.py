"""Questions about a simulated network that several tests ask."""

from __future__ import annotations

import random
from collections.abc import Iterable

from p2p.discover.event import NodeRemoved
from p2p.sim import Network, SimNode

RESULT_SIZE = 16
MAX_AMPLIFICATION = 3


def build(network: Network, count: int, gap_s: float = 0.0) -> list[SimNode]:
    """A bootnode, and nodes that know nothing but that; they come ``gap_s`` after each other.

    Who looks for itself finds those that have come before. If all come at once, nobody has a
    neighborhood yet to be found in, and the next refresh makes up for it.
    """
    boot = network.add("boot")
    for _ in range(count - 1):
        network.run_for(gap_s)
        network.add(bootnodes=[boot])
    return list(network.nodes)


def are_ready(nodes: Iterable[SimNode]) -> bool:
    """Whether all of them have filled their table for the first time."""
    return all(node._engine is not None and node._engine.is_initialized for node in nodes)


def recall(network: Network, lookups: int, seed: int = 1, limit_s: float = 120.0) -> list[float]:
    """For lookups of random targets by random nodes: the part of the truth that each has found."""
    chance = random.Random(seed)
    running = network.running
    begun = []
    for number in range(lookups):
        node, target = running[number % len(running)], chance.randbytes(64)
        begun.append((node, target, node.begin_lookup(target)))
        network.run_for(0.02)  # not all at once
    assert network.run_until(lambda: all(operation.done for _, _, operation in begun), limit_s)
    found = []
    for node, target, operation in begun:
        truth = [other.id for other in network.closest(target, RESULT_SIZE, but=node)]
        told = {other.id for other in operation.result}
        found.append(sum(node_id in told for node_id in truth) / len(truth))
    return found


def removals(nodes: Iterable[SimNode]) -> list[str]:
    """A list that gets a line whenever one of the nodes drops another from its table."""
    lines: list[str] = []

    def watch(node: SimNode) -> None:
        def note(event: object) -> None:
            if isinstance(event, NodeRemoved):
                lines.append(f"{node.name} drops {event.node.id.short}")

        node.on_table_change = note

    for node in nodes:
        watch(node)
    return lines


def assert_amplifies_nothing(network: Network) -> None:
    """No node has answered unproven addresses with more than three times what came from there."""
    for node in network.nodes:
        for counters in node.run_counters:
            assert counters.unproven_bytes_out <= MAX_AMPLIFICATION * counters.unproven_bytes_in
