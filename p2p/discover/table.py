"""The node table: whom we know, sorted by how far away they are.

Pure. Seventeen buckets hold nodes by the logarithm of their distance to us; whatever is nearer than
the last one shares the first bucket, since nearer nodes hardly exist (discovery v4, "Kademlia
Table"). A node that we have only heard of may take a free place, and is given to others when it has
shown to be alive; while a bucket is full, new nodes wait as replacements.

The table decides who has a place. Whom to ping is told by its ``revalidation``, and pinging is the
engine's affair.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from heapq import nsmallest

from p2p.discover.bucket import MAX_REPLACEMENTS, SUBNET_BITS, Bucket, BucketNode, Entry
from p2p.discover.event import NodeAdded, NodeRemoved
from p2p.discover.revalidation import Revalidation
from p2p.enode.ids import NodeID
from p2p.enode.node import Node
from p2p.netutil import DistinctNetSet, IPAddress, is_lan
from p2p.randomsource import RandomSource

#: Buckets for the distances 240..256; half of all nodes are at 256, a quarter at 255, and so on.
BUCKET_COUNT = 17
_MIN_DISTANCE = 256 - BUCKET_COUNT

#: Addresses of the whole table that may share their first SUBNET_BITS bits.
TABLE_IP_LIMIT = 10


class Table:
    """The nodes that a node with ``self_id`` knows."""

    def __init__(self, self_id: NodeID, random: RandomSource) -> None:
        self.self_id = self_id
        self.revalidation = Revalidation(random)
        self._self_number = int.from_bytes(self_id, "big")
        self._random = random
        self._buckets = [Bucket() for _ in range(BUCKET_COUNT)]
        self._entries: dict[NodeID, Entry] = {}
        self._ips = DistinctNetSet(SUBNET_BITS, TABLE_IP_LIMIT)
        self._changes: list[NodeAdded | NodeRemoved] = []

    # Queries.

    def get(self, node_id: NodeID) -> Node | None:
        """The node of that ID, if it is in a bucket."""
        entry = self._entries.get(node_id)
        return None if entry is None else entry.node

    def entry(self, node_id: NodeID) -> Entry | None:
        """The same with what the table knows about it."""
        return self._entries.get(node_id)

    def nodes(self) -> list[Node]:
        """All nodes in buckets, the nearest buckets first."""
        return [entry.node for bucket in self._buckets for entry in bucket.entries]

    def buckets(self) -> list[list[BucketNode]]:
        """What is in each bucket, from the nearest to the farthest."""
        return [bucket.snapshot() for bucket in self._buckets]

    def replacements(self) -> list[list[Node]]:
        """Who waits for a place in each bucket, the newest first."""
        return [[entry.node for entry in bucket.replacements] for bucket in self._buckets]

    def closest(self, target_id: bytes, count: int, *, prefer_live: bool = False) -> list[Node]:
        """Up to ``count`` nodes, nearest to ``target_id`` first.

        ``prefer_live`` leaves out nodes that have not shown to be alive, if any have.
        """
        target = int.from_bytes(target_id, "big")
        entries = list(self._entries.values())
        if prefer_live:
            entries = [entry for entry in entries if entry.live] or entries
        near = nsmallest(count, entries, key=lambda entry: entry.number ^ target)
        return [entry.node for entry in near]

    def is_current(self, node_id: NodeID, ip: IPAddress, tcp: int, udp: int) -> bool:
        """Whether the node is in a bucket, and `add_proven` would change nothing of it."""
        entry = self._entries.get(node_id)
        if entry is None:
            return False
        node = entry.node
        return (node.ip, node.udp) == (ip, udp) and (node.record is not None or node.tcp == tcp)

    def bucket_size(self, node_id: NodeID) -> int:
        """How many nodes are in the bucket where a node of that ID belongs."""
        return len(self._bucket(node_id).entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes())

    def __contains__(self, node_id: object) -> bool:
        return node_id in self._entries

    # Changes.

    def has_room(self, node_id: NodeID) -> bool:
        """Whether a node that we hear of could come in: what else to ask before making one."""
        if node_id == self.self_id or node_id in self._entries:
            return False
        bucket = self._bucket(node_id)
        return not bucket.is_full or len(bucket.replacements) < MAX_REPLACEMENTS

    def add_found(self, node: Node, now: float) -> bool:
        """Add a node that we have heard of. Returns whether it has got a place in its bucket.

        Of a node that has one, the record is replaced if ``node`` has a newer one. It never pushes
        out a replacement: what others say is no reason to forget what we have seen.
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
        """Add a node that has pinged us and has proved its endpoint. Returns as `add_found`.

        Of a node that is there, the endpoint is replaced, and the record kept while it fits.
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
        """Put ``node`` in the place of an entry of the same ID.

        Returns whether its endpoint has changed, so that it has to be checked again. Nothing
        happens when its address exceeds a limit.
        """
        was = entry.node
        bucket = self._bucket(node.id)
        if node.ip != was.ip:
            self._remove_ip(bucket, was.ip)
            if not self._add_ip(bucket, node.ip):
                self._add_ip(bucket, was.ip)
                return False
            # Whoever is there has never answered, and must not be pinged for long.
            entry.checks = 0
        entry.node = node
        if (node.ip, node.udp) == (was.ip, was.udp):
            return False
        self.revalidation.moved(entry, now)
        return True

    def mark_live(self, node_id: NodeID, ip: IPAddress) -> None:
        """A node has answered from ``ip``; it may be given to others."""
        entry = self._entries.get(node_id)
        if entry is not None and entry.node.ip == ip:
            entry.live = True

    def remove(self, node_id: NodeID, now: float) -> None:
        """Drop a node; a replacement chosen at random takes its place."""
        entry = self._entries.pop(node_id, None)
        if entry is None:
            return
        bucket = self._bucket(node_id)
        entry.removed = True
        bucket.entries.remove(entry)
        self._remove_ip(bucket, entry.node.ip)
        self.revalidation.remove(entry)
        self._changes.append(NodeRemoved(entry.node))
        if bucket.replacements:
            chosen = self._random.randrange(len(bucket.replacements))
            self._give_place(bucket, bucket.replacements.pop(chosen), now)

    def poll_changes(self) -> list[NodeAdded | NodeRemoved]:
        """What has come into buckets and left them since the last call."""
        changes, self._changes = self._changes, []
        return changes

    # The rest.

    def _bucket(self, node_id: NodeID) -> Bucket:
        distance = (int.from_bytes(node_id, "big") ^ self._self_number).bit_length()
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
        self._give_place(bucket, entry, now)
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
        bucket.replacements.insert(0, self._new_entry(node, now))
        if len(bucket.replacements) > MAX_REPLACEMENTS:
            self._drop_replacement(bucket, bucket.replacements[-1])

    def _drop_replacement(self, bucket: Bucket, entry: Entry) -> None:
        bucket.replacements.remove(entry)
        self._remove_ip(bucket, entry.node.ip)

    def _give_place(self, bucket: Bucket, entry: Entry, now: float) -> None:
        entry.added_to_bucket = now
        bucket.entries.append(entry)
        self._entries[entry.node.id] = entry
        self.revalidation.add(entry, now)
        self._changes.append(NodeAdded(entry.node))

    @staticmethod
    def _new_entry(node: Node, now: float) -> Entry:
        return Entry(node, int.from_bytes(node.id, "big"), added_to_table=now)

    def _add_ip(self, bucket: Bucket, ip: IPAddress | None) -> bool:
        if ip is None or ip.is_unspecified:
            return False
        if is_lan(ip):
            return True
        if not self._ips.add(ip):
            return False
        if not bucket.ips.add(ip):
            self._ips.remove(ip)
            return False
        return True

    def _remove_ip(self, bucket: Bucket, ip: IPAddress | None) -> None:
        if ip is None or is_lan(ip):
            return
        self._ips.remove(ip)
        bucket.ips.remove(ip)
