"""The engine: what it answers to whom, and what it makes of answers."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_address

import pytest

from p2p.crypto import keccak256
from p2p.discover.event import NodeAdded, NodeRemoved, OperationDone
from p2p.discover.transport import Target
from p2p.discover.v4.requests import REPLY_TIMEOUT_S
from p2p.discover.v4.wire import (
    FindNode,
    NeighborNode,
    Neighbors,
    Ping,
    Pong,
)
from p2p.enode.node import Node
from p2p.errors import (
    LocalProtocolError,
    NetRestricted,
    NoEndpoint,
    NoResponse,
)
from p2p.netutil import Netlist
from tests.kit.link import PORT, Link, address_of, key_of

HOUR_S = 3600.0
TARGET = b"t" * 64


@pytest.fixture
def link() -> Link:
    return Link()


def told(number: int, **changes: object) -> NeighborNode:
    """A node as it stands in a neighbors packet."""
    ip, port = address_of(number)
    key = key_of(number).public_key.to_bytes()
    return NeighborNode(ip, port, PORT, key)._replace(**changes)


# Ping and pong.


@pytest.mark.parametrize("version", [3, 4, 5, 45])
def test_a_ping_of_any_version_is_answered(link: Link, version: int) -> None:
    engine = link.node(1)
    remote = link.remote(2).to(engine)
    ping_hash = remote.ping(version=version)
    link.run(0.1)
    (pong,) = remote.got(Pong)
    assert pong.ping_hash == ping_hash
    assert pong.recipient == (*remote.address, PORT)
    assert pong.enr_seq == 1


@pytest.mark.parametrize("version", [4, 45])
def test_our_pings_have_the_version_we_are_given(link: Link, version: int) -> None:
    engine = link.node(1, ping_version=version)
    remote = link.remote(2).to(engine)
    engine.operations.ping(remote.node, link.now)
    link.run(0.1)
    (ping,) = remote.got(Ping)
    assert ping.version == version
    assert ping.sender == (*link.address(engine), PORT)
    assert ping.recipient == (*remote.address, 0)
    assert ping.enr_seq == 1


def test_a_ping_comes_to_the_sequence_number_of_the_pong(link: Link) -> None:
    engine = link.node(1)
    remote = link.remote(2).to(engine)
    assert link.ping(engine, remote.node) is None
    remote.enr_seq = 7
    assert link.ping(engine, remote.node) == 7


def test_a_ping_ends_after_half_a_second_without_answer(link: Link) -> None:
    engine = link.node(1)
    remote = link.remote(2)
    remote.answers_pings = False
    operation = engine.operations.ping(remote.node, link.now)
    link.run(REPLY_TIMEOUT_S - 0.01)
    assert not any(isinstance(e, OperationDone) for e in link.events[link.address(engine)])
    with pytest.raises(NoResponse):
        link.result(engine, operation, within_s=0.1)


def test_a_pong_that_comes_too_late_does_not_count(link: Link) -> None:
    engine = link.node(1)
    remote = link.remote(2).to(engine)
    remote.answers_pings = False
    engine.operations.ping(remote.node, link.now)
    link.run(0.6)
    remote.pong(remote.received[0][1])
    link.run(0.1)
    assert engine.counters.dropped["unsolicited"] == 1


def test_an_unknown_node_that_pings_is_asked_for_a_proof_once(link: Link) -> None:
    engine = link.node(1)
    remote = link.remote(2).to(engine)
    remote.answers_pings = False
    for _ in range(3):
        remote.ping()
    link.run(0.1)
    assert len(remote.got(Pong)) == 3
    assert len(remote.got(Ping)) == 1


def test_a_node_that_pings_and_proves_its_endpoint_comes_into_the_table(link: Link) -> None:
    engine = link.node(1)
    link.run(1.0)
    remote = link.remote(2).to(engine)
    remote.ping()
    link.run(0.011)
    assert remote.id not in engine.table
    link.run(0.1)
    assert engine.table.nodes() == [remote.node]
    assert NodeAdded(remote.node) in link.events[link.address(engine)]


def test_a_proven_node_is_not_asked_for_a_proof_again(link: Link) -> None:
    engine = link.node(1)
    remote = link.remote(2).to(engine)
    remote.bond()
    remote.ping()
    link.run(0.1)
    assert [type(packet) for packet, _ in remote.received] == [Pong]


def test_before_the_first_refresh_is_over_nobody_who_pings_gets_a_place(link: Link) -> None:
    silent = link.remote(9)
    silent.answers_pings = False
    engine = link.node(1, bootnodes=[silent.node])
    remote = link.remote(2).to(engine)
    remote.ping()
    link.run(0.2)
    assert not engine.is_initialized
    assert remote.id not in engine.table


def test_a_statement_of_our_endpoint_counts_only_from_a_proven_node(link: Link) -> None:
    engine = link.node(1)
    statements = []
    engine._local.endpoint_statement = lambda *args: statements.append(args[:2])  # type: ignore
    remote = link.remote(2).to(engine)
    remote.answers_pings = False
    remote.ping()
    link.run(1.0)
    assert statements == []
    remote.answers_pings = True
    remote.ping()
    link.run(1.0)
    assert statements == [(remote.address[0], link.address(engine))]


# Bonds.


@pytest.mark.parametrize("age_h, answered", [(23.9, True), (24.1, False)])
def test_a_proof_counts_for_a_day(link: Link, age_h: float, answered: bool) -> None:
    engine = link.node(1)
    remote = link.remote(2).to(engine)
    remote.bond()
    remote.answers_pings = False
    link.run(age_h * HOUR_S)
    remote.received.clear()
    remote.send(FindNode(TARGET, remote.expiration))
    link.run(0.1)
    assert bool(remote.got(Neighbors)) == answered


def test_a_proof_counts_for_one_address(link: Link) -> None:
    engine = link.node(1)
    remote = link.remote(2).to(engine)
    remote.bond()
    elsewhere = link.remote(2, address_of(3)).to(engine)
    elsewhere.send(FindNode(TARGET, remote.expiration))
    link.run(0.1)
    assert elsewhere.received == []


def test_a_node_that_should_have_no_proof_of_us_is_pinged_before_it_is_asked(link: Link) -> None:
    remote = link.remote(2)
    engine = link.node(1, bootnodes=[remote.node])
    remote.to(engine)
    link.run(0.4)
    assert [type(packet) for packet, _ in remote.received] == [Ping]
    remote.ping()
    link.run(0.1)
    assert [type(packet) for packet, _ in remote.received][:3] == [Ping, Pong, FindNode]


def test_a_node_that_does_not_ping_back_is_asked_half_a_second_later(link: Link) -> None:
    remote = link.remote(2)
    engine = link.node(1, bootnodes=[remote.node])
    remote.to(engine)
    link.run(0.6)
    assert FindNode in [type(packet) for packet, _ in remote.received]


def test_a_node_that_has_pinged_us_is_asked_at_once(link: Link) -> None:
    engine = link.node(1)
    link.run(1.0)
    remote = link.remote(2).to(engine)
    remote.bond()
    engine.operations.lookup(Target.of_key(TARGET), link.now)
    link.run(0.011)
    assert [type(packet) for packet, _ in remote.received] == [FindNode]


# Findnode.


def test_findnode_is_answered_with_the_sixteen_closest_in_two_packets(link: Link) -> None:
    engine = link.node(1)
    link.run(1.0)
    for number in range(10, 40):
        other = link.remote(number).to(engine)
        other.bond()
    remote = link.remote(2).to(engine)
    remote.bond()
    remote.send(FindNode(TARGET, remote.expiration))
    link.run(0.1)
    first, second = remote.got(Neighbors)
    assert (len(first.nodes), len(second.nodes)) == (12, 4)
    near = engine.table.closest(keccak256(TARGET), 17)
    expected = [node.public_key.to_bytes() for node in near if node.id != remote.id][:16]
    assert [node.public_key for node in (*first.nodes, *second.nodes)] == expected


def test_an_empty_table_is_an_answer_too(link: Link) -> None:
    engine = link.node(1)
    remote = link.remote(2).to(engine)
    remote.bond()
    remote.send(FindNode(TARGET, remote.expiration))
    link.run(0.1)
    (neighbors,) = remote.got(Neighbors)
    assert list(neighbors.nodes) == []


def test_nodes_that_were_only_heard_of_are_not_passed_on(link: Link) -> None:
    engine = link.node(1)
    link.run(1.0)
    proven = link.remote(2).to(engine)
    proven.bond()
    asker = link.remote(3).to(engine)
    asker.bond()
    engine.table.add_found(link.remote(4).node, link.time)
    asker.send(FindNode(TARGET, asker.expiration))
    link.run(0.1)
    keys = [node.public_key for packet in asker.got(Neighbors) for node in packet.nodes]
    assert keys == [proven.key.public_key.to_bytes()]


def test_a_lan_node_is_not_told_to_the_wide_world(link: Link) -> None:
    engine = link.node(1)
    link.run(1.0)
    for number, text in ((2, "192.168.1.2"), (3, "20.7.7.7")):
        link.remote(number, (ip_address(text), PORT)).to(engine).bond()
    asker = link.remote(4).to(engine)
    asker.bond()
    asker.send(FindNode(TARGET, asker.expiration))
    link.run(0.1)
    (neighbors,) = asker.got(Neighbors)
    assert [str(node.ip) for node in neighbors.nodes] == ["20.7.7.7"]


# Neighbors.


def asked(link: Link, **options: object):
    """An engine in the middle of a lookup, and the remote that it has just asked."""
    engine = link.node(1, **options)
    link.run(1.0)
    remote = link.remote(2).to(engine)
    remote.bond()
    operation = engine.operations.lookup(Target.of_key(TARGET), link.now)
    link.run(0.05)
    assert len(remote.got(FindNode)) == 1
    return engine, remote, operation


def found_by(link: Link, *nodes: NeighborNode) -> set[bytes]:
    """The keys of the told nodes that reach the table."""
    engine, remote, _ = asked(link)
    remote.send(Neighbors(nodes, remote.expiration))
    link.run(REPLY_TIMEOUT_S)  # so few nodes may be the second part of an answer
    return {node.public_key.to_bytes() for node in engine.table.nodes()}


def test_the_neighbors_of_a_node_are_asked_in_turn(link: Link) -> None:
    engine, remote, operation = asked(link)
    other = link.remote(3).to(engine)
    other.on_packet = lambda packet, packet_hash: (
        other.send(Neighbors([], other.expiration)) if isinstance(packet, FindNode) else None
    )
    remote.send(Neighbors([told(3)], remote.expiration))
    nodes = link.result(engine, operation)
    assert {node.id for node in nodes} == {remote.id, other.id}


def test_neighbors_never_asked_for_are_ignored(link: Link) -> None:
    engine = link.node(1)
    link.run(1.0)
    remote = link.remote(2).to(engine)
    remote.bond()
    remote.send(Neighbors([told(3)], remote.expiration))
    link.run(0.1)
    assert engine.table.nodes() == [remote.node]
    assert engine.counters.dropped["unsolicited"] == 1


def test_neighbors_of_a_node_that_was_not_asked_are_ignored(link: Link) -> None:
    engine, remote, _ = asked(link)
    stranger = link.remote(4, remote.address).to(engine)
    stranger.send(Neighbors([told(3)], stranger.expiration))
    link.run(0.1)
    assert key_of(3).public_key not in [node.public_key for node in engine.table.nodes()]
    assert engine.counters.dropped["unsolicited"] == 1


def test_neighbors_from_another_address_are_ignored(link: Link) -> None:
    engine, remote, _ = asked(link)
    remote.send(Neighbors([told(3)], remote.expiration), source=address_of(5))
    link.run(0.1)
    assert engine.table.nodes() == [remote.node]


def test_of_one_answer_no_more_than_sixteen_neighbors_count(link: Link) -> None:
    engine, remote, _ = asked(link)
    for start in (10, 22, 34):
        nodes = [told(number) for number in range(start, start + 12)]
        remote.send(Neighbors(nodes, remote.expiration))
    link.run(0.05)
    ids = {node.id for node in engine.table.nodes()} - {remote.id}
    assert ids == {Node.from_parts(key_of(n).public_key).id for n in range(10, 26)}
    assert engine.counters.dropped["unsolicited"] == 1


def test_an_answer_in_two_parts_is_one_answer(link: Link) -> None:
    engine, remote, operation = asked(link)
    remote.send(Neighbors([told(n) for n in range(10, 22)], remote.expiration))
    link.run(0.2)
    remote.send(Neighbors([told(n) for n in range(22, 26)], remote.expiration))
    link.run(0.05)
    assert len(engine.table) == 17


@pytest.mark.parametrize("port", [0, 53, 1024])
def test_a_neighbor_with_a_low_port_is_refused(link: Link, port: int) -> None:
    keys = found_by(link, told(3, udp=port), told(4))
    assert key_of(3).public_key.to_bytes() not in keys
    assert key_of(4).public_key.to_bytes() in keys


@pytest.mark.parametrize(
    "ip",
    [
        *("127.0.0.1", "192.168.1.1", "0.0.0.0", "224.0.0.1", "255.255.255.255", "::1"),
        *("100.64.0.1", "240.0.0.1", "64:ff9b::a00:1"),
    ],
)
def test_a_neighbor_whose_address_may_not_be_told_is_refused(link: Link, ip: str) -> None:
    keys = found_by(link, told(3, ip=ip_address(ip)), told(4))
    assert key_of(3).public_key.to_bytes() not in keys
    assert key_of(4).public_key.to_bytes() in keys


def test_a_neighbor_whose_key_is_no_key_is_refused(link: Link) -> None:
    assert len(found_by(link, told(3, public_key=b"\x01" * 64), told(4))) == 2


def test_what_the_table_has_proved_counts_more_than_what_neighbors_say(link: Link) -> None:
    engine, remote, operation = asked(link)
    known = link.remote(3).to(engine)
    known.bond()
    operation = engine.operations.lookup(Target.of_key(TARGET), link.now)
    link.run(0.05)
    remote.send(Neighbors([told(3, ip=IPv4Address("66.6.6.6"))], remote.expiration))
    link.run(REPLY_TIMEOUT_S)
    assert engine.table.get(known.id) == known.node
    assert known.got(FindNode)
    engine.operations.cancel(operation)


def test_a_node_is_asked_for_one_target_at_a_time(link: Link) -> None:
    engine, remote, first = asked(link)
    second = engine.operations.lookup(Target.of_key(b"u" * 64), link.now)
    link.run(0.05)
    assert [packet.target for packet in remote.got(FindNode)] == [TARGET]
    remote.send(Neighbors([], remote.expiration))
    link.run(0.05)
    assert [packet.target for packet in remote.got(FindNode)] == [TARGET, b"u" * 64]
    remote.send(Neighbors([], remote.expiration))
    assert link.result(engine, first) == link.result(engine, second) == [remote.node]


def test_a_findnode_without_answer_is_sent_once_more(link: Link) -> None:
    engine, remote, operation = asked(link)
    link.run(REPLY_TIMEOUT_S)
    assert len(remote.got(FindNode)) == 2
    assert link.result(engine, operation) == []
    assert len(remote.got(FindNode)) == 2


def test_five_findnode_failures_drop_a_node_of_a_bucket_that_has_others(link: Link) -> None:
    engine = link.node(1)
    link.run(1.0)
    remotes = []
    for number in range(2, 80):
        remote = link.remote(number).to(engine)
        remote.answering()
        remote.bond()
        remotes.append(remote)
    silent = next(r for r in remotes if engine.table.bucket_size(r.id) >= 8)
    silent.on_packet = lambda packet, packet_hash: None
    for failures in range(1, 6):
        assert silent.id in engine.table, failures
        link.lookup(engine, silent.key.public_key.to_bytes())
    assert silent.id not in engine.table
    assert NodeRemoved(silent.node) in link.events[link.address(engine)]


def test_findnode_failures_do_not_drop_a_node_of_a_nearly_empty_bucket(link: Link) -> None:
    engine, remote, operation = asked(link)
    link.result(engine, operation)
    for _ in range(10):
        link.lookup(engine, TARGET)
    assert remote.id in engine.table


# Commands that cannot be.


def test_a_node_without_endpoint_cannot_be_asked(link: Link) -> None:
    engine = link.node(1)
    nowhere = link.remote(2).node.with_ip(None)
    for start in (engine.operations.ping, engine.operations.request_enr):
        with pytest.raises(NoEndpoint):
            link.result(engine, start(nowhere, link.now))


def test_a_node_outside_net_restrict_is_not_asked(link: Link) -> None:
    engine = link.node(1, net_restrict=Netlist.parse("10.0.0.0/8"))
    remote = link.remote(2)
    with pytest.raises(NetRestricted):
        link.result(engine, engine.operations.ping(remote.node, link.now))
    assert remote.received == []


def test_a_node_outside_net_restrict_is_not_answered(link: Link) -> None:
    engine = link.node(1, net_restrict=Netlist.parse("10.0.0.0/8"))
    inside = link.remote(2, (ip_address("10.0.0.2"), PORT)).to(engine)
    outside = link.remote(3).to(engine)
    inside.ping()
    outside.ping()
    link.run(0.1)
    assert inside.received and not outside.received


def test_a_neighbor_outside_net_restrict_is_passed_over(link: Link) -> None:
    engine, remote, _ = asked(link, net_restrict=Netlist.parse("20.0.2.0/24, 20.0.4.0/24"))
    remote.send(Neighbors([told(3), told(4)], remote.expiration))
    link.run(REPLY_TIMEOUT_S)
    keys = {node.public_key for node in engine.table.nodes()}
    assert keys == {key_of(2).public_key, key_of(4).public_key}


def test_a_target_has_64_bytes(link: Link) -> None:
    with pytest.raises(LocalProtocolError):
        link.node(1).operations.lookup(Target.of_key(b"t" * 32), link.now)


def test_a_cancelled_command_ends_without_a_word(link: Link) -> None:
    engine, remote, operation = asked(link)
    ping = engine.operations.ping(remote.node, link.now)
    for number in (operation, ping, 999):
        engine.operations.cancel(number)
    link.run(5.0)
    assert not any(isinstance(e, OperationDone) for e in link.events[link.address(engine)])
    assert len(remote.got(FindNode)) <= 2
