"""Discovery nodes on loopback, in one process, that know each other."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import p2p
from p2p import discover, observe
from p2p.enode import log_distance
from tests.kit.waiting import PATIENCE_S

HOST = "127.0.0.1"
#: Least distance of two nodes. A lookup asks a node for eight distances around that of its target,
#: so that the nodes name each other, whatever their keys are.
MIN_DISTANCE = 252


class Live(observe.DiscoveryObserver):
    """The nodes that have answered a ping of the observed one: others are not named to anybody."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._live: set[p2p.NodeID] = set()

    def state(self, node: p2p.Node, old: observe.NodeState, new: observe.NodeState) -> None:
        if new is observe.NodeState.LIVE:
            with self._changed:
                self._live.add(node.id)
                self._changed.notify_all()

    def wait_for(self, ids: set[p2p.NodeID]) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: ids <= self._live, PATIENCE_S)


def far_keys(count: int) -> list[p2p.PrivateKey]:
    """Return new keys of nodes that are at least MIN_DISTANCE from each other."""
    keys: dict[p2p.NodeID, p2p.PrivateKey] = {}
    while len(keys) < count:
        key = p2p.generate_key()
        new = p2p.NodeID.from_public_key(key.public_key)
        if all(log_distance(new, other) >= MIN_DISTANCE for other in keys):
            keys[new] = key
    return list(keys.values())


@contextmanager
def swarm(protocol: str, count: int) -> Iterator[list[discover.UDPv4 | discover.UDPv5]]:
    """Run ``count`` nodes, at most sixteen; when the block begins, the first knows all others."""
    kind = discover.UDPv4 if protocol == "v4" else discover.UDPv5
    live = Live()
    with ExitStack() as stack:
        keys = far_keys(count)
        first = stack.enter_context(kind(keys[0], f"{HOST}:0", ntp_server=None, observer=live))
        fronts = [first]
        for key in keys[1:]:
            front = kind(key, f"{HOST}:0", bootnodes=[first.self], ntp_server=None)
            fronts.append(stack.enter_context(front))
        live.wait_for({front.self.id for front in fronts[1:]})
        yield fronts
