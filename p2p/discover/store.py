"""What the engine remembers of nodes beyond its table: bonds, failures, seeds.

Pure. :class:`NodeStore` is what the engine asks of a node database; times are wall-clock seconds,
0.0 where nothing is known, because they outlive the process. :class:`MemoryStore` is one that
forgets everything when the process ends. The engine's thread calls it: no method may wait.

Ping and pong times belong to a node *at an address*: who has proved one address has proved no
other (discovery v4, "Endpoint Proof").
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Protocol

from p2p.enode.ids import NodeID
from p2p.enode.node import Node
from p2p.netutil import IPAddress
from p2p.randomsource import RandomSource

#: What is not heard of for this long is forgotten, seconds.
EXPIRY_S = 24 * 3600.0

#: Addresses and nodes a MemoryStore holds at most; the ones untouched for longest make room.
MAX_ADDRESSES = 10_000
MAX_NODES = 5_000


class NodeStore(Protocol):
    """What the engine asks of a node database."""

    def last_ping_received(self, node_id: NodeID, ip: IPAddress, /) -> float:
        """When the node last pinged us from ``ip``."""

    def set_last_ping_received(self, node_id: NodeID, ip: IPAddress, unix: float, /) -> None:
        """Remember that the node pinged us from ``ip``."""

    def last_pong_received(self, node_id: NodeID, ip: IPAddress, /) -> float:
        """When the node last proved that it is at ``ip``."""

    def set_last_pong_received(self, node_id: NodeID, ip: IPAddress, unix: float, /) -> None:
        """Remember that the node proved that it is at ``ip``."""

    def find_fails(self, node_id: NodeID, ip: IPAddress, /) -> int:
        """How many findnode requests in a row it has left unanswered."""

    def set_find_fails(self, node_id: NodeID, ip: IPAddress, fails: int, /) -> None:
        """Remember that number."""

    def node(self, node_id: NodeID, /) -> Node | None:
        """The node as it was stored."""

    def update_node(self, node: Node, /) -> None:
        """Store a node as a seed for later."""

    def delete_node(self, node_id: NodeID, /) -> None:
        """Forget a node and all of its addresses."""

    def query_seeds(
        self, count: int, max_age_s: float, now_unix: float, random: RandomSource, /
    ) -> list[Node]:
        """Up to ``count`` stored nodes that answered within ``max_age_s``, chosen at random."""

    def expire(self, now_unix: float, /) -> None:
        """Forget what is older than a day."""


@dataclass(slots=True)
class _Address:
    """What is known of a node at one address."""

    ping_unix: float = 0.0
    pong_unix: float = 0.0
    fails: int = 0


class MemoryStore:
    """A node database in memory, of bounded size. One thread at a time."""

    def __init__(self) -> None:
        self._addresses: OrderedDict[tuple[NodeID, IPAddress], _Address] = OrderedDict()
        self._nodes: OrderedDict[NodeID, Node] = OrderedDict()

    def last_ping_received(self, node_id: NodeID, ip: IPAddress, /) -> float:
        return self._address(node_id, ip).ping_unix

    def set_last_ping_received(self, node_id: NodeID, ip: IPAddress, unix: float, /) -> None:
        self._touch(node_id, ip).ping_unix = unix

    def last_pong_received(self, node_id: NodeID, ip: IPAddress, /) -> float:
        return self._address(node_id, ip).pong_unix

    def set_last_pong_received(self, node_id: NodeID, ip: IPAddress, unix: float, /) -> None:
        self._touch(node_id, ip).pong_unix = unix

    def find_fails(self, node_id: NodeID, ip: IPAddress, /) -> int:
        return self._address(node_id, ip).fails

    def set_find_fails(self, node_id: NodeID, ip: IPAddress, fails: int, /) -> None:
        self._touch(node_id, ip).fails = fails

    def node(self, node_id: NodeID, /) -> Node | None:
        return self._nodes.get(node_id)

    def update_node(self, node: Node, /) -> None:
        known = self._nodes.get(node.id)
        if known is None or known.seq <= node.seq:
            self._nodes[node.id] = node
        self._nodes.move_to_end(node.id)
        if len(self._nodes) > MAX_NODES:
            self._nodes.popitem(last=False)

    def delete_node(self, node_id: NodeID, /) -> None:
        self._nodes.pop(node_id, None)
        for key in [key for key in self._addresses if key[0] == node_id]:
            del self._addresses[key]

    def query_seeds(
        self, count: int, max_age_s: float, now_unix: float, random: RandomSource, /
    ) -> list[Node]:
        oldest = now_unix - max_age_s
        fit = [node for node in self._nodes.values() if self._pong_unix(node) >= oldest]
        return random.sample(fit, min(count, len(fit)))

    def expire(self, now_unix: float, /) -> None:
        oldest = now_unix - EXPIRY_S
        for key, known in list(self._addresses.items()):
            if max(known.ping_unix, known.pong_unix) < oldest:
                del self._addresses[key]
        for node in list(self._nodes.values()):
            if self._pong_unix(node) < oldest:
                del self._nodes[node.id]

    def _pong_unix(self, node: Node) -> float:
        return 0.0 if node.ip is None else self._address(node.id, node.ip).pong_unix

    def _address(self, node_id: NodeID, ip: IPAddress) -> _Address:
        return self._addresses.get((node_id, ip)) or _NOTHING

    def _touch(self, node_id: NodeID, ip: IPAddress) -> _Address:
        key = node_id, ip
        known = self._addresses.setdefault(key, _Address())
        self._addresses.move_to_end(key)
        if len(self._addresses) > MAX_ADDRESSES:
            self._addresses.popitem(last=False)
        return known


_NOTHING = _Address()
