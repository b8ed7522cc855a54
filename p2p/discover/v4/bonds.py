"""Endpoint proofs: the addresses that nodes have proven, and the lifetime of a proof.

Pure. A node is *proven* at an address when it has answered a ping that we sent there: the answer
carries the ping's hash, so its sender receives the datagrams for that address. Only proven nodes
get more than a pong (discovery v4, "Endpoint Proof"). In the other direction, a node that has
pinged us and got our pong has a proof of our endpoint, so we may send it requests.

Proofs are kept in the node store, in wall-clock time. A proof lasts 24 hours; one from the future
is accepted as long as a clock that was set back by a day and an hour explains it. After the clock
was set, it is enough if one of the two readings makes the proof valid
(:mod:`p2p.discover.wallclock`): proofs from before count by the old reading, later ones by the new.
"""

from __future__ import annotations

from collections import OrderedDict

from p2p.discover.lookup import MAX_FIND_FAILS
from p2p.discover.store import NodeStore
from p2p.discover.wallclock import WallClock
from p2p.enode.node import Node
from p2p.enode.nodeid import NodeID
from p2p.inputs import Now
from p2p.netutil import IPAddress

#: Lifetime of a proof, in seconds.
BOND_S = 24 * 3600.0
#: Largest time of a proof in the future, in seconds.
MAX_AHEAD_S = 25 * 3600.0

#: Addresses of proven nodes kept in memory for :meth:`Bonds.knows`.
MAX_ADDRESSES = 4096
#: Nodes that have pinged us and have not proven their endpoint yet.
MAX_WAITING = 4096


class Bonds:
    """Endpoint proofs in both directions, kept in a :class:`NodeStore`."""

    def __init__(self, store: NodeStore, clock: WallClock) -> None:
        self._store = store
        self._clock = clock
        self._addresses: OrderedDict[IPAddress, None] = OrderedDict()
        # Pings of unproven nodes do not reach the store: an attacker can forge any number of them.
        self._waiting: OrderedDict[tuple[NodeID, IPAddress], Node] = OrderedDict()

    def is_proven(self, node_id: NodeID, ip: IPAddress, now: Now) -> bool:
        """Whether the node has proven its endpoint at ``ip``."""
        return self._counts(self._store.last_pong_received(node_id, ip), now)

    def knows_us(self, node_id: NodeID, ip: IPAddress, now: Now) -> bool:
        """Whether the node should have a proof of our endpoint, and so answer a request."""
        if self._store.find_fails(node_id, ip) > MAX_FIND_FAILS:
            return False  # it may have lost its proof of us
        return self._counts(self._store.last_ping_received(node_id, ip), now)

    def knows(self, ip: IPAddress) -> bool:
        """Whether any node has recently proven an endpoint at ``ip``."""
        return ip in self._addresses

    def note_ping(self, node_id: NodeID, ip: IPAddress, now: Now) -> None:
        """Note that a proven node has pinged us from ``ip`` and got a pong."""
        self._store.set_last_ping_received(node_id, ip, now.unix)

    def await_proof(self, node: Node, ip: IPAddress) -> None:
        """Note that the unproven ``node`` has pinged us from ``ip``."""
        self._waiting[node.id, ip] = node
        self._waiting.move_to_end((node.id, ip))
        if len(self._waiting) > MAX_WAITING:
            self._waiting.popitem(last=False)

    def note_proof(self, node_id: NodeID, ip: IPAddress, now: Now) -> Node | None:
        """Note the answer to our ping to ``ip``. Return the node if it had pinged us before."""
        self._store.set_last_pong_received(node_id, ip, now.unix)
        self._addresses[ip] = None
        self._addresses.move_to_end(ip)
        if len(self._addresses) > MAX_ADDRESSES:
            self._addresses.popitem(last=False)
        node = self._waiting.pop((node_id, ip), None)
        if node is not None:
            self.note_ping(node_id, ip, now)
        return node

    def _counts(self, unix: float, now: Now) -> bool:
        if not unix:
            return False
        ages = (reading - unix for reading in self._clock.readings(now))
        return any(-MAX_AHEAD_S < age < BOND_S for age in ages)
