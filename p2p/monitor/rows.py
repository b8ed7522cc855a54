"""Rows of the page: our node, peers, the node table, counts of messages and packets.

Pure functions of public values of a server. ``p2p-monitor`` calls them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from p2p.discover import TableView
from p2p.enode import Node, NodeID, log_distance
from p2p.metrics import Metric
from p2p.metrics.catalog import MAX_CODES
from p2p.monitor.decoding import Decoders
from p2p.monitor.rates import Rates
from p2p.monitor.shown import text
from p2p.peers.traffic import PeerCounters

if TYPE_CHECKING:
    from p2p.peers.peer import Peer

#: Most capabilities of a peer that are shown, and most codes of a protocol.
_MAX_CAPS = 32

#: The counts of a peer that have a rate.
COUNTS = ("bytes_in", "bytes_out", "messages_in", "messages_out")


def peer_row(
    peer: Peer, counters: PeerCounters, own_id: NodeID, rates: Rates, since_unix: float
) -> dict[str, Any]:
    """Return the row of a peer."""
    key = str(peer.connection_id)
    row: dict[str, Any] = {
        "id": str(peer.id),
        "short": peer.id.short,
        "name": text(peer.fullname),
        "addr": str(peer.remote_addr),
        "enode": peer.node.url,
        "inbound": peer.inbound,
        "static": peer.static_dialed,
        "trusted": peer.trusted,
        "caps": [text(str(cap)) for cap in peer.caps[:_MAX_CAPS]],
        "shared": [str(cap) for cap in counters.by_cap],
        "distance": log_distance(own_id, peer.id),
        "since_t": since_unix,
    }
    for name in COUNTS:
        row[name] = getattr(counters, name)
        row[f"{name}_per_s"] = rates.of(f"{key}/{name}")
    return row


def peer_counts(counters: Mapping[str, PeerCounters]) -> dict[str, int]:
    """Return the counts of peers, for their rates; ``counters`` are those of each, by key."""
    return {
        f"{key}/{name}": getattr(of_peer, name)
        for key, of_peer in counters.items()
        for name in COUNTS
    }


def table_rows(
    version: str, view: TableView, answered: Mapping[tuple[str, NodeID], float]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the nodes of a table, and those that wait for a place, each with its key."""
    for bucket in view.buckets:
        for entry in bucket.nodes:
            yield f"{version}/{entry.node.id}", {
                **_node_row(version, entry.node, bucket.distance),
                "replacement": False,
                "live": entry.live,
                "checks": entry.checks,
                "added_t": round(entry.added_unix),
                "answered_t": answered.get((version, entry.node.id)),
            }
        for node in bucket.replacements:
            yield f"{version}/{node.id}", {
                **_node_row(version, node, bucket.distance),
                "replacement": True,
                "live": False,
                "checks": 0,
                "added_t": None,
                "answered_t": answered.get((version, node.id)),
            }


def _node_row(version: str, node: Node, distance: int) -> dict[str, Any]:
    endpoint = node.udp_endpoint
    return {
        "protocol": version,
        "id": str(node.id),
        "short": node.id.short,
        "addr": "" if endpoint is None else str(endpoint),
        "bucket": distance,
    }


class Counts(NamedTuple):
    """The metrics of a server that the page shows."""

    rows: dict[str, dict[str, Any]]  #: by key, without rates
    totals: dict[str, int]  #: bytes and messages, both ways, and packets


_WAYS = {"ingress": "in", "egress": "out"}


def counts_of(metrics: Iterable[Metric], decoders: Decoders) -> Counts:
    """Return the counts of messages and packets."""
    rows: dict[str, dict[str, Any]] = {}
    totals = dict.fromkeys((*COUNTS, "packets_in", "packets_out"), 0)
    for metric in metrics:
        root, *path = metric.family.pattern.split("/")
        way = next((_WAYS[part] for part in path if part in _WAYS), None)
        if way is None or not isinstance(metric.value, int):
            continue
        labels = metric.labels
        if "code" in labels:
            row = _message_row(rows, labels, way, decoders)
            row["messages" if path[-1] == "packets" else "bytes"] = metric.value
            totals[f"messages_{way}"] += metric.value if path[-1] == "packets" else 0
        elif "kind" in labels:
            _packet_row(rows, labels, way)["messages"] = metric.value
            totals[f"packets_{way}"] += metric.value
        elif root == "p2p":
            totals[f"bytes_{way}"] += metric.value
    return Counts(rows, totals)


def _message_row(
    rows: dict[str, dict[str, Any]], labels: Mapping[str, str], way: str, decoders: Decoders
) -> dict[str, Any]:
    cap = f"{labels['protocol']}/{labels['version']}"
    code = MAX_CODES if labels["code"] == "other" else int(labels["code"], 16)
    key = f"{cap}/{way}/{code}"
    if key not in rows:
        name = "other codes" if code == MAX_CODES else decoders.name_of(cap, code)
        rows[key] = _count_row(cap, way, code, name, 0)
    return rows[key]


def _packet_row(
    rows: dict[str, dict[str, Any]], labels: Mapping[str, str], way: str
) -> dict[str, Any]:
    cap, kind = f"disc{labels['version']}", labels["kind"]
    return rows.setdefault(f"{cap}/{way}/{kind}", _count_row(cap, way, None, kind, None))


def _count_row(
    cap: str, way: str, code: int | None, name: str, size_bytes: int | None
) -> dict[str, Any]:
    return {
        "cap": cap,
        "direction": way,
        "code": code,
        "name": name,
        "messages": 0,
        "bytes": size_bytes,
        "per_s": 0.0,
    }
