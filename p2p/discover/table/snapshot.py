"""Snapshots of the node table, for programs that display it.

Pure values; they do not change when the table does. ``str`` of a :class:`TableView` is a text like
this, with the nearest buckets first and without empty ones::

    table of 6a3c92f11b20ab4e: 2 nodes in 1 of 17 buckets
    distance 256: 2 nodes, 1 waiting for a place
      1f0d2f6a9c73e5b8  192.0.2.7:30303        alive    12 checks  since 1h02m
      03b7a6dd0c1f2e44  198.51.100.20:30311    unknown   0 checks  since 4s
"""

from __future__ import annotations

from dataclasses import dataclass

from p2p.discover.table.table import BUCKET_COUNT, Table
from p2p.enode.node import Node
from p2p.enode.nodeid import NodeID
from p2p.inputs import Now

#: The largest logarithmic distance.
_MAX_DISTANCE = 256

# Wide enough for an IPv4 address with its port.
_ADDRESS_WIDTH = 21
_MINUTE_S = 60
_HOUR_S = 3600


@dataclass(frozen=True, slots=True)
class TableNode:
    """A node in a bucket of the table.

    ``added_unix`` is the time of its addition in Unix seconds, ``checks`` the number of its recent
    answers to our pings. ``live`` is true if it has answered at its present address.
    """

    node: Node
    added_unix: float
    checks: int
    live: bool


@dataclass(frozen=True, slots=True)
class BucketView:
    """The nodes at one logarithmic ``distance`` from us; the nearest bucket also has all below.

    ``nodes`` are its entries, ``replacements`` the nodes that wait for a free place.
    """

    distance: int
    nodes: tuple[TableNode, ...]
    replacements: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class TableView:
    """The table of the node ``self_id`` at ``time_unix`` (Unix seconds), by buckets."""

    self_id: NodeID
    time_unix: float
    buckets: tuple[BucketView, ...]

    @property
    def nodes(self) -> list[Node]:
        """All nodes in buckets, the nearest buckets first."""
        return [entry.node for bucket in self.buckets for entry in bucket.nodes]

    def __len__(self) -> int:
        return sum(len(bucket.nodes) for bucket in self.buckets)

    def __str__(self) -> str:
        used = [bucket for bucket in self.buckets if bucket.nodes or bucket.replacements]
        lines = [
            f"table of {self.self_id.short}: {_count(len(self))} "
            f"in {len(used)} of {len(self.buckets)} buckets"
        ]
        for bucket in used:
            lines += self._lines_of(bucket)
        return "\n".join(lines)

    def _lines_of(self, bucket: BucketView) -> list[str]:
        sign = "<= " if bucket is self.buckets[0] else ""
        waiting = len(bucket.replacements)
        more = f", {waiting} waiting for a place" if waiting else ""
        lines = [f"distance {sign}{bucket.distance}: {_count(len(bucket.nodes))}{more}"]
        return lines + [self._line_of(entry) for entry in bucket.nodes]

    def _line_of(self, entry: TableNode) -> str:
        node = entry.node
        ip = f"[{node.ip}]" if node.ip is not None and node.ip.version == 6 else str(node.ip)
        return (
            f"  {node.id.short}  {f'{ip}:{node.udp}':<{_ADDRESS_WIDTH}}"
            f"  {'alive' if entry.live else 'unknown':<7} {entry.checks:>3} checks"
            f"  since {_duration(self.time_unix - entry.added_unix)}"
        )


def view_of(table: Table, now: Now) -> TableView:
    """Return the current contents of ``table`` as a value."""
    wall_ahead_s = now.unix - now.monotonic
    views = []
    first = _MAX_DISTANCE - BUCKET_COUNT + 1
    for number, (entries, waiting) in enumerate(
        zip(table.buckets(), table.replacements(), strict=True)
    ):
        nodes = tuple(
            TableNode(
                entry.node, entry.added_to_bucket + wall_ahead_s, entry.checks, entry.live
            )
            for entry in entries
        )
        views.append(BucketView(first + number, nodes, tuple(waiting)))
    return TableView(table.self_id, now.unix, tuple(views))


def _count(nodes: int) -> str:
    return "1 node" if nodes == 1 else f"{nodes} nodes"


def _duration(seconds: float) -> str:
    whole = max(0, round(seconds))
    if whole < _MINUTE_S:
        return f"{whole}s"
    if whole < _HOUR_S:
        return f"{whole // _MINUTE_S}m{whole % _MINUTE_S:02}s"
    return f"{whole // _HOUR_S}h{whole % _HOUR_S // _MINUTE_S:02}m"
