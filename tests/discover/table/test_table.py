"""The node table: who gets a place, who waits, who is given to others."""

from __future__ import annotations

import random
from ipaddress import IPv4Address, ip_address

import pytest

from p2p.crypto import PrivateKey, keccak256
from p2p.discover.event import NodeAdded, NodeRemoved
from p2p.discover.table.bucket import BUCKET_SIZE, MAX_REPLACEMENTS, Entry
from p2p.discover.table.table import BUCKET_COUNT, TABLE_IP_LIMIT, Table
from p2p.enode.distance import log_distance, xor_distance
from p2p.enode.node import Node
from p2p.enode.nodeid import NodeID
from p2p.enr import Record
from p2p.netutil import Netlist, OwnNetworks
from tests.kit.link import key_of

SELF_ID = NodeID(keccak256(b"self"))
ANY_KEY = PrivateKey.from_bytes(b"\x01" * 32).public_key
NOW = 1000.0


@pytest.fixture
def table() -> Table:
    return Table(SELF_ID, random.Random(1))


def node_at(distance: int, number: int, ip: str | None = None) -> Node:
    """A node at a distance of 2**(distance - 1) and ``number``, in a network of its own."""
    offset = (1 << (distance - 1)) | number
    node_id = NodeID((int.from_bytes(SELF_ID, "big") ^ offset).to_bytes(32, "big"))
    address = ip_address(ip) if ip else IPv4Address((20 << 24) + (distance << 16) + (number << 8))
    return Node(node_id, address, 30303, 30303, public_key=ANY_KEY)


def fill(table: Table, distance: int = 256) -> list[Node]:
    """Sixteen nodes that fill a bucket."""
    nodes = [node_at(distance, number) for number in range(BUCKET_SIZE)]
    for node in nodes:
        assert table.add_found(node, NOW)
    return nodes


# Places.


def test_a_node_goes_into_the_bucket_of_its_distance(table: Table) -> None:
    for distance in (256, 255, 241, 240):
        table.add_found(node_at(distance, 1), NOW)
    found = {
        index: [log_distance(SELF_ID, seen.node.id) for seen in bucket]
        for index, bucket in enumerate(table.buckets())
        if bucket
    }
    assert found == {0: [240], 1: [241], 15: [255], 16: [256]}


def test_all_nearer_nodes_share_the_first_bucket(table: Table) -> None:
    for distance in (1, 100, 239, 240):
        table.add_found(node_at(distance, 0), NOW)
    assert len(table.buckets()[0]) == 4
    assert len(table.buckets()) == BUCKET_COUNT == 17


def test_we_have_no_place_in_our_own_table(table: Table) -> None:
    ourselves = Node(SELF_ID, ip_address("20.0.0.1"), 30303, 30303, public_key=ANY_KEY)
    assert not table.add_found(ourselves, NOW)
    assert not table.add_proven(ourselves, NOW)
    assert not table.has_room(SELF_ID)
    assert len(table) == 0


def test_a_node_without_an_address_gets_no_place(table: Table) -> None:
    assert not table.add_found(Node(node_at(256, 1).id, public_key=ANY_KEY), NOW)
    assert not table.add_found(node_at(256, 1, "0.0.0.0"), NOW)


def test_a_node_has_one_place_however_often_it_is_added(table: Table) -> None:
    assert table.add_found(node_at(256, 1), NOW)
    assert not table.add_found(node_at(256, 1), NOW)
    assert not table.add_proven(node_at(256, 1), NOW)
    assert len(table) == 1


def test_a_bucket_has_sixteen_places(table: Table) -> None:
    fill(table)
    assert not table.add_found(node_at(256, 99), NOW)
    assert len(table) == 16


def test_a_node_that_finds_the_bucket_full_waits(table: Table) -> None:
    fill(table)
    late = node_at(256, 99)
    table.add_found(late, NOW)
    assert table.replacements()[16] == [late]
    assert late.id not in table


def test_ten_nodes_wait_and_the_oldest_makes_room_for_a_proven_one(table: Table) -> None:
    fill(table)
    waiting = [node_at(256, 100 + number) for number in range(MAX_REPLACEMENTS)]
    for node in waiting:
        table.add_found(node, NOW)
    proven = node_at(256, 200)
    table.add_proven(proven, NOW)
    assert table.replacements()[16] == [proven, *waiting[:0:-1]]


def test_a_node_that_was_only_heard_of_pushes_nobody_out(table: Table) -> None:
    fill(table)
    waiting = [node_at(256, 100 + number) for number in range(MAX_REPLACEMENTS)]
    for node in waiting:
        table.add_found(node, NOW)
    late = node_at(256, 200)
    assert not table.has_room(late.id)
    table.add_found(late, NOW)
    assert late not in table.replacements()[16]


def test_a_replacement_takes_the_place_of_a_dropped_node(table: Table) -> None:
    nodes = fill(table)
    waiting = node_at(256, 99)
    table.add_found(waiting, NOW)
    table.poll_changes()
    table.remove(nodes[3].id, NOW)
    assert table.get(waiting.id) == waiting
    assert table.replacements()[16] == []
    assert table.poll_changes() == [NodeRemoved(nodes[3]), NodeAdded(waiting)]


def test_the_replacement_is_chosen_at_random() -> None:
    chosen = set()
    for seed in range(8):
        table = Table(SELF_ID, random.Random(seed))
        nodes = fill(table)
        for number in range(5):
            table.add_found(node_at(256, 100 + number), NOW)
        table.poll_changes()
        table.remove(nodes[0].id, NOW)
        added = table.poll_changes()[1]
        chosen.add(added.node.id)
    assert len(chosen) > 1


def test_removing_a_node_that_is_not_there_changes_nothing(table: Table) -> None:
    table.remove(node_at(256, 1).id, NOW)
    assert table.poll_changes() == []


# Addresses.


def test_a_bucket_takes_two_addresses_of_a_network(table: Table) -> None:
    added = [table.add_found(node_at(256, n, f"20.0.0.{n + 1}"), NOW) for n in range(4)]
    assert added == [True, True, False, False]


def test_the_table_takes_ten_addresses_of_a_network(table: Table) -> None:
    for distance in range(250, 257):
        for number in range(2):
            table.add_found(node_at(distance, number, f"20.0.0.{distance - 200 + number}"), NOW)
    assert len(table) == TABLE_IP_LIMIT == 10


def test_replacements_count_towards_the_limits(table: Table) -> None:
    fill(table)
    for number in range(4):
        table.add_proven(node_at(256, 100 + number, f"99.0.0.{number + 1}"), NOW)
    assert len(table.replacements()[16]) == 2


def test_own_networks_have_no_limit() -> None:
    table = Table(SELF_ID, random.Random(1), OwnNetworks(Netlist.parse("20.0.0.0/24")))
    fleet = [node_at(256, number, f"20.0.0.{number + 1}") for number in range(12)]
    assert all(table.add_found(node, NOW) for node in fleet)
    for node in fleet:
        table.remove(node.id, NOW)
    assert len(table) == 0


def test_a_node_that_leaves_makes_room_in_its_network(table: Table) -> None:
    first, second, third = (node_at(256, n, f"20.0.0.{n + 1}") for n in range(3))
    table.add_found(first, NOW)
    table.add_found(second, NOW)
    table.remove(first.id, NOW)
    assert table.add_found(third, NOW)


def test_a_pushed_out_replacement_makes_room_in_its_network(table: Table) -> None:
    fill(table)
    for number in range(2):
        table.add_proven(node_at(256, 100 + number, f"99.0.0.{number + 1}"), NOW)
    for number in range(MAX_REPLACEMENTS):
        table.add_proven(node_at(256, 200 + number), NOW)
    table.add_proven(node_at(256, 300, "99.0.0.3"), NOW)
    assert table.replacements()[16][0].ip == ip_address("99.0.0.3")


@pytest.mark.parametrize("ip", ["127.0.0.1", "10.0.0.1", "192.168.1.1", "169.254.1.1", "fd00::1"])
def test_local_networks_have_no_limit(table: Table, ip: str) -> None:
    assert all(table.add_found(node_at(256, number, ip), NOW) for number in range(BUCKET_SIZE))


# What others know of a node.


def record_node(seq: int, ip: str = "20.1.0.1", udp: int = 30303) -> Node:
    return Node.from_record(Record.sign(key_of(1), seq, ip=ip, udp=udp))


def test_a_newer_record_that_we_hear_of_replaces_an_older_one(table: Table) -> None:
    for seq, expected in ((5, 5), (4, 5), (6, 6)):
        table.add_found(record_node(seq), NOW)
        assert table.nodes()[0].seq == expected


def test_a_node_without_record_never_replaces_one_that_we_hear_of(table: Table) -> None:
    table.add_found(record_node(5), NOW)
    told = Node.from_parts(key_of(1).public_key, "66.6.6.6", 1, 30303)
    table.add_found(told, NOW)
    assert table.nodes() == [record_node(5)]


def test_a_node_that_pings_from_where_it_was_keeps_its_record(table: Table) -> None:
    table.add_found(record_node(5), NOW)
    table.add_proven(Node.from_parts(key_of(1).public_key, "20.1.0.1", 1, 30303), NOW)
    assert table.nodes()[0].seq == 5


@pytest.mark.parametrize(
    ("known", "ip", "tcp", "udp", "expected"),
    [
        (Node.from_parts(key_of(1).public_key, "20.1.0.1", 1, 2), "20.1.0.1", 1, 2, True),
        (Node.from_parts(key_of(1).public_key, "20.1.0.1", 1, 2), "20.1.0.1", 3, 2, False),
        (Node.from_parts(key_of(1).public_key, "20.1.0.1", 1, 2), "20.1.0.1", 1, 3, False),
        (Node.from_parts(key_of(1).public_key, "20.1.0.1", 1, 2), "20.1.0.2", 1, 2, False),
        (Node.from_parts(key_of(2).public_key, "20.1.0.1", 1, 2), "20.1.0.1", 1, 2, False),
        (record_node(5), "20.1.0.1", 1, 30303, True),
        (record_node(5), "20.1.0.1", 1, 30304, False),
    ],
)
def test_a_node_is_current_when_its_ping_would_change_nothing(
    table: Table, known: Node, ip: str, tcp: int, udp: int, expected: bool
) -> None:
    table.add_found(known, NOW)
    pinging = Node.from_parts(key_of(1).public_key, ip, tcp, udp)
    assert table.is_current(pinging.id, ip_address(ip), tcp, udp) == expected
    before = table.nodes()
    table.add_proven(pinging, NOW)
    assert (table.nodes() == before) == expected


def test_a_node_that_pings_from_elsewhere_is_moved_and_checked_again(table: Table) -> None:
    table.add_found(record_node(5), NOW)
    table.mark_live(record_node(5).id, ip_address("20.1.0.1"))
    moved = Node.from_parts(key_of(1).public_key, "20.2.0.1", 30303, 30303)
    table.add_proven(moved, NOW)
    (seen,) = table.buckets()[log_distance(SELF_ID, moved.id) - 240]
    assert seen.node == moved and not seen.live


def checked_entry(table: Table, node: Node, checks: int) -> Entry:
    """A node of the table that has answered so often."""
    table.add_found(node, NOW)
    entry = table.entry(node.id)
    assert entry is not None
    for _ in range(checks):
        table.revalidation.passed(entry, NOW)
    return entry


def test_answers_from_another_address_do_not_count_where_a_node_has_moved(table: Table) -> None:
    here = node_at(256, 50)
    entry = checked_entry(table, here, 1000)
    assert table.update(entry, here.with_ip("99.0.0.1"), NOW)
    assert entry.checks == 0
    assert table.revalidation.failed(entry, NOW)


def test_answers_count_where_only_the_port_has_changed(table: Table) -> None:
    # The source port of a ping can be forged by who repeats it: no reason to drop a node sooner.
    here = node_at(256, 50)
    entry = checked_entry(table, here, 9)
    table.add_proven(here.with_endpoint(here.ip, here.tcp, here.udp + 1), NOW)
    assert (entry.checks, entry.live) == (9, False)


def test_answers_count_when_a_move_is_refused(table: Table) -> None:
    here = node_at(256, 50)
    entry = checked_entry(table, here, 9)
    for number in range(2):
        table.add_found(node_at(256, number, f"99.0.0.{number + 1}"), NOW)
    assert not table.update(entry, here.with_ip("99.0.0.3"), NOW)
    assert (entry.checks, entry.live) == (9, True)


def test_a_node_does_not_move_to_where_the_limit_is_reached(table: Table) -> None:
    here = node_at(256, 50)
    table.add_found(here, NOW)
    for number in range(2):
        table.add_found(node_at(256, number, f"99.0.0.{number + 1}"), NOW)
    table.add_proven(here.with_ip("99.0.0.3"), NOW)
    assert table.get(here.id) == here


# The nearest.


def test_closest_gives_the_nearest_first(table: Table) -> None:
    rng = random.Random(3)
    nodes = [
        Node(
            NodeID(rng.randbytes(32)),
            IPv4Address(0x14000000 + (n << 8)),
            *(30303, 30303),
            public_key=ANY_KEY,
        )
        for n in range(200)
    ]
    for node in nodes:
        table.add_found(node, NOW)
    target = rng.randbytes(32)
    expected = sorted(table.nodes(), key=lambda node: xor_distance(target, node.id))
    assert table.closest(target, 16) == expected[:16]
    assert table.closest(target, 1000) == expected


def test_closest_prefers_nodes_that_have_shown_to_be_alive(table: Table) -> None:
    alive, unknown = node_at(256, 1), node_at(250, 1)
    table.add_found(alive, NOW)
    table.add_found(unknown, NOW)
    assert table.closest(SELF_ID, 16, prefer_live=True) == [unknown, alive]
    table.mark_live(alive.id, alive.ip)
    assert table.closest(SELF_ID, 16, prefer_live=True) == [alive]
    assert table.closest(SELF_ID, 16) == [unknown, alive]


def test_an_answer_from_another_address_proves_nothing(table: Table) -> None:
    node = node_at(256, 1)
    table.add_found(node, NOW)
    table.mark_live(node.id, ip_address("66.6.6.6"))
    assert not table.buckets()[16][0].live


def test_a_node_that_has_proved_its_endpoint_is_alive_from_the_start(table: Table) -> None:
    table.add_proven(node_at(256, 1), NOW)
    table.add_found(node_at(256, 2), NOW)
    assert [seen.live for seen in table.buckets()[16]] == [True, False]


def test_attackers_of_two_networks_get_at_most_twenty_places(table: Table) -> None:
    rng = random.Random(7)
    for _ in range(10_000):
        ip = IPv4Address(rng.choice((0x63000000, 0x63000100)) + rng.randrange(1, 255))
        node = Node(NodeID(rng.randbytes(32)), ip, 30303, 30303, public_key=ANY_KEY)
        table.add_proven(node, NOW)
        if rng.random() < 0.01 and len(table):
            table.remove(rng.choice(table.nodes()).id, NOW)
    waiting = sum(len(bucket) for bucket in table.replacements())
    assert len(table) + waiting <= 2 * TABLE_IP_LIMIT
