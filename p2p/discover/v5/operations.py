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
from p2p.discover.v5.topics.topics import Topics
from p2p.discover.v5.transport import TransportV5
from p2p.enode.node import Node
from p2p.errors import P2PError, ServerStateError
from p2p.inputs import Now


class OperationsV5(Operations):
    """The commands under way."""

    def __init__(
        self,
        overlay: Overlay,
        maintenance: Maintenance,
        entropy: Entropy,
        transport: TransportV5,
        topics: Topics | None,
        observer: DiscoveryObserver | None,
    ) -> None:
        super().__init__(overlay, maintenance, entropy, observer)
        self._v5 = transport
        self._topics = topics

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

    def find_topic(self, topic: bytes, search: int, now: Now) -> int:
        """Find advertisers of a topic, 32 bytes, that the search has not found in this pass.

        The result is a list of nodes, empty at the end of a pass. ``search`` is a number of the
        owner's choice; one that is new begins a search, one that is not continues it. Raises
        ServerStateError if topics are off.
        """
        self._observe("find_topic", topic, search, now)
        topics = running_topics(self._topics)
        number = self._begin()
        topics.search(search, topic, partial(self._looked_up, number), now)
        return number


def running_topics(topics: Topics | None) -> Topics:
    """Return the topics of a node. Raises ServerStateError if they are off."""
    if topics is None:
        raise ServerStateError("topics are off: they need discovery_topics=True")
    return topics


def _found(
    done: Answered, found: Sequence[Neighbor] | None, error: P2PError | None, now: Now
) -> None:
    nodes = [neighbor.node for neighbor in found or () if neighbor.node is not None]
    done(None if found is None else nodes, error, now)
