from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv6Address

import pytest

import p2p.errors as errors
from p2p.discover.ratelimit import Limits
from p2p.discover.transport import Target
from p2p.discover.v5 import packet as packets
from p2p.discover.v5.handshakes import CHALLENGE_TIMEOUT_S
from p2p.discover.v5.message import Nodes
from p2p.discover.v5.requests import LOOKUP_TRIES, REPLY_TIMEOUT_S, TRIES
from p2p.enode.distance import log_distance
from p2p.netutil import Endpoint, Netlist
from tests.discover.v5.net import DELAY_S, PORT, Datagram, Host, Net, address_of

IP6 = IPv6Address("2001:4860::1")


@pytest.fixture
def net() -> Net:
    return Net()


# handshakes and sessions


def test_first_request_makes_a_session_and_the_next_uses_it(net: Net) -> None:
    a, b = net.host(1), net.host(2)
    assert a.ping(b) == b.node.seq
    assert net.kinds() == ["message", "whoareyou", "handshake", "message"]
    assert a.ping(b) == b.node.seq
    assert b.ping(a) == a.node.seq
    assert net.kinds() == ["message"] * 4


def test_known_record_is_not_sent_again(net: Net) -> None:
    a, b = net.host(1), net.host(2)
    net.start()
    a.ping(b)
    with_record = next(d for d in net.sent if d.kind == "handshake")
    assert b.engine.table.get(a.node.id) == a.node
    a.restart()
    net.kinds()
    a.ping(b)
    without = next(d for d in net.sent if d.kind == "handshake")
    assert len(with_record.data) - len(without.data) == len(a.local.record.to_rlp())


def test_requests_wait_for_one_handshake(net: Net) -> None:
    a, b = net.host(1), net.host(2)
    numbers = [a.begin(lambda operations, now: operations.ping(b.node, now)) for _ in range(5)]
    assert [a.outcome(number) for number in numbers] == [b.node.seq] * 5
    kinds = net.kinds()
    assert kinds.count("whoareyou") == kinds.count("handshake") == 1
    assert kinds.count("message") == 1 + 4 + 5


def test_both_ends_at_once(net: Net) -> None:
    a, b = net.host(1), net.host(2)
    for _ in range(3):
        numbers = (
            a.begin(lambda operations, now: operations.ping(b.node, now)),
            b.begin(lambda operations, now: operations.ping(a.node, now)),
        )
        assert a.outcome(numbers[0]) == b.node.seq
        assert b.outcome(numbers[1]) == a.node.seq
    assert net.kinds().count("handshake") == 2


@pytest.mark.parametrize("restarted", ["requester", "responder"])
def test_restart_in_the_middle_of_a_session(net: Net, restarted: str) -> None:
    a, b = net.host(1), net.host(2)
    a.ping(b)
    (a if restarted == "requester" else b).restart()
    net.kinds()
    numbers = [a.begin(lambda operations, now: operations.ping(b.node, now)) for _ in range(4)]
    assert [a.outcome(number) for number in numbers] == [b.node.seq] * 4
    assert net.kinds().count("handshake") == 1


@pytest.mark.parametrize("lost", ["message", "whoareyou", "handshake"])
def test_one_lost_packet_of_each_kind(net: Net, lost: str) -> None:
    a, b = net.host(1), net.host(2)
    gone: list[Datagram] = []

    def lose_first(datagram: Datagram) -> list[float]:
        if datagram.kind == lost and not gone:
            gone.append(datagram)
            return []
        return [DELAY_S]

    net.fault = lose_first
    assert a.ping(b) == b.node.seq
    assert gone and net.time - 1000 < 2 * REPLY_TIMEOUT_S


def test_lost_response(net: Net) -> None:
    a, b = net.host(1), net.host(2)
    a.ping(b)
    lost = iter([[], [DELAY_S], [DELAY_S]])
    net.fault = lambda datagram: next(lost) if datagram.target == a.address else [DELAY_S]
    assert a.ping(b) == b.node.seq


def test_every_datagram_twice_and_out_of_order(net: Net) -> None:
    a, b = net.host(1), net.host(2)
    delays = iter([0.03, 0.01, 0.05, 0.02, 0.04] * 1000)
    net.fault = lambda datagram: [next(delays), next(delays)]
    for _ in range(20):
        numbers = [
            a.begin(lambda operations, now: operations.find_node(b.node, (0,), now))
            for _ in range(3)
        ]
        assert [a.outcome(number) for number in numbers] == [[b.node]] * 3


def test_node_that_is_not_there(net: Net) -> None:
    a, gone = net.host(1), net.host(2)
    del net.hosts[gone.address]
    numbers = [a.begin(lambda operations, now: operations.ping(gone.node, now)) for _ in range(3)]
    for number in numbers:
        with pytest.raises(errors.NoResponse):
            a.outcome(number)
    assert len(net.kinds()) == TRIES
    assert net.time - 1000 == pytest.approx(TRIES * REPLY_TIMEOUT_S)
    assert len(a.engine._requests) == 0


def test_lookup_asks_a_node_once(net: Net) -> None:
    a, gone = net.host(1), net.host(2)
    net.start(a)
    del net.hosts[gone.address]
    a.engine.table.add_found(gone.node, net.time)
    begun = net.time
    assert a.lookup(gone) == []
    assert net.time - begun == pytest.approx(LOOKUP_TRIES * REPLY_TIMEOUT_S)


def test_ping_that_waits_for_a_lookup_is_not_lost_with_it(net: Net) -> None:
    a, b = net.host(1), net.host(2)
    net.start()
    a.ping(b)
    a.restart()
    lost: list[Datagram] = []

    def lose_first(datagram: Datagram) -> list[float]:
        if not lost:
            lost.append(datagram)
            return []
        return [DELAY_S]

    a.engine.table.add_found(b.node, net.time)
    net.fault = lose_first
    goal = Target.of_key(b.key.public_key.to_bytes())
    lookup = a.begin(lambda operations, now: operations.lookup(goal, now))
    ping = a.begin(lambda operations, now: operations.ping(b.node, now))
    assert a.outcome(lookup) == []
    assert a.outcome(ping) == b.node.seq


def test_node_without_an_endpoint(net: Net) -> None:
    a, b = net.host(1), net.host(2)
    with pytest.raises(errors.NoEndpoint):
        a.ping(b.node.with_ip(None))


def test_another_node_at_the_address(net: Net) -> None:
    a, b, other = net.host(1), net.host(2), net.host(3)
    nodes = other.node.with_endpoint(b.address.ip, 0, b.address.port)
    with pytest.raises(errors.NoResponse):
        a.ping(nodes)
    assert not b.engine.counters.packets_in


# requests


def bootnode_of_many(net: Net) -> tuple[Host, Host]:
    """A bootnode with many nodes in its table, and one of them."""
    boot = net.host(1)
    hosts = [net.host(number, boot) for number in range(2, 40)]
    net.start()
    net.run(120)
    return boot, hosts[0]


@pytest.mark.slow
def test_find_node_at_each_distance(net: Net) -> None:
    boot, asker = bootnode_of_many(net)
    assert asker.find_node(boot, 0) == [boot.node]
    live = {node.id for d in range(1, 257) for node in boot.engine.table.live_at(d)}
    found = set()
    for distance in range(240, 257):
        nodes = asker.find_node(boot, distance)
        assert all(log_distance(boot.node.id, node.id) == distance for node in nodes)
        found |= {node.id for node in nodes}
    assert found | {asker.node.id} == live | {asker.node.id} and len(found) > 20


@pytest.mark.slow
def test_many_records_come_in_several_packets(net: Net) -> None:
    boot, asker = bootnode_of_many(net)
    net.kinds()
    assert len(asker.find_node(boot, *range(240, 257))) == 16
    answers = [datagram for datagram in net.sent if datagram.source == boot.address]
    assert 1 < len([d for d in answers if d.target == asker.address]) <= 5
    assert max(len(datagram.data) for datagram in net.sent) <= packets.MAX_PACKET_SIZE


@pytest.mark.slow
def test_each_node_is_found_in_time_though_a_response_has_sixteen(net: Net) -> None:
    boot, asker = bootnode_of_many(net)
    distances = (255, 256)
    live = {node.id for d in distances for node in boot.engine.table.live_at(d)}
    assert len(live - {asker.node.id}) > 16
    answers = [asker.find_node(boot, *distances) for _ in range(40)]
    assert max(len(nodes) for nodes in answers) == 16
    assert {node.id for nodes in answers for node in nodes} == live - {asker.node.id}


def test_silent_node_of_the_table_is_pinged_twice_and_dropped(net: Net) -> None:
    a = net.host(1)
    b = net.host(2, a)
    net.start()
    net.run(60)
    entry = a.engine.table.entry(b.node.id)
    assert entry is not None and entry.live
    del net.hosts[b.address]
    entry.checks = 1
    net.sent.clear()
    while not entry.removed:
        net.step()
    assert [datagram.target for datagram in net.sent] == [b.address] * 2


def test_nodes_of_other_distances_are_passed_over(
    net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = net.host(1), net.host(2)
    monkeypatch.setattr(
        b.engine, "_records_at", lambda distances, remote: [b.local.record.to_rlp()] * 2
    )
    assert a.find_node(b, 256, 255) == []
    assert a.find_node(b, 0) == [b.node]


def test_record_is_verified_once(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = net.host(1), net.host(2)
    (first,) = a.find_node(b, 0)
    (again,) = a.find_node(b, 0)
    assert first is again
    b.local.set("n", 7)
    (newer,) = a.find_node(b, 0)
    assert newer.seq == first.seq + 1
    broken = bytearray(b.local.record.to_rlp())
    broken[5] ^= 1  # in the signature
    monkeypatch.setattr(b.engine, "_records_at", lambda distances, remote: [bytes(broken)])
    for _ in range(2):
        assert a.find_node(b, 0) == []


def test_own_record_once(net: Net) -> None:
    a, b = net.host(1), net.host(2)
    assert a.find_node(b, 0, 0, 0) == [b.node]
    assert a.find_node(b) == []


def test_record_that_changes(net: Net) -> None:
    a, b = net.host(1), net.host(2)
    seq = a.ping(b)
    b.local.set("eth", [1, 2])
    assert a.ping(b) == seq + 1
    assert a.request_enr(b).record == b.local.record


def test_table_follows_records(net: Net) -> None:
    boot = net.host(1)
    a = net.host(2, boot)
    net.start()
    net.run(60)
    boot.local.set("n", 7)
    net.run(120)
    known = a.engine.table.get(boot.node.id)
    assert known is not None and known.record == boot.local.record


def test_node_known_without_a_record(net: Net) -> None:
    a, b = net.host(1), net.host(2)
    bare = b.node.from_parts(b.key.public_key, b.address.ip, 0, b.address.port)
    assert a.ping(bare) == b.node.seq
    assert a.request_enr(bare) == b.node


def test_talk(net: Net) -> None:
    a, b = net.host(1), net.host(2)
    number = a.begin(lambda operations, now: operations.talk(b.node, b"echo", b"hi", now))
    while not b.talks:
        net.step()
    (request,) = b.talks
    assert (request.node_id, request.address) == (a.node.id, a.address)
    assert (request.protocol, request.request) == (b"echo", b"hi")
    b.engine.respond(request, b"hi again", net.now)
    net.settle(b)
    assert a.outcome(number) == b"hi again"


def test_response_that_does_not_fit(net: Net) -> None:
    a, b = net.host(1), net.host(2)
    a.begin(lambda operations, now: operations.talk(b.node, b"echo", b"hi", now))
    while not b.talks:
        net.step()
    with pytest.raises(errors.EncodeError):
        b.engine.respond(b.talks[0], bytes(1300), net.now)


# the network


@pytest.mark.slow
def test_network_is_found_from_one_bootnode(net: Net) -> None:
    boot = net.host(1)
    hosts = [boot] + [net.host(number, boot) for number in range(2, 30)]
    net.start()
    net.run(60)
    for host in hosts[1:4]:
        found = host.lookup(hosts[-1])
        assert found[0] == hosts[-1].node
        assert len(found) == 16
    assert min(len(host.engine.table) for host in hosts) >= 16


@pytest.mark.slow
def test_our_address_by_majority(net: Net) -> None:
    boot = net.host(1)
    hosts = [net.host(number, boot) for number in range(2, 20)]
    net.start()
    net.run(300)
    statements = hosts[0].local._address4.tracker
    assert statements.predict_endpoint(net.time) == hosts[0].address


# bounds


def test_challenge_is_smaller_than_its_cause(net: Net) -> None:
    a, b = net.host(1), net.host(2)
    a.ping(b)
    message, whoareyou = net.sent[:2]
    assert (message.kind, whoareyou.kind) == ("message", "whoareyou")
    assert len(whoareyou.data) < len(message.data)


def test_nothing_but_a_challenge_goes_to_an_unproven_endpoint(net: Net) -> None:
    a, b = net.host(1), net.host(2)
    a.ping(b)
    victim = address_of(9)
    sent = [d for d in net.sent if d.target == b.address]
    net.kinds()
    for datagram in sent:
        for _ in range(3):
            net.inject(datagram.data, victim, b)
    net.run(2)
    to_victim = [d for d in net.sent if d.target == victim]
    assert sum(len(d.data) for d in to_victim) < sum(len(d.data) for d in sent) * 3
    assert {len(d.data) for d in to_victim} == {packets.MIN_PACKET_SIZE}


def test_whoareyou_that_nobody_asked_for(net: Net) -> None:
    a, b = net.host(1), net.host(2)
    a.ping(b)
    whoareyou = next(d for d in net.sent if d.kind == "whoareyou")
    net.kinds()
    net.inject(whoareyou.data, b.address, a)
    net.inject(whoareyou.data, address_of(9), a)
    assert a.engine.counters.dropped["unsolicited"] == 2
    assert net.kinds() == []


def test_whoareyou_from_elsewhere_is_passed_over(net: Net) -> None:
    a, b = net.host(1), net.host(2)
    number = a.begin(lambda operations, now: operations.ping(b.node, now))
    while not any(d.kind == "whoareyou" for d in net.sent):
        net.step()
    whoareyou = next(d for d in net.sent if d.kind == "whoareyou")
    net.inject(whoareyou.data, Endpoint(b.address.ip, 1), a)
    assert a.engine.counters.dropped["unsolicited"] == 1
    assert a.outcome(number) == b.node.seq


def test_replayed_handshake_is_refused(net: Net) -> None:
    a, b = net.host(1), net.host(2)
    a.ping(b)
    handshake = next(d for d in net.sent if d.kind == "handshake")
    net.inject(handshake.data, a.address, b)
    net.inject(handshake.data, address_of(9), b)
    assert b.engine.counters.dropped["handshake"] == 2
    assert a.ping(b) == b.node.seq


def test_challenge_expires(net: Net) -> None:
    a, b = net.host(1), net.host(2)
    net.fault = lambda d: [CHALLENGE_TIMEOUT_S + 0.01 if d.kind == "handshake" else DELAY_S]
    with pytest.raises(errors.NoResponse):
        a.ping(b)
    net.run(2)
    assert b.engine.counters.dropped["handshake"] == TRIES
    assert len(b.engine._sessions) == 0


def test_challenges_are_bounded(net: Net) -> None:
    a, b = net.host(1), net.host(2)
    b.engine._handshakes._max = 2
    silent = [net.host(number) for number in range(10, 15)]
    net.fault = lambda d: [] if d.kind == "whoareyou" else [DELAY_S]
    for host in silent:
        host.begin(lambda operations, now: operations.ping(b.node, now))
    net.run(0.5)
    assert b.engine.counters.dropped["challenges"] == 3
    net.run(5)
    net.fault = lambda d: [DELAY_S]
    assert a.ping(b) == b.node.seq


def test_other_datagrams_are_of_another_protocol(net: Net) -> None:
    a, b = net.host(1), net.host(2)
    a.ping(b)
    for data in (b"", b"x" * 200, bytes(1281), net.sent[0].data):
        assert not a.engine.receive_datagram(data, b.address, net.now)
    assert not a.engine.counters.dropped
    assert b.engine.receive_datagram(net.sent[0].data, a.address, net.now)


def test_sessions_are_bounded(net: Net) -> None:
    b = net.host(2)
    b.engine._sessions._max = 3
    for number in range(10, 20):
        net.host(number).ping(b)
    assert len(b.engine._sessions) == 3
    again = net.hosts[address_of(10)]
    assert again.ping(b) == b.node.seq


def test_flood_of_unreadable_messages_is_limited(net: Net) -> None:
    a, b = net.host(1), net.host(2, limits=Limits(source_per_s=1.0, source_burst=5.0))
    a.ping(b)
    message = net.sent[0].data
    net.kinds()
    for port in range(1, 101):
        net.inject(message, Endpoint(address_of(9).ip, port), b)
    assert net.kinds().count("?") == 5
    assert b.engine.counters.dropped["rate"] == 95
    assert a.ping(b) == b.node.seq


def test_handshake_with_the_record_of_another_node(net: Net) -> None:
    a, b, other = net.host(1), net.host(2), net.host(3)
    a.engine._handshakes._local = other.local
    with pytest.raises(errors.NoResponse):
        a.ping(b)
    assert b.engine.counters.dropped["handshake"] >= 1
    assert len(b.engine._sessions) == 0


@pytest.mark.parametrize("total", [0, 1, 2, 255])
def test_total_that_lies(net: Net, monkeypatch: pytest.MonkeyPatch, total: int) -> None:
    a, b = net.host(1), net.host(2)

    class Lying(Nodes):
        def __init__(self, request_id: bytes, _total: int, records: Sequence[bytes]) -> None:
            super().__init__(request_id, total, records)

    monkeypatch.setattr("p2p.discover.v5.engine.Nodes", Lying)
    begun = net.time
    assert a.find_node(b, 0) == [b.node]
    assert net.time - begun < 1.0 and len(a.engine._requests) == 0


# two families


def with_both(net: Net) -> tuple[Host, Host]:
    """Two hosts: the second has a record with two addresses, and is at that of IPv6 only."""
    a, b = net.host(1), net.host(2)
    net.hosts[Endpoint(IP6, PORT)] = net.hosts.pop(b.address)
    b.address = Endpoint(IP6, PORT)
    b.local.set_static_ip(IP6)
    assert [each.ip for each in b.node.endpoints] == [address_of(2).ip, IP6]
    return a, b


def test_bootnode_that_is_silent_at_one_address_is_found_at_the_other(net: Net) -> None:
    a, b = with_both(net)
    a.bootnodes = [b.node]
    a.restart()
    net.start(a)
    net.run(30.0)
    (found,) = a.engine.table.nodes()
    assert found.udp_endpoint == b.address
    assert a.engine.table.live_count == 1


def test_node_is_resolved_at_its_second_address(net: Net) -> None:
    a, b = with_both(net)
    found = a.do(lambda operations, now: operations.resolve(b.node, now))
    assert found.record == b.node.record


def test_node_that_is_silent_at_one_address_is_asked_at_the_other(net: Net) -> None:
    a, b = with_both(net)
    assert a.ping(b) == b.node.seq
    assert a.request_enr(b).record == b.node.record
    assert a.find_node(b, 0) == [b.node]
    assert {datagram.target for datagram in net.sent} >= {address_of(2), b.address}
    del net.hosts[b.address]
    with pytest.raises(errors.NoResponse):
        a.ping(b)
    number = a.begin(lambda operations, now: operations.ping(b.node, now))
    a.engine.operations.cancel(number)
    net.run(10.0)
    assert a.done(number) is None


def test_node_is_asked_at_the_address_that_net_restrict_allows(net: Net) -> None:
    _, b = with_both(net)
    c = net.host(3, net_restrict=Netlist.parse("2001::/16"))
    assert c.ping(b) == b.node.seq
    assert c.request_enr(b).record == b.node.record
    assert c.find_node(b, 0) == [b.node]
    with pytest.raises(errors.NoResponse):  # the request comes, and no program answers it
        c.talk(b, b"none", b"")
    assert b.talks


def test_node_is_asked_at_the_address_that_the_socket_reaches(net: Net) -> None:
    _, b = with_both(net)
    c = net.host(3, ip_version=6)
    assert c.ping(b) == b.node.seq
    assert c.do(lambda operations, now: operations.resolve(b.node, now)).record == b.node.record
    d = net.host(4, b, ip_version=6)
    net.start(d)
    net.run(5.0)
    known = d.engine.table.get(b.node.id)
    assert known is not None and known.udp_endpoint == b.address
    assert not any(datagram.target == address_of(2) for datagram in net.sent)


def test_neighbor_is_asked_at_the_address_that_net_restrict_allows(net: Net) -> None:
    _, b = with_both(net)
    middle = net.host(3)
    middle.engine.table.add_found(b.node.within(Netlist.parse("2001::/16")), net.time)
    assert middle.engine.table.mark_live(b.node.id, IP6)
    networks = Netlist.parse(f"2001::/16, {middle.address.ip}/32")
    c = net.host(4, middle, net_restrict=networks)
    net.start(c)
    net.run(5.0)
    known = c.engine.table.get(b.node.id)
    assert known is not None and known.udp_endpoint == b.address
