"""Endpoint proofs: who has shown to be where, and for how long that counts.

Pure. A node is *proven* at an address when it has answered a ping that we sent there: the answer
carries the ping's hash, so whoever sent it sees what arrives at that address. Only proven nodes
get more than a pong (discovery v4, "Endpoint Proof"). The other way round, a node that has pinged
us and got our pong has a proof of us, so we may ask it.

What counts is in the node store, in wall-clock time. A proof lasts 24 hours; one from the future is
believed as long as a clock that was set back by a day and an hour explains it. After the clock was
set, it is enough that one of the two readings says so (:mod:`p2p.discover.wallclock`): proofs from
before count by the old one, those that come after by the new one.
"""

from __future__ import annotations

from collections import OrderedDict

from p2p.discover.now import Now
from p2p.discover.store import NodeStore
from p2p.discover.wallclock import WallClock
from p2p.enode.ids import NodeID
from p2p.enode.node import Node
from p2p.netutil import IPAddress

#: How long a proof counts, in seconds.
BOND_S = 24 * 3600.0
#: How far in the future a proof may lie, in seconds.
MAX_AHEAD_S = 25 * 3600.0

#: Findnode failures after which the other side may have lost its proof of us.
MAX_FIND_FAILS = 5

#: Addresses of proven nodes kept at hand for :meth:`Bonds.knows`.
MAX_ADDRESSES = 4096
#: Nodes that have pinged us and are still to prove where they are.
MAX_WAITING = 4096


class Bonds:
    """Proofs in both directions, kept in a :class:`NodeStore`."""

    def __init__(self, store: NodeStore, clock: WallClock) -> None:
        self._store = store
        self._clock = clock
        self._addresses: OrderedDict[IPAddress, None] = OrderedDict()
        # Pings of unproven nodes do not reach the store: anybody can make up any number of them.
        self._waiting: OrderedDict[tuple[NodeID, IPAddress], Node] = OrderedDict()

    def is_proven(self, node_id: NodeID, ip: IPAddress, now: Now) -> bool:
        """Whether the node has shown to be at ``ip``."""
        return self._counts(self._store.last_pong_received(node_id, ip), now)

    def knows_us(self, node_id: NodeID, ip: IPAddress, now: Now) -> bool:
        """Whether the node should have a proof of us, and so would answer a request."""
        if self._store.find_fails(node_id, ip) > MAX_FIND_FAILS:
            return False
        return self._counts(self._store.last_ping_received(node_id, ip), now)

    def knows(self, ip: IPAddress) -> bool:
        """Whether some node has lately shown to be at ``ip``. Says nothing about any one node."""
        return ip in self._addresses

    def note_ping(self, node_id: NodeID, ip: IPAddress, now: Now) -> None:
        """A proven node has pinged us from ``ip`` and was answered."""
        self._store.set_last_ping_received(node_id, ip, now.unix)

    def await_proof(self, node: Node, ip: IPAddress) -> None:
        """An unproven node has pinged us from ``ip``; ``node`` is how it is to be known."""
        self._waiting[node.id, ip] = node
        self._waiting.move_to_end((node.id, ip))
        if len(self._waiting) > MAX_WAITING:
            self._waiting.popitem(last=False)

    def note_proof(self, node_id: NodeID, ip: IPAddress, now: Now) -> Node | None:
        """The node has answered our ping to ``ip``. Returns it if it had pinged us before."""
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
