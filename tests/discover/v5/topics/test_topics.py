"""Topics between engines: ads, searches, and registrars that lie."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from p2p.discover.v5.fields import MAX_TOPIC_DISTANCES
from p2p.discover.v5.message import (
    Message,
    Nodes,
    RegConfirmation,
    RegTopic,
    TopicNodes,
    TopicQuery,
)
from p2p.discover.v5.requests import REPLY_TIMEOUT_S
from p2p.discover.v5.sessions import Remote
from p2p.discover.v5.topics.registrar import Registrar, RegistrarConfig
from p2p.discover.v5.topics.table import TOPICS_ENTRY, TOPICS_VERSION
from p2p.discover.v5.topics.topics import MAX_ADVERTISED, MAX_AUXILIARY, MAX_SEARCHES, MAX_TABLES
from p2p.discover.v5.transport import MAX_ADVERTISERS
from p2p.enode.distance import log_distance
from p2p.enode.node import Node
from p2p.enode.topic import topic_id
from p2p.errors import NoResponse, P2PError, PacketError, ServerStateError
from p2p.inputs import Now, RandomSource
from p2p.netutil import Netlist
from tests.discover.recording import Recording
from tests.discover.v5.net import Datagram, Host, Net, arrives
from tests.discover.v5.topics.nodes import node_of

TOPIC = topic_id("a topic")
LIFETIME_S = RegistrarConfig().ad_lifetime_s
Answer = Callable[[RegTopic | TopicQuery], Sequence[Message]]


@pytest.fixture
def net() -> Net:
    return Net()


def topic_host(net: Net, number: int, *bootnodes: Host, **options: Any) -> Host:
    """A host with topics on."""
    host = net.host(number, *bootnodes, topics=True, **options)
    host.local.set(TOPICS_ENTRY, TOPICS_VERSION)
    return host


def network(net: Net, size: int) -> list[Host]:
    """Hosts with topics that know each other."""
    boot = topic_host(net, 1)
    hosts = [boot, *(topic_host(net, number, boot) for number in range(2, size + 1))]
    net.start()
    net.run(30.0)
    return hosts


def advertise(host: Host, topic: bytes = TOPIC) -> None:
    host.engine.advertise(topic, host.net.now)
    host.net.settle(host)


def find(host: Host, search: int = 1, topic: bytes = TOPIC) -> list[Node]:
    """One step of a search."""
    found: list[Node] = host.do(lambda operations, now: operations.find_topic(topic, search, now))
    return found


def register(host: Host, registrar: Host) -> Any:
    """Send one REGTOPIC; return the confirmation or raise the error."""
    return _ask(host, "register_topic", registrar, TOPIC, b"", ())


def query(host: Host, registrar: Host, distances: tuple[int, ...] = ()) -> Any:
    """Send one TOPICQUERY."""
    return _ask(host, "query_topic", registrar, TOPIC, distances)


def _ask(host: Host, method: str, registrar: Host, *arguments: Any) -> Any:
    outcomes: list[tuple[Any, P2PError | None]] = []

    def done(result: Any, error: P2PError | None, now: Now) -> None:
        outcomes.append((result, error))

    ask = getattr(host.engine.topics._transport, method)
    ask(registrar.node, *arguments, done, host.net.now)
    host.net.settle(host)
    host.net.run(4 * REPLY_TIMEOUT_S)
    ((result, error),) = outcomes
    if error is not None:
        raise error
    return result


class Full(Registrar):
    """A registrar with ads that it was given."""

    def __init__(self, advertisers: list[Node]) -> None:
        super().__init__(bytes)
        self._advertisers = advertisers

    def query(
        self, topic: bytes, random: RandomSource, now: Now, limit: int = MAX_ADVERTISERS
    ) -> list[Node]:
        return self._advertisers[:limit]


def lie(host: Host, answer: Answer) -> None:
    """Make a hostile registrar of a host."""

    def receive(request: RegTopic | TopicQuery, remote: Remote, now: Now) -> Sequence[Message]:
        return answer(request)

    host.engine.answer_topic = receive


def records(*nodes: Node) -> tuple[bytes, ...]:
    return tuple(node.record.to_rlp() for node in nodes if node.record is not None)


# ads and searches


def test_advertiser_is_found_by_others(net: Net) -> None:
    hosts = network(net, 12)
    advertise(hosts[3])
    net.run(5.0)
    assert hosts[3].engine.topics.registrars(TOPIC, net.now)
    assert find(hosts[7]) == [hosts[3].node]
    assert find(hosts[7]) == []  # the pass is over
    assert find(hosts[7]) == [hosts[3].node]
    assert find(hosts[3]) == []  # nobody finds itself


def test_ads_are_renewed_for_hours(net: Net) -> None:
    hosts = network(net, 6)
    advertise(hosts[1])
    for number in range(12):
        net.run(600.0)
        assert find(hosts[2], number) == [hosts[1].node]


def test_ads_expire_after_the_last_wish_is_gone(net: Net) -> None:
    hosts = network(net, 6)
    for _ in range(2):
        advertise(hosts[1])
    net.run(5.0)
    hosts[1].engine.withdraw(TOPIC, net.now)
    net.run(2 * LIFETIME_S)
    assert find(hosts[2], 1) == [hosts[1].node]
    hosts[1].engine.withdraw(TOPIC, net.now)
    assert hosts[1].engine.topics.advertised == []
    net.run(LIFETIME_S + 1)
    assert find(hosts[2], 2) == []
    assert all(len(host.engine.topics.registrar) == 0 for host in hosts)


def test_two_advertisers_of_a_small_network_are_both_found(net: Net) -> None:
    hosts = network(net, 10)
    for host in hosts[:2]:
        advertise(host)
    found: set[Node] = set()
    for number in range(8):
        net.run(LIFETIME_S / 2)
        found.update(find(hosts[5], number))
    assert found == {host.node for host in hosts[:2]}


def test_own_registrar_is_asked_first(net: Net) -> None:
    one, other = network(net, 2)
    advertise(one)
    net.run(5.0)
    sent = len(net.sent)
    assert find(other) == [one.node]
    assert len(net.sent) == sent


def test_nodes_without_topics_are_not_asked(net: Net) -> None:
    boot = topic_host(net, 1)
    plain = net.host(2, boot)
    advertiser = topic_host(net, 3, boot)
    net.start()
    net.run(30.0)
    advertise(advertiser)
    net.run(60.0)
    assert advertiser.engine.topics.registrars(TOPIC, net.now) == [boot.node]
    assert plain.engine.counters.packets_in["regtopic"] == 0
    assert find(boot) == [advertiser.node]  # the ad is at boot


def test_request_without_topics_gets_no_answer(net: Net) -> None:
    host, plain = topic_host(net, 1), net.host(2)
    with pytest.raises(NoResponse):
        query(host, plain)
    assert plain.engine.counters.dropped["topics"] > 0
    for call in (plain.engine.advertise, plain.engine.withdraw):
        with pytest.raises(ServerStateError, match="topics are off"):
            call(TOPIC, net.now)
    with pytest.raises(ServerStateError, match="topics are off"):
        plain.engine.operations.find_topic(TOPIC, 1, net.now)


def test_silent_registrars_rest_and_others_take_their_place(net: Net) -> None:
    hosts = network(net, 12)
    silent = {host.address for host in hosts[1:4]}
    net.fault = lambda datagram: [] if datagram.target in silent else arrives(datagram)
    advertise(hosts[5])
    net.run(60.0)
    asked = hosts[5].engine.topics
    assert asked.registrars(TOPIC, net.now)
    assert {node.udp_endpoint for node in asked.registrars(TOPIC, net.now)}.isdisjoint(silent)
    counts = hosts[5].engine.counters.packets_out
    sent = counts["regtopic"]
    net.run(120.0)
    assert counts["regtopic"] == sent


def test_lost_datagrams_do_not_end_an_ad(net: Net) -> None:
    hosts = network(net, 6)
    count = 0

    def lossy(datagram: Datagram) -> list[float]:
        nonlocal count
        count += 1
        return [] if count % 5 == 0 else arrives(datagram)

    net.fault = lossy
    advertise(hosts[1])
    net.run(LIFETIME_S)
    assert hosts[1].engine.topics.registrars(TOPIC, net.now)
    assert hosts[1].node in [*find(hosts[2]), *find(hosts[2])]


def test_steps_of_the_owner_are_observed(net: Net) -> None:
    recording = Recording()
    host = topic_host(net, 1, observer=recording)
    advertise(host)
    find(host)
    host.engine.withdraw(TOPIC, net.now)
    assert recording.commands() == ["advertise", "find_topic", "withdraw"]


# bounds


def test_number_of_advertised_topics_is_bounded(net: Net) -> None:
    host = topic_host(net, 1)
    for number in range(MAX_ADVERTISED):
        advertise(host, topic_id(f"topic {number}"))
    with pytest.raises(ServerStateError, match="advertised already"):
        advertise(host)
    advertise(host, topic_id("topic 0"))  # one more reason for the same


def test_numbers_of_tables_and_searches_are_bounded(net: Net) -> None:
    host = topic_host(net, 1)
    for number in range(MAX_SEARCHES + 10):
        assert find(host, number, topic_id(f"topic {number}")) == []
    topics = host.engine.topics
    assert len(topics._searches) == MAX_SEARCHES
    assert len(topics._tables) == MAX_TABLES


def test_answer_in_several_packets_comes_back_whole(net: Net) -> None:
    hosts = network(net, 16)
    registrar, asking = hosts[0], hosts[1]
    advertisers = [node_of(number, seq=2**60) for number in range(500, 500 + MAX_ADVERTISERS)]
    registrar.engine.topics.registrar = Full(advertisers)
    distances = asking.engine.topics._table(TOPIC).free_distances()
    answer = query(asking, registrar, distances)
    assert answer.advertisers == advertisers
    assert asking.engine.counters.packets_in["topicnodes"] > 1
    at = [log_distance(TOPIC, node.id) for node in answer.nodes]
    assert len(at) == len(set(at)) > 1
    assert set(at) <= set(distances)


# registrars that lie


def test_record_of_another_is_no_ad(net: Net) -> None:
    registrar, host = topic_host(net, 1), topic_host(net, 2)
    other = topic_host(net, 3)
    host.engine.topics._transport._local = other.local
    with pytest.raises(NoResponse):
        register(host, registrar)
    assert registrar.engine.counters.dropped["record"] > 0
    assert len(registrar.engine.topics.registrar) == 0


def test_auxiliary_nodes_are_taken_one_for_each_distance_asked_for(net: Net) -> None:
    registrar, host = topic_host(net, 1), topic_host(net, 2)
    many = [node_of(number) for number in range(500, 515)]

    def answer(request: RegTopic | TopicQuery) -> list[Message]:
        return [TopicNodes(request.request_id, 6, ())] + [
            Nodes(request.request_id, 6, records(*many[start : start + 3]))
            for start in range(0, 15, 3)
        ]

    lie(registrar, answer)
    named = query(host, registrar, (256, 255)).nodes
    assert [log_distance(TOPIC, node.id) for node in named] == [256, 255]
    assert query(host, registrar, ()).nodes == []


def test_nodes_without_confirmation_are_no_answer(net: Net) -> None:
    registrar, host = topic_host(net, 1), topic_host(net, 2)
    lie(registrar, lambda request: [Nodes(request.request_id, 1, ())])
    with pytest.raises(PacketError):
        register(host, registrar)


def test_total_that_is_a_lie_costs_one_timeout(net: Net) -> None:
    registrar, host = topic_host(net, 1), topic_host(net, 2)
    lie(registrar, lambda request: [RegConfirmation(request.request_id, 255, b"", 900_000)])
    assert register(host, registrar).wait_s == 900.0
    lie(registrar, lambda request: [RegConfirmation(request.request_id, 0, b"t", 1000)])
    assert register(host, registrar).ticket == b"t"


def test_many_advertisers_of_one_registrar_are_cut(net: Net) -> None:
    registrar, host = topic_host(net, 1), topic_host(net, 2)
    many = [node_of(number) for number in range(500, 530)]
    lie(
        registrar,
        lambda request: [
            TopicNodes(request.request_id, 10, records(*many[start : start + 3]))
            for start in range(0, 30, 3)
        ],
    )
    assert query(host, registrar).advertisers == many[:MAX_ADVERTISERS]


@pytest.mark.parametrize("ip", ["10.0.0.1", "127.0.0.1", "0.0.0.0"])
def test_advertiser_at_an_address_that_the_registrar_may_not_name(net: Net, ip: str) -> None:
    registrar, host = topic_host(net, 1), topic_host(net, 2)
    inside, outside = node_of(500, ip=ip), node_of(501)
    lie(
        registrar,
        lambda request: [TopicNodes(request.request_id, 1, records(inside, outside))],
    )
    assert query(host, registrar).advertisers == [outside]


def test_record_that_is_forged_is_left_out(net: Net) -> None:
    registrar, host = topic_host(net, 1), topic_host(net, 2)
    (good,) = records(node_of(501))
    forged = good[:10] + bytes([good[10] ^ 1]) + good[11:]
    lie(registrar, lambda request: [TopicNodes(request.request_id, 1, (forged, good))])
    assert query(host, registrar).advertisers == [node_of(501)]


def test_search_keeps_to_net_restrict(net: Net) -> None:
    allowed = Netlist.parse("20.0.0.0/16")
    registrar, host = topic_host(net, 1), topic_host(net, 2, net_restrict=allowed)
    host.engine.table.add_proven(registrar.node, net.now.monotonic)
    inside, outside = node_of(200), node_of(300)
    lie(
        registrar,
        lambda request: [TopicNodes(request.request_id, 1, records(inside, outside))],
    )
    assert find(host) == [inside]


def test_auxiliary_node_is_pinged_before_others_hear_of_it(net: Net) -> None:
    registrar, host = topic_host(net, 1), topic_host(net, 2)
    host.engine.table.add_proven(registrar.node, net.now.monotonic)
    gone = node_of(500)
    distance = log_distance(TOPIC, gone.id)
    lie(
        registrar,
        lambda request: [
            TopicNodes(request.request_id, 2, ()),
            Nodes(request.request_id, 2, records(gone)),
        ],
    )
    find(host)
    assert gone in host.engine.table.nodes()
    asking = topic_host(net, 3)
    assert gone not in query(asking, host, (distance,)).nodes


def test_auxiliary_records_are_bounded(net: Net) -> None:
    hosts = network(net, 16)
    distances = tuple(range(256, 256 - MAX_TOPIC_DISTANCES, -1))
    assert len(query(hosts[1], hosts[0], distances).nodes) <= MAX_AUXILIARY
    assert query(hosts[1], hosts[0], (0,)).nodes == []
