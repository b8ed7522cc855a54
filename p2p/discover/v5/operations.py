"""The commands of discovery v5: those of all protocols, and those that only v5 has. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from p2p.crypto import Entropy
from p2p.discover.lookup import Overlay
from p2p.discover.maintenance import Maintenance
from p2p.discover.observer import DiscoveryObserver
from p2p.discover.operations import Answered, Operations
from p2p.discover.transport import Neighbor
from p2p.discover.v5.transport import TransportV5
from p2p.enode.node import Node
from p2p.errors import P2PError
from p2p.inputs import Now


class OperationsV5(Operations):
    """The commands under way."""

    def __init__(
        self,
        overlay: Overlay,
        maintenance: Maintenance,
        entropy: Entropy,
        transport: TransportV5,
        observer: DiscoveryObserver | None,
    ) -> None:
        super().__init__(overlay, maintenance, entropy, observer)
        self._v5 = transport

    def find_node(self, node: Node, distances: Sequence[int], now: Now) -> int:
        """Ask a node for nodes at some distances from it. The result is a list of them."""
        self._observe("find_node", node, distances, now)

        def send(at: Node, done: Answered, now: Now) -> None:
            self._v5.find_at(at, distances, partial(_found, done), now)

        return self._ask(node, send, now)

    def talk(self, node: Node, protocol: bytes, request: bytes, now: Now) -> int:
        """Send a request of an application's protocol. The result is the response, bytes."""
        self._observe("talk", node, protocol, request, now)

        def send(at: Node, done: Answered, now: Now) -> None:
            self._v5.talk(at, protocol, request, done, now)

        return self._ask(node, send, now)


def _found(
    done: Answered, found: Sequence[Neighbor] | None, error: P2PError | None, now: Now
) -> None:
    nodes = [neighbor.node for neighbor in found or () if neighbor.node is not None]
    done(None if found is None else nodes, error, now)
