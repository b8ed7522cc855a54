"""Node records and resolve: what is given, fetched, believed, and how a node is found again."""

from __future__ import annotations

import pytest

from p2p.discover.search import MAX_LOW_PORT
from p2p.discover.v4wire import (
    ENRRequest,
    ENRResponse,
    Ping,
)
from p2p.enode.node import Node
from p2p.enr import Record
from p2p.errors import (
    NodeNotFound,
    PacketError,
    RemoteTimeout,
)
from tests.discover.link import PORT, Link, address_of, key_of

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
    remote.answers_pings = False
    remote.send(ENRRequest(remote.expiration))
    link.run(0.1)
    assert [type(packet) for packet, _ in remote.received] == [Ping]


def test_a_record_can_be_asked_for(link: Link) -> None:
    engine = link.node(1)
    remote = link.remote(2).to(engine)
    record = serve_record(remote, ip=remote.address[0], udp=PORT, eth=b"x")
    node = link.result(engine, engine.start_request_enr(remote.node, link.now))
    assert node.record == record


def test_a_record_that_says_no_address_keeps_the_one_we_know(link: Link) -> None:
    engine = link.node(1)
    remote = link.remote(2).to(engine)
    record = serve_record(remote)
    node = link.result(engine, engine.start_request_enr(remote.node, link.now))
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
        link.result(engine, engine.start_request_enr(remote.node, link.now))


def test_a_record_that_sends_us_into_our_own_network_is_refused(link: Link) -> None:
    engine = link.node(1)
    remote = link.remote(2).to(engine)
    serve_record(remote, ip="192.168.1.1", udp=PORT)
    with pytest.raises(PacketError, match="LAN"):
        link.result(engine, engine.start_request_enr(remote.node, link.now))


@pytest.mark.parametrize("udp", [1, 53, MAX_LOW_PORT])
def test_a_record_that_sends_us_to_a_low_port_is_refused(link: Link, udp: int) -> None:
    engine = link.node(1)
    remote = link.remote(2).to(engine)
    serve_record(remote, ip="8.8.8.8", udp=udp)
    with pytest.raises(PacketError, match=f"port {udp} is not above {MAX_LOW_PORT}"):
        link.result(engine, engine.start_request_enr(remote.node, link.now))


def test_a_record_may_name_a_port_just_above_the_low_ones(link: Link) -> None:
    engine = link.node(1)
    remote = link.remote(2).to(engine)
    serve_record(remote, ip="20.9.9.9", udp=MAX_LOW_PORT + 1)
    node = link.result(engine, engine.start_request_enr(remote.node, link.now))
    assert node.udp == MAX_LOW_PORT + 1


def test_a_record_may_name_the_low_port_where_its_node_has_answered(link: Link) -> None:
    engine = link.node(1)
    remote = link.remote(2, (address_of(2)[0], 443)).to(engine)
    record = serve_record(remote, ip=remote.address[0], udp=443)
    node = link.result(engine, engine.start_request_enr(remote.node, link.now))
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
    assert engine.table.nodes() == [remote.node]


def test_a_record_with_a_wrong_request_hash_is_ignored(link: Link) -> None:
    engine = link.node(1)
    remote = link.remote(2).to(engine)
    record = Record.sign(remote.key, 1, ip=remote.address[0], udp=PORT)
    remote.on_packet = lambda packet, packet_hash: (
        remote.send(ENRResponse(b"\0" * 32, record.to_rlp()))
        if isinstance(packet, ENRRequest)
        else None
    )
    with pytest.raises(RemoteTimeout):
        link.result(engine, engine.start_request_enr(remote.node, link.now))
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
    serve_record(remote, ip="20.9.9.9", tcp=PORT, udp=PORT)
    link.run(30.0)
    assert remote.id not in engine.table  # nobody answers there


# Resolve.


def test_resolve_asks_the_node_where_it_is_said_to_be(link: Link) -> None:
    engine = link.node(1)
    remote = link.remote(2).to(engine)
    record = serve_record(remote, ip=remote.address[0], udp=PORT)
    node = link.result(engine, engine.start_resolve(remote.node, link.now))
    assert node.record == record


def test_resolve_asks_the_node_where_the_table_has_it(link: Link) -> None:
    engine = link.node(1)
    link.run(1.0)
    remote = link.remote(2).to(engine)
    remote.bond()
    record = serve_record(remote, ip=remote.address[0], udp=PORT)
    stale = remote.node.with_ip("20.9.9.9")
    assert link.result(engine, engine.start_resolve(stale, link.now)).record == record


def test_resolve_looks_up_a_node_of_which_only_the_key_is_known(link: Link) -> None:
    engines = [link.node(number) for number in range(3)]
    for engine in engines[1:]:
        engine.table.add_found(link.as_node(engines[0]), link.time)
    link.run(60.0)
    engines[1].table.remove(engines[2].id, link.time)
    wanted = Node.from_parts(key_of(2).public_key)
    node = link.result(engines[1], engines[1].start_resolve(wanted, link.now))
    assert node.udp_endpoint == link.address(engines[2])
    assert node.seq == 1


def test_resolve_takes_what_others_say_of_a_node_that_gives_no_record(link: Link) -> None:
    engine = link.node(1)
    link.run(1.0)
    remote = link.remote(2).to(engine)
    remote.answering()
    remote.bond()
    wanted = remote.node.with_ip("20.9.9.9")
    assert link.result(engine, engine.start_resolve(wanted, link.now)) == remote.node


def test_resolve_finds_a_node_that_came_into_the_table_during_the_lookup(link: Link) -> None:
    engine = link.node(1)
    link.run(1.0)
    link.remote(3).to(engine).bond()  # does not answer findnode, so the lookup takes its time
    wanted = link.remote(2).to(engine)
    record = serve_record(wanted, ip=wanted.address[0], udp=PORT)
    operation = engine.start_resolve(wanted.node.with_ip(None), link.now)
    wanted.bond()
    assert link.result(engine, operation).record == record


def test_resolve_says_when_a_node_is_not_found(link: Link) -> None:
    engine = link.node(1)
    with pytest.raises(NodeNotFound):
        link.result(engine, engine.start_resolve(link.remote(2).node.with_ip(None), link.now))
