"""One bucket of the table: the nodes in it, and those that wait for a place.

Pure. All nodes of a bucket are at about the same distance from us (discovery v4, "Kademlia
Table"). Sixteen of them have a place; ten more are kept as replacements. Both count towards the
limit of two addresses per /24, so that who has addresses in one network only cannot fill it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from p2p.enode.ids import NodeID
from p2p.enode.node import Node
from p2p.netutil import DistinctNetSet

#: Nodes with a place, and nodes that wait for one.
BUCKET_SIZE = 16
MAX_REPLACEMENTS = 10

#: Addresses of the bucket that may share their first SUBNET_BITS bits.
BUCKET_IP_LIMIT = 2
SUBNET_BITS = 24


@dataclass(slots=True, eq=False)
class Entry:
    """A node in a bucket, or waiting for a place in it. Times are monotonic seconds."""

    node: Node
    #: The ID as a number, for distances.
    number: int
    added_to_table: float
    added_to_bucket: float = 0.0
    #: How often it has answered; falls when it does not (see :mod:`p2p.discover.revalidation`).
    checks: int = 0
    #: Whether it has shown to be at its endpoint.
    live: bool = False
    #: Whether it is being pinged.
    being_checked: bool = False
    #: Whether it has left the table.
    removed: bool = False


class BucketNode(NamedTuple):
    """What can be told of a node in a bucket. Times are monotonic seconds."""

    node: Node
    checks: int
    live: bool
    added_to_table: float
    added_to_bucket: float


@dataclass(slots=True)
class Bucket:
    """Entries in the order in which they came, replacements with the newest first."""

    entries: list[Entry] = field(default_factory=list)
    replacements: list[Entry] = field(default_factory=list)
    ips: DistinctNetSet = field(
        default_factory=lambda: DistinctNetSet(SUBNET_BITS, BUCKET_IP_LIMIT)
    )

    @property
    def is_full(self) -> bool:
        """Whether all places are taken."""
        return len(self.entries) >= BUCKET_SIZE

    def replacement(self, node_id: NodeID) -> Entry | None:
        """The node of that ID that waits for a place."""
        return next((entry for entry in self.replacements if entry.node.id == node_id), None)

    def snapshot(self) -> list[BucketNode]:
        """What is in the bucket now."""
        return [
            BucketNode(
                entry.node, entry.checks, entry.live, entry.added_to_table, entry.added_to_bucket
            )
            for entry in self.entries
        ]
