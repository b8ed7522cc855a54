"""A service table: nodes that support topics, by their distance from one topic.

Pure. The specification calls it B(s); advertisers and searches choose registrars from it
(discv5-theory, "Service Tables"). It is filled from the node table, and from the auxiliary records
in answers. A node counts as proven if the node table has it as live, or if it has answered a
request about topics. A proven node takes the place of one that is not, so the records that a
hostile registrar names never keep out nodes that exist. As in the node table, few nodes of a bucket
may be in one network.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice

from p2p.discover.table.bucket import BUCKET_IP_LIMIT, BUCKET_SIZE
from p2p.discover.table.table import TABLE_IP_LIMIT
from p2p.discover.v5.fields import MAX_DISTANCE, MAX_TOPIC_DISTANCES
from p2p.enode.distance import log_distance
from p2p.enode.node import Node
from p2p.enode.nodeid import NodeID
from p2p.netutil import LAN, DistinctNetSet, IPAddress, Network, OwnNetworks, network_of

#: Entry of a record that supports topics, and the version of the protocol (enr-entries/ng.md).
TOPICS_ENTRY = "topic-discovery"
TOPICS_VERSION = 1
#: Its name in discv5-theory, "ENR Capability", which differs from the page of the entry: only read.
_OTHER_ENTRY = "ng"


def supports_topics(node: Node) -> bool:
    """Whether the record of a node has the entry for topics, with a version that is ours."""
    record = node.record
    return record is not None and any(
        record.get(entry, int) == TOPICS_VERSION for entry in (TOPICS_ENTRY, _OTHER_ENTRY)
    )


@dataclass(slots=True)
class _Bucket:
    """Nodes at one distance, each with whether it is proven."""

    nodes: dict[NodeID, Node] = field(default_factory=dict)
    proven: set[NodeID] = field(default_factory=set)
    ips: DistinctNetSet = field(default_factory=lambda: DistinctNetSet(BUCKET_IP_LIMIT))

    def unproven(self) -> list[Node]:
        """Return the nodes that are not proven, the first to come first."""
        return [node for node in self.nodes.values() if node.id not in self.proven]


class TopicTable:
    """The service table of ``topic`` at the node ``own_id``; ``own`` networks have no limits."""

    def __init__(self, topic: bytes, own_id: NodeID, own: OwnNetworks = LAN) -> None:
        self.topic = topic
        self._own_id = own_id
        self._own = own
        self._buckets: dict[int, _Bucket] = {}
        self._ips = DistinctNetSet(TABLE_IP_LIMIT)

    # Queries.

    def distance(self, node_id: NodeID) -> int:
        """Return the logarithmic distance of a node from the topic, which names its bucket."""
        return log_distance(self.topic, node_id)

    @property
    def distances(self) -> list[int]:
        """The distances at which nodes are known, farthest first."""
        return sorted((d for d, bucket in self._buckets.items() if bucket.nodes), reverse=True)

    def at(self, distance: int) -> list[Node]:
        """Return the nodes at a distance, in the order of their arrival."""
        bucket = self._buckets.get(distance)
        return [] if bucket is None else list(bucket.nodes.values())

    def proven_at(self, distance: int) -> list[Node]:
        """Return the nodes at a distance that are proven."""
        bucket = self._buckets.get(distance)
        return [] if bucket is None else [bucket.nodes[each] for each in bucket.proven]

    def free_distances(self) -> tuple[int, ...]:
        """Return the farthest distances with space for nodes, the topic distances of a request."""
        free = (d for d in range(MAX_DISTANCE, 0, -1) if len(self.at(d)) < BUCKET_SIZE)
        return tuple(islice(free, MAX_TOPIC_DISTANCES))

    def __contains__(self, node_id: object) -> bool:
        return any(node_id in bucket.nodes for bucket in self._buckets.values())

    def __len__(self) -> int:
        return sum(len(bucket.nodes) for bucket in self._buckets.values())

    # Changes.

    def add(self, node: Node, *, proven: bool) -> bool:
        """Add a node that supports topics, or replace its record by a newer one.

        Return whether it has a place now. A full bucket, and a full network, take a proven node
        only, in place of one that is not.
        """
        if node.id == self._own_id or node.udp_endpoint is None or not supports_topics(node):
            return False
        bucket = self._buckets.setdefault(self.distance(node.id), _Bucket())
        known = bucket.nodes.get(node.id)
        if known is None:
            return self._put(bucket, node, proven)
        if proven:
            bucket.proven.add(node.id)
        if node.seq > known.seq:
            was_proven = node.id in bucket.proven
            self._drop(bucket, known)
            if not self._put(bucket, node, was_proven):
                self._put(bucket, known, was_proven)
        return True

    def prove(self, node_id: NodeID) -> None:
        """Note that a node has answered."""
        bucket = self._buckets.get(self.distance(node_id))
        if bucket is not None and node_id in bucket.nodes:
            bucket.proven.add(node_id)

    def remove(self, node_id: NodeID) -> None:
        """Remove a node, if it is there."""
        bucket = self._buckets.get(self.distance(node_id))
        if bucket is not None and node_id in bucket.nodes:
            self._drop(bucket, bucket.nodes[node_id])

    # Internals.

    def _put(self, bucket: _Bucket, node: Node, proven: bool) -> bool:
        if proven:
            self._make_way(bucket, node)
        if len(bucket.nodes) >= BUCKET_SIZE or not self._add_ip(bucket, node.ip):
            return False
        bucket.nodes[node.id] = node
        if proven:
            bucket.proven.add(node.id)
        return True

    def _make_way(self, bucket: _Bucket, node: Node) -> None:
        """Drop unproven nodes that keep out ``node``: one of its bucket, those of its network."""
        if len(bucket.nodes) >= BUCKET_SIZE and (unproven := bucket.unproven()):
            self._drop(bucket, unproven[0])
        if self._add_ip(bucket, node.ip):
            self._remove_ip(bucket, node.ip)
            return
        for other in self._buckets.values():
            for rival in other.unproven():
                if _network(rival) == _network(node):
                    self._drop(other, rival)

    def _drop(self, bucket: _Bucket, node: Node) -> None:
        del bucket.nodes[node.id]
        bucket.proven.discard(node.id)
        self._remove_ip(bucket, node.ip)

    def _add_ip(self, bucket: _Bucket, ip: IPAddress | None) -> bool:
        if ip is None or self._own.contains(ip):
            return ip is not None
        if not self._ips.add(ip):
            return False
        if not bucket.ips.add(ip):
            self._ips.remove(ip)
            return False
        return True

    def _remove_ip(self, bucket: _Bucket, ip: IPAddress | None) -> None:
        if ip is not None and not self._own.contains(ip):
            self._ips.remove(ip)
            bucket.ips.remove(ip)


def _network(node: Node) -> Network | None:
    return None if node.ip is None else network_of(node.ip)
