"""Node records and resolve: what is given, fetched, believed, and how a node is found again."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from p2p.discover.event import NodeRemoved
from p2p.discover.lookup import MAX_LOW_PORT
from p2p.discover.table.table import TABLE_IP_LIMIT
from p2p.discover.v4.engine import EngineV4
from p2p.discover.v4.wire import (
    ENRRequest,
    ENRResponse,
)
from p2p.enode.node import Node
from p2p.enr import Record
from p2p.errors import LocalProtocolError, NodeNotFound, NoResponse, PacketError
from p2p.netutil import IPAddress, Netlist
from tests.kit.link import PORT, Link, Remote, address_of, key_of

HOUR_S = 3600.0
TARGET = b"t" * 64


@pytest.fixture
def link() -> Link:
    return Link()


# Records.


def serve_record(remote, **entries: object) -> Record:
    """Have a remote answer ENR requests with a record of its own."""
    record = Record.sign(remote.key, remote.enr_seq or 1, entries)

    def answer(packet: object, packet_hash: bytes) -> None:
        if isinstance(packet, ENRRequest):
            remote.send(ENRResponse(packet_hash, record.to_rlp()))

    remote.on_packet = answer
    return record


def test_our_record_is_given_to_a_proven_node(link: Link) -> None:
    engine = link.node(1)
    remote = link.remote(2).to(engine)
    remote.bond()
    request_hash = remote.send(ENRRequest(remote.expiration))
    link.run(0.1)
    (response,) = remote.got(ENRResponse)
    assert response.request_hash == request_hash
    assert Node.from_record(Record.from_rlp(response.record)).id == engine.id


def test_our_record_is_not_given_to_an_unproven_node(link: Link) -> None:
    engine = link.node(1)
    remote = link.remote(2).to(engine)
    remote.send(ENRRequest(remote.expiration))
    link.run(0.1)
    assert remote.received == []


def test_a_record_can_be_asked_for(link: Link) -> None:
    engine = link.node(1)
    remote = link.remote(2).to(engine)
    record = serve_record(remote, ip=remote.address[0], udp=PORT, eth=b"x")
    node = link.result(engine, engine.operations.request_enr(remote.node, link.now))
    assert node.record == record


def test_a_record_that_says_no_address_keeps_the_one_we_know(link: Link) -> None:
    engine = link.node(1)
    remote = link.remote(2).to(engine)
    record = serve_record(remote)
    node = link.result(engine, engine.operations.request_enr(remote.node, link.now))
    assert (node.record, node.udp_endpoint) == (record, remote.address)


def test_a_record_of_another_node_is_refused(link: Link) -> None:
    engine = link.node(1)
    remote = link.remote(2).to(engine)
    other = Record.sign(key_of(3), 1, ip="20.0.0.3", udp=PORT)
    remote.on_packet = lambda packet, packet_hash: (
        remote.send(ENRResponse(packet_hash, other.to_rlp()))
        if isinstance(packet, ENRRequest)
        else None
    )
    with pytest.raises(PacketError, match="another node"):
        link.result(engine, engine.operations.request_enr(remote.node, link.now))


@pytest.mark.parametrize("rlp", [b"\xc0", b"\xc2\x80\x80", b"\xc5\x80\x01\x82id"], ids=bytes.hex)
def test_a_record_that_is_none_is_the_fault_of_its_sender(link: Link, rlp: bytes) -> None:
    engine = link.node(1)
    remote = link.remote(2).to(engine)
    remote.on_packet = lambda packet, packet_hash: (
        remote.send(ENRResponse(packet_hash, rlp)) if isinstance(packet, ENRRequest) else None
    )
    with pytest.raises(PacketError) as raised:
        link.result(engine, engine.operations.request_enr(remote.node, link.now))
    assert not isinstance(raised.value, LocalProtocolError)


#: Where a node is, and the endpoint that its record names and its sender may not.
NOT_BELIEVED = [
    (address_of(2)[0], "192.168.1.1", PORT),
    (address_of(2)[0], "100.64.0.1", PORT),
    (address_of(2)[0], "127.0.0.1", PORT),
    (ip_address("192.168.7.2"), "127.0.0.1", PORT),  # a LAN node that does not know its address
    (ip_address("192.168.7.2"), "224.0.0.1", PORT),
    (address_of(2)[0], "192.0.2.1", PORT),
    (address_of(2)[0], "8.8.8.8", 1),
    (address_of(2)[0], "8.8.8.8", 53),
    (address_of(2)[0], "8.8.8.8", MAX_LOW_PORT),
]


@pytest.mark.parametrize("here, told, udp", NOT_BELIEVED)
def test_an_endpoint_not_believed_leaves_the_one_that_answered(
    link: Link, here: IPAddress, told: str, udp: int
) -> None:
    engine = link.node(1)
    remote = link.remote(2, (here, PORT)).to(engine)
    record = serve_record(remote, ip=told, udp=udp, tcp=PORT + 1, eth=b"x")
    node = link.result(engine, engine.operations.request_enr(remote.node, link.now))
    assert (node.record, node.udp_endpoint) == (record, remote.address)
    assert node.tcp_endpoint == (here, PORT + 1)


def test_a_record_may_name_a_port_just_above_the_low_ones(link: Link) -> None:
    engine = link.node(1)
    remote = link.remote(2).to(engine)
    serve_record(remote, ip="20.9.9.9", udp=MAX_LOW_PORT + 1)
    node = link.result(engine, engine.operations.request_enr(remote.node, link.now))
    assert node.udp == MAX_LOW_PORT + 1


def test_a_record_may_name_the_low_port_where_its_node_has_answered(link: Link) -> None:
    engine = link.node(1)
    remote = link.remote(2, (address_of(2)[0], 443)).to(engine)
    record = serve_record(remote, ip=remote.address[0], udp=443)
    node = link.result(engine, engine.operations.request_enr(remote.node, link.now))
    assert (node.record, node.udp_endpoint) == (record, remote.address)


def test_nothing_is_sent_to_the_low_port_of_a_newer_record(link: Link) -> None:
    engine = link.node(1)
    link.run(1.0)
    remote = link.remote(2).to(engine)
    remote.answering().bond()
    link.run(300.0)
    remote.enr_seq = 7
    serve_record(remote, ip="8.8.8.8", tcp=PORT, udp=53)
    sent = set()
    link.lost = lambda source, target, data: sent.add(target) is not None
    link.run(60.0)
    assert remote.got(ENRRequest)
    assert sent == {remote.address, link.address(engine)}
    assert [node.udp_endpoint for node in engine.table.nodes()] == [remote.address]


def test_a_record_with_a_wrong_request_hash_is_ignored(link: Link) -> None:
    engine = link.node(1)
    remote = link.remote(2).to(engine)
    record = Record.sign(remote.key, 1, ip=remote.address[0], udp=PORT)
    remote.on_packet = lambda packet, packet_hash: (
        remote.send(ENRResponse(b"\0" * 32, record.to_rlp()))
        if isinstance(packet, ENRRequest)
        else None
    )
    with pytest.raises(NoResponse):
        link.result(engine, engine.operations.request_enr(remote.node, link.now))
    assert engine.counters.dropped["unsolicited"] == 2


def test_a_newer_record_that_a_pong_names_is_fetched(link: Link) -> None:
    engine = link.node(1)
    link.run(1.0)
    remote = link.remote(2).to(engine)
    remote.bond()
    remote.enr_seq = 7
    record = serve_record(remote, ip=remote.address[0], tcp=PORT, udp=PORT)
    link.run(20.0)
    assert engine.table.nodes() == [Node.from_record(record)]
    assert len(remote.got(ENRRequest)) == 1


def test_a_node_whose_record_names_another_address_is_checked_there(link: Link) -> None:
    engine = link.node(1)
    link.run(1.0)
    remote = link.remote(2).to(engine)
    remote.bond()
    remote.enr_seq = 7
    record = serve_record(remote, ip="20.9.9.9", tcp=PORT, udp=PORT)
    link.run(30.0)
    # Nobody answers there.
    assert NodeRemoved(Node.from_record(record)) in link.events[link.address(engine)]


def known_with_newer_record(link: Link, **options: object) -> tuple[EngineV4, Remote]:
    """A node in the table whose pongs begin to name a record with the number 7."""
    engine = link.node(1, **options)
    link.run(1.0)
    remote = link.remote(2).to(engine)
    remote.bond()
    remote.enr_seq = 7
    return engine, remote


def test_attributes_arrive_in_the_table_with_the_address_that_answered(link: Link) -> None:
    engine, remote = known_with_newer_record(link)
    record = serve_record(remote, ip="127.0.0.1", tcp=PORT, udp=PORT)
    link.run(600.0)
    (node,) = engine.table.nodes()
    assert (node.record, node.udp_endpoint) == (record, remote.address)
    assert len(remote.got(ENRRequest)) == 1


def test_a_record_outside_net_restrict_leaves_the_address_that_answered(link: Link) -> None:
    engine, remote = known_with_newer_record(link, net_restrict=Netlist.parse("20.0.2.0/24"))
    record = serve_record(remote, ip="20.9.9.9", tcp=PORT, udp=PORT)
    link.run(600.0)
    (node,) = engine.table.nodes()
    assert (node.record, node.udp_endpoint) == (record, remote.address)
    assert len(remote.got(ENRRequest)) == 1


def answer_with(remote: Remote, rlp: bytes) -> None:
    remote.on_packet = lambda packet, packet_hash: (
        remote.send(ENRResponse(packet_hash, rlp)) if isinstance(packet, ENRRequest) else None
    )


REFUSED = {
    "no record": b"\xc0",
    "another node": Record.sign(key_of(3), 7, {"ip": "20.0.0.3", "udp": PORT}).to_rlp(),
    "older than named": Record.sign(key_of(2), 3, {"ip": address_of(2)[0]}).to_rlp(),
}


@pytest.mark.parametrize("rlp", REFUSED.values(), ids=REFUSED)
def test_a_refused_record_is_fetched_again_for_a_new_number_only(link: Link, rlp: bytes) -> None:
    engine, remote = known_with_newer_record(link)
    answer_with(remote, rlp)
    link.run(600.0)
    assert len(remote.got(ENRRequest)) == 1
    remote.enr_seq = 8
    link.run(600.0)
    assert len(remote.got(ENRRequest)) == 2


def test_a_record_whose_address_has_no_room_is_fetched_once(link: Link) -> None:
    engine, remote = known_with_newer_record(link)
    number = 100
    while sum(str(node.ip).startswith("20.9.9.") for node in engine.table) < TABLE_IP_LIMIT:
        link.remote(number, (ip_address(f"20.9.9.{number - 90}"), PORT)).to(engine).bond()
        number += 1
    serve_record(remote, ip="20.9.9.9", tcp=PORT, udp=PORT)
    remote.received.clear()
    link.run(600.0)
    assert len(remote.got(ENRRequest)) == 1


def test_a_record_that_was_lost_is_fetched_at_the_next_check(link: Link) -> None:
    engine, remote = known_with_newer_record(link)
    link.run(20.0)
    assert remote.got(ENRRequest)
    record = serve_record(remote, ip=remote.address[0], tcp=PORT, udp=PORT)
    link.run(20.0)
    assert engine.table.nodes() == [Node.from_record(record)]


# Resolve.


def test_resolve_asks_the_node_where_it_is_said_to_be(link: Link) -> None:
    engine = link.node(1)
    remote = link.remote(2).to(engine)
    record = serve_record(remote, ip=remote.address[0], udp=PORT)
    node = link.result(engine, engine.operations.resolve(remote.node, link.now))
    assert node.record == record


def test_resolve_asks_the_node_where_the_table_has_it(link: Link) -> None:
    engine = link.node(1)
    link.run(1.0)
    remote = link.remote(2).to(engine)
    remote.bond()
    record = serve_record(remote, ip=remote.address[0], udp=PORT)
    stale = remote.node.with_ip("20.9.9.9")
    assert link.result(engine, engine.operations.resolve(stale, link.now)).record == record


def test_resolve_looks_up_a_node_of_which_only_the_key_is_known(link: Link) -> None:
    engines = [link.node(number) for number in range(3)]
    for engine in engines[1:]:
        engine.table.add_found(link.as_node(engines[0]), link.time)
    link.run(60.0)
    engines[1].table.remove(engines[2].id, link.time)
    wanted = Node.from_parts(key_of(2).public_key)
    node = link.result(engines[1], engines[1].operations.resolve(wanted, link.now))
    assert node.udp_endpoint == link.address(engines[2])
    assert node.seq == 1


def test_resolve_takes_what_others_say_of_a_node_that_gives_no_record(link: Link) -> None:
    engine = link.node(1)
    link.run(1.0)
    remote = link.remote(2).to(engine)
    remote.answering()
    remote.bond()
    wanted = remote.node.with_ip("20.9.9.9")
    assert link.result(engine, engine.operations.resolve(wanted, link.now)) == remote.node


def test_resolve_finds_a_node_that_came_into_the_table_during_the_lookup(link: Link) -> None:
    engine = link.node(1)
    link.run(1.0)
    link.remote(3).to(engine).bond()  # does not answer findnode, so the lookup takes its time
    wanted = link.remote(2).to(engine)
    record = serve_record(wanted, ip=wanted.address[0], udp=PORT)
    operation = engine.operations.resolve(wanted.node.with_ip(None), link.now)
    wanted.bond()
    assert link.result(engine, operation).record == record


def test_resolve_says_when_a_node_is_not_found(link: Link) -> None:
    engine = link.node(1)
    with pytest.raises(NodeNotFound):
        link.result(engine, engine.operations.resolve(link.remote(2).node.with_ip(None), link.now))


def test_resolve_does_not_find_a_bootnode_that_never_answered(link: Link) -> None:
    boot = link.remote(2)
    boot.answers_pings = False
    engine = link.node(1, bootnodes=[boot.node])
    with pytest.raises(NodeNotFound):
        link.result(engine, engine.operations.resolve(boot.node, link.now))
    assert boot.received


def test_resolve_does_not_find_a_node_that_is_gone(link: Link) -> None:
    engine = link.node(1)
    link.run(1.0)
    remote = link.remote(2).to(engine)
    remote.bond()
    link.run(60.0)  # so that it stays in the table for some failures
    remote.answers_pings = False
    for asked in (remote.node, remote.node.with_endpoint(None, 0, 0)):
        operation = engine.operations.resolve(asked, link.now)
        assert remote.id in engine.table
        with pytest.raises(NodeNotFound):
            link.result(engine, operation)


def test_resolve_finds_a_node_that_answers_nothing_but_pings(link: Link) -> None:
    engine = link.node(1)
    link.run(1.0)
    remote = link.remote(2).to(engine)
    remote.bond()
    for asked in (remote.node, remote.node.with_endpoint(None, 0, 0)):
        assert link.result(engine, engine.operations.resolve(asked, link.now)) == remote.node


def test_resolve_finds_a_node_whose_record_is_none(link: Link) -> None:
    engine = link.node(1)
    link.run(1.0)
    remote = link.remote(2).to(engine)
    remote.bond()
    answer_with(remote, b"\xc0")
    assert link.result(engine, engine.operations.resolve(remote.node, link.now)) == remote.node
