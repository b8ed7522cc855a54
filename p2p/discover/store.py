"""The engine's memory of nodes beyond its table: bonds, failures, seeds.

Pure. :class:`NodeStore` is the engine's interface to a node database. Times are wall-clock seconds,
because they outlive the process; 0.0 means unknown. ``p2p.enode.NodeDB`` implements it, and so does
``p2p.enode.db.memory.NodeMemory``, which has no file and no lock. The engine's thread calls it: no
method may block.

Ping and pong times belong to a node *at an address*: the proof of one address proves no other
(discovery v4, "Endpoint Proof").
"""

from __future__ import annotations

from typing import Protocol

from p2p.enode.node import Node
from p2p.enode.nodeid import NodeID
from p2p.inputs import RandomSource
from p2p.netutil import IPAddress


class NodeStore(Protocol):
    """The engine's interface to a node database."""

    def last_ping_received(self, node_id: NodeID, ip: IPAddress, /) -> float:
        """Return the time at which the node last pinged us from ``ip``."""

    def set_last_ping_received(self, node_id: NodeID, ip: IPAddress, unix: float, /) -> None:
        """Set the time at which the node last pinged us from ``ip``."""

    def last_pong_received(self, node_id: NodeID, ip: IPAddress, /) -> float:
        """Return the time of the node's last endpoint proof at ``ip``."""

    def set_last_pong_received(self, node_id: NodeID, ip: IPAddress, unix: float, /) -> None:
        """Set the time of the node's last endpoint proof at ``ip``."""

    def find_fails(self, node_id: NodeID, ip: IPAddress, /) -> int:
        """Return the number of findnode requests in a row that the node left unanswered."""

    def set_find_fails(self, node_id: NodeID, ip: IPAddress, fails: int, /) -> None:
        """Set the number that :meth:`find_fails` returns."""

    def node(self, node_id: NodeID, /) -> Node | None:
        """Return the stored node, None if there is none."""

    def update_node(self, node: Node, /) -> None:
        """Store a node as a seed for later."""

    def query_seeds(
        self, count: int, max_age_s: float, now_unix: float, random: RandomSource, /
    ) -> list[Node]:
        """Return up to ``count`` random stored nodes that answered in the last ``max_age_s``."""

    def expire(self, now_unix: float, /) -> None:
        """Drop entries that are older than a day."""
