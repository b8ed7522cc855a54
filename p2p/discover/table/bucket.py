"""One bucket of the table: its entries and its replacements.

Pure. All nodes of a bucket are at about the same distance from us (discovery v4, "Kademlia
Table"). Sixteen of them are entries; ten more are kept as replacements. Both count towards the
limit of two addresses per /24, so that a party with addresses in one network cannot fill it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from p2p.enode.node import Node
from p2p.enode.nodeid import NodeID
from p2p.netutil import DistinctNetSet

#: Most entries, and most replacements.
BUCKET_SIZE = 16
MAX_REPLACEMENTS = 10

#: Most addresses of the bucket in one network.
BUCKET_IP_LIMIT = 2


class NodeState(Enum):
    """State of a node in the table."""

    #: It is not in the table.
    ABSENT = "absent"
    #: It is a replacement, which waits for a place in its bucket.
    WAITING = "waiting"
    #: It has a place, and has not shown to be at its endpoint.
    ADDED = "added"
    #: It has a place, and has answered from its endpoint.
    LIVE = "live"


@dataclass(slots=True, eq=False)
class Entry:
    """A node in a bucket, or one of its replacements. Times are monotonic seconds."""

    node: Node
    #: The ID as a number, for distances.
    number: int
    added_to_table: float
    added_to_bucket: float = 0.0
    #: Number of its answers; divided when it does not answer (see
    #: :mod:`p2p.discover.table.revalidation`).
    checks: int = 0
    #: The sequence number that the node named before its last answer to an ENR request. That record
    #: is not requested again: if it was no newer one, or was refused, the next would be the same.
    given_seq: int = 0
    #: Whether it has proven its endpoint.
    live: bool = False
    #: Whether its other endpoint was tried since its last answer.
    has_moved: bool = False
    #: Whether it is being pinged.
    being_checked: bool = False
    #: Whether it has left the table.
    removed: bool = False

    @property
    def state(self) -> NodeState:
        """Its state while it has a place."""
        return NodeState.LIVE if self.live else NodeState.ADDED


class BucketNode(NamedTuple):
    """The state of a node in a bucket as a value. Times are monotonic seconds."""

    node: Node
    checks: int
    live: bool
    added_to_table: float
    added_to_bucket: float


@dataclass(slots=True)
class Bucket:
    """Entries in the order of their arrival, replacements with the newest first."""

    entries: list[Entry] = field(default_factory=list)
    replacements: list[Entry] = field(default_factory=list)
    ips: DistinctNetSet = field(default_factory=lambda: DistinctNetSet(BUCKET_IP_LIMIT))

    @property
    def is_full(self) -> bool:
        """Whether there are BUCKET_SIZE entries."""
        return len(self.entries) >= BUCKET_SIZE

    def replacement(self, node_id: NodeID) -> Entry | None:
        """Return the replacement with that ID; None if there is none."""
        return next((entry for entry in self.replacements if entry.node.id == node_id), None)

    def snapshot(self) -> list[BucketNode]:
        """Return copies of the entries."""
        return [
            BucketNode(
                entry.node, entry.checks, entry.live, entry.added_to_table, entry.added_to_bucket
            )
            for entry in self.entries
        ]
