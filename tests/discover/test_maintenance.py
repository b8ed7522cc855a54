"""Keeping the table: seeds, refresh, revalidation, and finding the network again."""

from __future__ import annotations

from ipaddress import IPv6Address

import pytest

from p2p.crypto import keccak256
from p2p.discover.event import NodeAdded, NodeRemoved
from p2p.discover.v4.wire import FindNode, Ping
from p2p.enode.db.memory import NodeMemory
from p2p.enode.node import Node
from p2p.enr import Record
from p2p.netutil import Netlist
from tests.kit.link import Link, Remote, key_of, true_closest

pytestmark = pytest.mark.slow

HOUR_S = 3600.0
DAY_S = 24 * HOUR_S
TARGET = b"t" * 64


@pytest.fixture
def link() -> Link:
    return Link(plain=True)


def own_lookups(remote: Remote, own_key: bytes) -> int:
    return sum(packet.target == own_key for packet in remote.got(FindNode))


# Refresh.


def test_the_first_refresh_begins_at_once_with_the_bootnodes(link: Link) -> None:
    boot = link.remote(2)
    boot.answers_pings = False
    engine = link.node(1, bootnodes=[boot.node])
    assert engine.deadline == link.time
    link.run(0.1)
    assert boot.got(Ping)
    assert engine.table.nodes() == [boot.node]


def test_a_refresh_looks_for_ourselves_and_three_random_targets(link: Link) -> None:
    boot = link.remote(2).answering()
    engine = link.node(1, bootnodes=[boot.node])
    boot.to(engine)
    link.run(10.0)
    targets = [packet.target for packet in boot.got(FindNode)]
    assert targets[0] == key_of(1).public_key.to_bytes()
    assert len(targets) == len(set(targets)) == 4
    assert engine.is_initialized


def test_a_restored_table_is_refreshed_after_15_to_30_minutes(link: Link) -> None:
    boot, known = link.remote(2).answering(), link.remote(3).answering()
    engine = link.node(1, bootnodes=[boot.node])
    engine.restore([known.node], link.now)
    assert engine.table.live() == [known.node] and not engine.is_initialized
    for remote in (boot, known):
        remote.to(engine)
    link.run(15 * 60.0)
    assert known.got(Ping) and not known.got(FindNode) and not boot.received
    link.run(15 * 60.0)
    assert known.got(FindNode) and boot.got(FindNode)


def test_only_nodes_that_may_be_asked_are_restored(link: Link) -> None:
    inside, outside = link.remote(2), link.remote(300)
    allowed = Netlist.parse(f"{inside.address[0]}/32")
    engine = link.node(1, net_restrict=allowed)
    nowhere = link.remote(4).node.with_endpoint(None, 1, 1)
    engine.restore([inside.node, outside.node, nowhere], link.now)
    assert engine.table.nodes() == [inside.node]


def test_without_nodes_a_restored_table_only_waits(link: Link) -> None:
    boot = link.remote(2).answering()
    engine = link.node(1, bootnodes=[boot.node])
    engine.restore([], link.now)
    boot.to(engine)
    link.run(60.0)
    assert not engine.is_initialized and not boot.received
    engine.refresh(link.now)
    link.run(10.0)
    assert boot.got(FindNode) and engine.is_initialized


def test_the_table_is_refreshed_after_15_to_30_minutes(link: Link) -> None:
    times = []
    for number in range(10):
        boot = link.remote(100 + number).answering()
        engine = link.node(number, bootnodes=[boot.node])
        boot.to(engine)
        link.run(10.0)
        own_key = key_of(number).public_key.to_bytes()
        begun = link.time
        while own_lookups(boot, own_key) < 2:
            link.run(10.0)
        times.append(link.time - begun)
        link.detach(engine)
    assert min(times) >= 15 * 60 - 20
    assert max(times) <= 30 * 60 + 20
    assert max(times) - min(times) > 120


def test_a_node_whose_bootnode_is_away_tries_again_soon(link: Link) -> None:
    boot = link.remote(2)
    boot.answers_pings = False
    engine = link.node(1, bootnodes=[boot.node])
    boot.to(engine)
    link.run(30.0)
    assert len(engine.table) == 0
    boot.answers_pings = True
    link.run(60.0)
    assert engine.table.nodes() == [boot.node]


def test_attempts_to_find_anybody_grow_rarer(link: Link) -> None:
    boot = link.remote(2)
    boot.answers_pings = False
    link.node(1, bootnodes=[boot.node])
    link.run(HOUR_S)
    first = len(boot.received)
    link.run(HOUR_S)
    assert 10 <= len(boot.received) - first <= 80
    assert first < 150


def test_a_lookup_in_an_empty_table_begins_with_the_bootnodes(link: Link) -> None:
    boot = link.remote(2).answering()
    boot.answers_pings = False
    engine = link.node(1, bootnodes=[boot.node])
    boot.to(engine)
    link.run(20.0)
    assert len(engine.table) == 0
    boot.answers_pings = True
    assert [node.id for node in link.lookup(engine, TARGET)] == [boot.id]


def test_bootnodes_outside_net_restrict_are_not_asked(link: Link) -> None:
    boot = link.remote(2)
    link.node(1, bootnodes=[boot.node], net_restrict=Netlist.parse("10.0.0.0/8"))
    link.run(10.0)
    assert boot.received == []


def test_a_bootnode_without_address_is_passed_over(link: Link) -> None:
    engine = link.node(1, bootnodes=[Node.from_parts(key_of(2).public_key)])
    link.run(10.0)
    assert engine.is_initialized and len(engine.table) == 0


# Two families.


def with_both(number: int, link: Link, ip6: str = "2001:4860::1") -> tuple[Node, Remote, Remote]:
    """A node whose record has two addresses, and the remotes there."""
    at4, at6 = link.remote(number), link.remote(number, (IPv6Address(ip6), 30301))
    entries = {"ip": at4.address[0], "udp": at4.address[1], "ip6": ip6, "udp6": 30301}
    return Node.from_record(Record.sign(key_of(number), 1, entries)), at4, at6


def test_bootnode_that_is_silent_at_one_address_is_found_at_the_other(link: Link) -> None:
    node, at4, at6 = with_both(2, link)
    at4.answers_pings = False
    at6.answering()
    engine = link.node(1, bootnodes=[node])
    at6.to(engine)
    link.run(30.0)
    (found,) = engine.table.nodes()
    assert found.udp_endpoint == at6.address
    assert found.record == node.record
    assert engine.table.live_count == 1
    assert at4.got(Ping)


def test_bootnode_that_answers_at_no_address_is_tried_at_both_again(link: Link) -> None:
    node, at4, at6 = with_both(2, link)
    at4.answers_pings = at6.answers_pings = False
    engine = link.node(1, bootnodes=[node])
    link.run(60.0)
    before = len(at4.got(Ping)), len(at6.got(Ping))
    link.run(600.0)
    assert len(at4.got(Ping)) > before[0] > 0
    assert len(at6.got(Ping)) > before[1] > 0
    at6.answering()
    at6.answers_pings = True
    at6.to(engine)
    link.run(600.0)
    assert [each.udp_endpoint for each in engine.table.nodes()] == [at6.address]


def test_bootnode_is_asked_at_the_address_that_net_restrict_allows(link: Link) -> None:
    node, at4, at6 = with_both(2, link)
    engine = link.node(1, bootnodes=[node], net_restrict=Netlist.parse("2001::/16"))
    at6.to(engine)
    link.run(10.0)
    assert at6.got(Ping) and not at4.received
    assert [each.udp_endpoint for each in engine.table.nodes()] == [at6.address]


@pytest.mark.parametrize(
    ("ip6", "net_restrict"), [("fd00::1", None), ("::1", None), ("2001:4860::1", "0.0.0.0/0")]
)
def test_other_address_must_be_one_that_the_node_may_name(
    link: Link, ip6: str, net_restrict: str | None
) -> None:
    node, at4, at6 = with_both(2, link, ip6)
    at4.answers_pings = False
    netlist = None if net_restrict is None else Netlist.parse(net_restrict)
    link.node(1, bootnodes=[node], net_restrict=netlist)
    link.run(60.0)
    assert at4.got(Ping) and not at6.received


# Revalidation.


def test_a_new_node_is_checked_within_three_seconds(link: Link) -> None:
    engine = link.node(1)
    link.run(1.0)
    remote = link.remote(2).to(engine)
    remote.bond()
    remote.received.clear()
    link.run(3.1)
    assert remote.got(Ping)


def test_a_live_node_is_checked_every_nine_seconds_at_least(link: Link) -> None:
    engine = link.node(1)
    link.run(1.0)
    remote = link.remote(2).to(engine)
    remote.bond()
    link.run(10.0)
    for _ in range(20):
        remote.received.clear()
        link.run(9.1)
        assert remote.got(Ping)
    assert remote.id in engine.table


def test_a_new_node_that_does_not_answer_is_dropped_after_one_failure(link: Link) -> None:
    engine = link.node(1)
    link.run(1.0)
    remote = link.remote(2).to(engine)
    remote.bond()
    remote.answers_pings = False
    remote.received.clear()
    link.run(4.0)
    assert remote.id not in engine.table
    assert len(remote.got(Ping)) == 2  # a check is two pings
    assert NodeRemoved(remote.node) in link.events[link.address(engine)]


def test_a_node_that_answered_nine_times_is_dropped_after_three_failures(link: Link) -> None:
    engine = link.node(1)
    link.run(1.0)
    remote = link.remote(2).to(engine)
    remote.answering().bond()
    entry = engine.table.entry(remote.id)
    assert entry is not None
    while entry.checks < 9:
        link.run(0.1)
    remote.answers_pings = False
    remote.received.clear()
    while remote.id in engine.table:
        link.run(0.1)
    assert len(remote.got(Ping)) == 3 * 2


def test_a_node_that_answers_again_in_time_stays(link: Link) -> None:
    engine = link.node(1)
    link.run(1.0)
    remote = link.remote(2).to(engine)
    remote.bond()
    link.run(200.0)
    remote.answers_pings = False
    remote.received.clear()
    while not remote.got(Ping):
        link.run(0.1)
    link.run(0.5)
    remote.answers_pings = True
    link.run(600.0)
    assert remote.id in engine.table


def test_a_waiting_node_takes_the_place_of_one_that_died(link: Link) -> None:
    engine = link.node(1)
    link.run(1.0)
    remotes = {}
    for number in range(2, 80):
        remote = link.remote(number).to(engine)
        remote.bond()
        remotes[remote.id] = remote
    full, waiting = next(
        (bucket, wait)
        for bucket, wait in zip(engine.table.buckets(), engine.table.replacements(), strict=True)
        if wait
    )
    victim = remotes[full[0].node.id]
    victim.answers_pings = False
    while victim.id in engine.table:
        link.run(10.0)
    events = link.events[link.address(engine)]
    added = events[events.index(NodeRemoved(victim.node)) + 1]
    assert isinstance(added, NodeAdded) and added.node in waiting


# Seeds.


def network(link: Link, size: int) -> list:
    boot = link.node(0)
    first = link.as_node(boot)
    return [boot, *(link.node(number, bootnodes=[first]) for number in range(1, size))]


def test_a_restarted_node_finds_the_network_without_its_bootnode(link: Link) -> None:
    engines = network(link, 6)
    store = NodeMemory()
    last = link.node(6, bootnodes=[link.as_node(engines[0])], store=store)
    link.run(120.0)
    link.detach(last)
    link.detach(engines[0])
    link.run(HOUR_S / 2)
    assert all(last.id not in engine.table for engine in engines[1:])
    again = link.node(6, store=store)
    link.run(10.0)
    assert {node.id for node in again.table.nodes()} >= {engine.id for engine in engines[1:]}


def test_seeds_are_at_most_five_days_old(link: Link) -> None:
    remote = link.remote(2)
    remote.answers_pings = False
    store = NodeMemory()
    for age_s, known in ((4.9 * DAY_S, True), (5.1 * DAY_S, False)):
        store.update_node(remote.node)
        store.set_last_pong_received(remote.id, remote.address[0], link.now.unix - age_s)
        engine = link.node(1, store=store)
        link.run(0.1)
        assert (remote.id in engine.table) == known
        link.detach(engine)


def test_a_node_that_answers_is_a_seed_at_once(link: Link) -> None:
    found = [link.remote(number) for number in range(10, 50)]
    boot = link.remote(2).answering(*found[:11])
    for number, remote in enumerate(found):
        remote.answering(*found[number : number + 11])
    store = NodeMemory()
    engine = link.node(1, bootnodes=[boot.node], store=store)
    for remote in (boot, *found):
        remote.to(engine)
    link.run(5.0)
    live = {e.node.id for b in engine.table.buckets() for e in b if e.live}
    seeds = store.query_seeds(100, DAY_S, link.now.unix, link.random)
    assert len(engine.table) > 32
    assert len(live) >= 10
    assert len(seeds) == min(len(live), 32)


def test_a_node_that_pings_us_and_proves_itself_is_a_seed_at_once(link: Link) -> None:
    store = NodeMemory()
    engine = link.node(1, store=store)
    link.run(1.0)
    remote = link.remote(2).to(engine)
    remote.ping()
    link.run(0.1)
    assert store.query_seeds(1, DAY_S, link.now.unix, link.random) == [remote.node]


def test_in_a_large_table_only_nodes_that_last_become_seeds(link: Link) -> None:
    store = NodeMemory()
    engine = link.node(1, store=store)
    link.run(1.0)
    for number in range(2, 120):
        link.remote(number).to(engine).bond()
    for node in engine.table.nodes():
        store.delete_node(node.id)
    assert len(engine.table) > 32
    link.run(60.0)
    seen = [seen for bucket in engine.table.buckets() for seen in bucket]
    seeds = [one.node for one in seen if store.node(one.node.id) is not None]
    assert 0 < len(seeds) < len(seen)
    assert seeds == [one.node for one in seen if one.node in seeds and one.checks >= 6]


def test_the_store_forgets_every_hour(link: Link) -> None:
    remote = link.remote(2)
    store = NodeMemory()
    store.set_last_pong_received(remote.id, remote.address[0], link.now.unix - 23.5 * HOUR_S)
    link.node(1, store=store)
    link.run(HOUR_S - 60)
    assert store.last_pong_received(remote.id, remote.address[0])
    link.run(120.0)
    assert not store.last_pong_received(remote.id, remote.address[0])


# Networks.


def test_fifty_nodes_from_one_bootnode_find_the_true_closest_sixteen(link: Link) -> None:
    engines = network(link, 50)
    link.run(20.0)
    for _ in range(25):
        asker = link.random.choice(engines)
        target = link.random.randbytes(64)
        found = [node.id for node in link.lookup(asker, target)]
        others = [engine for engine in engines if engine is not asker]
        assert found == true_closest(others, keccak256(target))


def test_lookups_find_those_that_are_left_when_a_third_is_gone(link: Link) -> None:
    engines = network(link, 40)
    link.run(60.0)
    for engine in engines[:13]:
        link.detach(engine)
    left = engines[13:]
    for _ in range(10):
        asker = link.random.choice(left)
        target = link.random.randbytes(64)
        found = [node.id for node in link.lookup(asker, target)]
        others = [engine for engine in left if engine is not asker]
        closest = true_closest(others, keccak256(target))
        assert set(found) <= {engine.id for engine in others}
        assert len(set(found) & set(closest)) >= 15


def test_a_network_comes_together_although_each_tenth_datagram_is_lost(link: Link) -> None:
    link.lost = lambda source, target, data: link.random.random() < 0.1
    engines = network(link, 20)
    link.run(300.0)
    assert all(len(engine.table) >= 15 for engine in engines)


def test_the_same_seed_gives_the_same_network() -> None:
    def tables() -> list[list[bytes]]:
        link = Link(seed=3, plain=True)
        engines = network(link, 10)
        link.run(30.0)
        return [[node.id for node in engine.table.nodes()] for engine in engines]

    assert tables() == tables()
