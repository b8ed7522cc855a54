from __future__ import annotations

import random
from ipaddress import ip_address

from p2p.crypto import PrivateKey
from p2p.discover.table.snapshot import view_of
from p2p.discover.table.table import Table
from p2p.enode import Node, NodeID
from p2p.inputs import Now

SELF = NodeID(bytes(32))
ANY_KEY = PrivateKey.from_bytes(b"\x01" * 32).public_key


def node_at(distance: int, number: int, ip: str = "", udp: int = 30303) -> Node:
    """A node at a logarithmic distance from SELF."""
    node_id = (1 << (distance - 1)) + number
    ip = ip or f"10.0.{number}.1"
    return Node(
        NodeID(node_id.to_bytes(32, "big")), ip_address(ip), udp=udp, public_key=ANY_KEY
    )


def table_of(*nodes: Node, at: float = 100.0) -> Table:
    table = Table(SELF, random.Random(1))
    for node in nodes:
        table.add_found(node, at)
    return table


def test_empty_table_is_one_line() -> None:
    view = view_of(table_of(), Now(100.0, 5000.0))
    assert str(view) == "table of 0000000000000000: 0 nodes in 0 of 17 buckets"
    assert (len(view), view.nodes, len(view.buckets)) == (0, [], 17)


def test_nodes_stand_in_the_bucket_of_their_distance() -> None:
    near, far = node_at(240, 1), node_at(256, 2)
    view = view_of(table_of(far, near), Now(100.0, 5000.0))
    assert [bucket.distance for bucket in view.buckets] == list(range(240, 257))
    assert [entry.node for entry in view.buckets[0].nodes] == [near]
    assert [entry.node for entry in view.buckets[-1].nodes] == [far]
    assert view.nodes == [near, far]


def test_time_of_arrival_is_on_the_wall_clock() -> None:
    view = view_of(table_of(node_at(256, 1), at=90.0), Now(100.0, 5000.0))
    assert view.buckets[-1].nodes[0].added_unix == 4990.0


def test_view_stays_as_it_was() -> None:
    node = node_at(256, 1)
    table = table_of(node)
    view = view_of(table, Now(100.0, 5000.0))
    table.remove(node.id, 100.0)
    assert view.nodes == [node]


def test_text_says_who_is_there_and_how_we_know() -> None:
    known = node_at(256, 1, "192.0.2.7")
    table = table_of(known, at=0.0)
    table.add_found(node_at(256, 2, "2001:db8::1"), 3660.0)
    table.add_found(node_at(200, 3), 3600.0)
    assert known.ip is not None
    table.mark_live(known.id, known.ip)
    assert str(view_of(table, Now(3725.0, 5000.0))).splitlines() == [
        "table of 0000000000000000: 3 nodes in 2 of 17 buckets",
        "distance <= 240: 1 node",
        "  0000000000000080  10.0.3.1:30303         unknown   0 checks  since 2m05s",
        "distance 256: 2 nodes",
        "  8000000000000000  192.0.2.7:30303        alive     0 checks  since 1h02m",
        "  8000000000000000  [2001:db8::1]:30303    unknown   0 checks  since 1m05s",
    ]


def test_text_counts_who_waits_for_a_place() -> None:
    nodes = [node_at(256, number) for number in range(18)]
    view = view_of(table_of(*nodes), Now(100.0, 5000.0))
    assert "distance 256: 16 nodes, 2 waiting for a place" in str(view)
    assert [len(bucket.replacements) for bucket in view.buckets][-1] == 2
