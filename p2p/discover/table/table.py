"""The node table: the known nodes, sorted by their distance from us.

Pure. Seventeen buckets hold nodes by the logarithm of their distance from us; all nearer nodes
share the first bucket, since hardly any exist (discovery v4, "Kademlia Table"). An unproven node
may take a free place, and is given to other nodes when it has answered; while a bucket is full, new
nodes wait as replacements.

The table decides which nodes have a place. Its ``revalidation`` chooses the nodes to ping, and the
engine pings them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from heapq import nsmallest

from p2p.discover.event import NodeAdded, NodeRemoved
from p2p.discover.observer import DiscoveryObserver
from p2p.discover.table.bucket import (
    MAX_REPLACEMENTS,
    Bucket,
    BucketNode,
    Entry,
    NodeState,
)
from p2p.discover.table.revalidation import Revalidation
from p2p.enode.distance import log_distance
from p2p.enode.node import Node
from p2p.enode.nodeid import NodeID
from p2p.inputs import RandomSource
from p2p.netutil import LAN, DistinctNetSet, IPAddress, OwnNetworks, is_unspecified

#: Buckets for the distances 240..256; half of all nodes are at 256, a quarter at 255, and so on.
BUCKET_COUNT = 17
_MIN_DISTANCE = 256 - BUCKET_COUNT

#: Most addresses of the whole table in one network.
TABLE_IP_LIMIT = 10


class Table:
    """The nodes known to the node ``self_id``; ``own`` networks have no limits."""

    def __init__(
        self,
        self_id: NodeID,
        random: RandomSource,
        own: OwnNetworks = LAN,
        observer: DiscoveryObserver | None = None,
    ) -> None:
        self.self_id = self_id
        self.revalidation = Revalidation(random, observer)
        self._observer = observer
        self._random = random
        self._own = own
        self._buckets = [Bucket() for _ in range(BUCKET_COUNT)]
        self._entries: dict[NodeID, Entry] = {}
        self._ips = DistinctNetSet(TABLE_IP_LIMIT)
        self._changes: list[NodeAdded | NodeRemoved] = []

    # Queries.

    def get(self, node_id: NodeID) -> Node | None:
        """Return the node with that ID, if it is in a bucket."""
        entry = self._entries.get(node_id)
        return None if entry is None else entry.node

    def entry(self, node_id: NodeID) -> Entry | None:
        """Return the entry of the node with that ID, if it is in a bucket."""
        return self._entries.get(node_id)

    def nodes(self) -> list[Node]:
        """Return all nodes in buckets, the nearest buckets first."""
        return [entry.node for bucket in self._buckets for entry in bucket.entries]

    def buckets(self) -> list[list[BucketNode]]:
        """Return the entries of each bucket, from the nearest to the farthest."""
        return [bucket.snapshot() for bucket in self._buckets]

    def replacements(self) -> list[list[Node]]:
        """Return the replacement nodes of each bucket, the newest first."""
        return [[entry.node for entry in bucket.replacements] for bucket in self._buckets]

    def bucket_sizes(self) -> list[int]:
        """Return the number of nodes in each bucket, from the nearest on. Any thread."""
        return [len(bucket.entries) for bucket in self._buckets]

    def closest(self, target_id: bytes, count: int, *, prefer_live: bool = False) -> list[Node]:
        """Return up to ``count`` nodes, nearest to ``target_id`` first.

        ``prefer_live`` leaves out nodes that are not proven alive, unless no node is.
        """
        # xor_distance of the whole table would take three times as long
        target = int.from_bytes(target_id, "big")
        entries = list(self._entries.values())
        if prefer_live:
            entries = [entry for entry in entries if entry.live] or entries
        near = nsmallest(count, entries, key=lambda entry: entry.number ^ target)
        return [entry.node for entry in near]

    def live(self) -> list[Node]:
        """Return the nodes that have shown to be alive."""
        return [entry.node for entry in self._entries.values() if entry.live]

    def live_at(self, distance: int) -> list[Node]:
        """Return the nodes at a logarithmic distance, 1 to 256, that have shown to be alive."""
        live = [entry.node for entry in self._bucket_at(distance).entries if entry.live]
        return [node for node in live if log_distance(node.id, self.self_id) == distance]

    def is_current(self, node_id: NodeID, ip: IPAddress, tcp: int, udp: int) -> bool:
        """Whether the node is in a bucket, and `add_proven` would not change it."""
        entry = self._entries.get(node_id)
        if entry is None:
            return False
        node = entry.node
        return (node.ip, node.udp) == (ip, udp) and (node.record is not None or node.tcp == tcp)

    def bucket_size(self, node_id: NodeID) -> int:
        """Return the number of nodes in the bucket of a node with that ID."""
        return len(self._bucket(node_id).entries)

    @property
    def live_count(self) -> int:
        """Number of nodes in buckets that are proven alive. Any thread."""
        return sum(entry.live for entry in list(self._entries.values()))

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes())

    def __contains__(self, node_id: object) -> bool:
        return node_id in self._entries

    # Changes.

    def has_room(self, node_id: NodeID) -> bool:
        """Whether an unproven node with that ID could be added; to be asked before making one."""
        if node_id == self.self_id or node_id in self._entries:
            return False
        bucket = self._bucket(node_id)
        return not bucket.is_full or len(bucket.replacements) < MAX_REPLACEMENTS

    def add_found(self, node: Node, now: float) -> bool:
        """Add a node that another node has named. Return whether it got a place in its bucket.

        If the node is in the table, its record is replaced by a newer one of ``node``. The addition
        never pushes out a replacement: claims of others do not replace our own observations.
        """
        if node.id == self.self_id:
            return False
        known = self._entries.get(node.id)
        if known is not None:
            if node.seq > known.node.seq:
                self.update(known, node, now)
            return False
        return self._add(node, now, proven=False)

    def add_proven(self, node: Node, now: float) -> bool:
        """Add a node that has pinged us and has proven its endpoint. Returns as `add_found`.

        If the node is in the table, its endpoint is replaced, and its record kept while it fits.
        """
        if node.id == self.self_id:
            return False
        known = self._entries.get(node.id)
        if known is None:
            return self._add(node, now, proven=True)
        was = known.node
        if (was.ip, was.udp) != (node.ip, node.udp):
            self.update(known, node, now)
        elif was.record is None:
            known.node = replace(was, tcp=node.tcp)
        return False

    def update(self, entry: Entry, node: Node, now: float) -> bool:
        """Replace the node of an entry by ``node``, of the same ID.

        Return whether its endpoint has changed, so that it must be checked again. Nothing happens
        if its address exceeds a limit.
        """
        was = entry.node
        bucket = self._bucket(node.id)
        if node.ip != was.ip:
            self._remove_ip(bucket, was.ip)
            if not self._add_ip(bucket, node.ip):
                self._add_ip(bucket, was.ip)
                return False
            # The new address has never answered, and must not be pinged for long.
            entry.checks = 0
        entry.node = node
        if (node.ip, node.udp) == (was.ip, was.udp):
            return False
        self.revalidation.moved(entry, now)
        return True

    def mark_live(self, node_id: NodeID, ip: IPAddress) -> bool:
        """Note that a node has answered from ``ip``, so that it may be given to other nodes.

        Return whether it was the first answer.
        """
        entry = self._entries.get(node_id)
        if entry is None or entry.live or entry.node.ip != ip:
            return False
        entry.live = True
        self._observe(entry, NodeState.ADDED, NodeState.LIVE)
        return True

    def remove(self, node_id: NodeID, now: float) -> None:
        """Remove a node; a random replacement takes its place."""
        entry = self._entries.pop(node_id, None)
        if entry is None:
            return
        bucket = self._bucket(node_id)
        entry.removed = True
        bucket.entries.remove(entry)
        self._remove_ip(bucket, entry.node.ip)
        self.revalidation.remove(entry)
        self._changes.append(NodeRemoved(entry.node))
        self._observe(entry, entry.state, NodeState.ABSENT)
        if bucket.replacements:
            chosen = self._random.randrange(len(bucket.replacements))
            self._give_place(bucket, bucket.replacements.pop(chosen), NodeState.WAITING, now)

    def poll_changes(self) -> list[NodeAdded | NodeRemoved]:
        """Return the additions to buckets and removals from them since the last call."""
        changes, self._changes = self._changes, []
        return changes

    # Internals.

    def _bucket(self, node_id: NodeID) -> Bucket:
        return self._bucket_at(log_distance(node_id, self.self_id))

    def _bucket_at(self, distance: int) -> Bucket:
        return self._buckets[max(0, distance - _MIN_DISTANCE - 1)]

    def _add(self, node: Node, now: float, proven: bool) -> bool:
        bucket = self._bucket(node.id)
        if bucket.is_full:
            self._add_replacement(bucket, node, now, proven)
            return False
        waiting = bucket.replacement(node.id)
        if waiting is not None:
            self._drop_replacement(bucket, waiting)
        if not self._add_ip(bucket, node.ip):
            return False
        entry = self._new_entry(node, now)
        entry.live = proven
        self._give_place(bucket, entry, NodeState.ABSENT, now)
        return True

    def _add_replacement(self, bucket: Bucket, node: Node, now: float, proven: bool) -> None:
        waiting = bucket.replacement(node.id)
        if waiting is not None:
            if not proven:
                return
            self._drop_replacement(bucket, waiting)
        if len(bucket.replacements) >= MAX_REPLACEMENTS and not proven:
            return
        if not self._add_ip(bucket, node.ip):
            return
        entry = self._new_entry(node, now)
        bucket.replacements.insert(0, entry)
        self._observe(entry, NodeState.ABSENT, NodeState.WAITING)
        if len(bucket.replacements) > MAX_REPLACEMENTS:
            self._drop_replacement(bucket, bucket.replacements[-1])

    def _drop_replacement(self, bucket: Bucket, entry: Entry) -> None:
        bucket.replacements.remove(entry)
        self._remove_ip(bucket, entry.node.ip)
        self._observe(entry, NodeState.WAITING, NodeState.ABSENT)

    def _give_place(self, bucket: Bucket, entry: Entry, old: NodeState, now: float) -> None:
        entry.added_to_bucket = now
        bucket.entries.append(entry)
        self._entries[entry.node.id] = entry
        self.revalidation.add(entry, now)
        self._changes.append(NodeAdded(entry.node))
        self._observe(entry, old, entry.state)

    def _observe(self, entry: Entry, old: NodeState, new: NodeState) -> None:
        if self._observer is not None:
            self._observer.state(entry.node, old, new)

    @staticmethod
    def _new_entry(node: Node, now: float) -> Entry:
        return Entry(node, int.from_bytes(node.id, "big"), added_to_table=now)

    def _add_ip(self, bucket: Bucket, ip: IPAddress | None) -> bool:
        if ip is None or is_unspecified(ip):
            return False
        if self._own.contains(ip):
            return True
        if not self._ips.add(ip):
            return False
        if not bucket.ips.add(ip):
            self._ips.remove(ip)
            return False
        return True

    def _remove_ip(self, bucket: Bucket, ip: IPAddress | None) -> None:
        if ip is None or self._own.contains(ip):
            return
        self._ips.remove(ip)
        bucket.ips.remove(ip)
