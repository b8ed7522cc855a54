"""The engine against what strangers send: junk, forgeries, floods, replays, and wrong clocks."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address

import pytest

from p2p.crypto import PrivateKey, keccak256
from p2p.discover.event import OperationDone
from p2p.discover.ratelimit import Limits, SourceLimits, TokenBuckets
from p2p.discover.v4 import wire as v4wire
from p2p.discover.v4.amplification import MAX_AMPLIFICATION, AmplificationBudget
from p2p.discover.v4.bonds import MAX_ADDRESSES, MAX_WAITING, Bonds
from p2p.discover.v4.engine import EngineV4
from p2p.discover.v4.wire import (
    ENRRequest,
    ENRResponse,
    FindNode,
    NeighborNode,
    Neighbors,
    Packet,
    Ping,
    Pong,
)
from p2p.discover.wallclock import WallClock
from p2p.enode.db.memory import NodeMemory
from p2p.enode.node import Node
from p2p.enode.nodeid import NodeID
from p2p.inputs import Now
from p2p.netutil import NodeEndpoint
from tests.kit.link import PORT, START_UNIX, Link, Remote, address_of, key_of

HOUR_S = 3600.0
DAY_S = 24 * HOUR_S
TARGET = b"t" * 64


@pytest.fixture
def link() -> Link:
    return Link()


def sealed(signature: bytes, body: bytes) -> bytes:
    """A datagram whose hash is right, whatever else is wrong."""
    return keccak256(signature + body) + signature + body


def ping_datagram(link: Link, number: int = 2) -> bytes:
    here = NodeEndpoint(*address_of(number), PORT)
    ping = Ping(4, here, NodeEndpoint(*address_of(1), 0), int(link.now.unix) + 20)
    return v4wire.encode(key_of(number), ping)[0]


# What is no packet.

JUNK = [
    ("size", b""),
    ("size", b"x"),
    ("size", b"x" * 97),
    ("size", b"x" * 1281),
    ("size", b"x" * 65535),
    ("hash", b"x" * 98),
    ("hash", b"x" * 97 + b"\x01" + b"x" * 1182),
    ("type", sealed(b"s" * 65, b"\x07\xc0")),
    ("type", sealed(b"s" * 65, b"\x00\xc0")),
    ("signature", sealed(b"\x00" * 64 + b"\x1b", b"\x01\xc0")),
    ("data", sealed(b"\x00" * 65, b"\x01")),
    ("data", sealed(b"\x00" * 65, b"\x01\xc0")),
    ("data", sealed(b"\x00" * 65, b"\x01\xc4\x04\x80")),
    ("signature", sealed(b"\x00" * 65, b"\x05\xc5\x84\xff\xff\xff\xff")),
]


@pytest.mark.parametrize("reason, data", JUNK)
def test_what_is_no_packet_is_counted_and_never_answered(
    link: Link, reason: str, data: bytes
) -> None:
    engine = link.node(1)
    engine.receive_datagram(data, address_of(2), link.now)
    assert engine.counters.dropped == {reason: 1}
    assert engine.datagrams_to_send() == []
    assert engine.counters.unproven_bytes_in == 0


@pytest.mark.parametrize("reason, data", JUNK)
def test_a_datagram_is_v4s_if_its_hash_is_right(link: Link, reason: str, data: bytes) -> None:
    is_ours = reason not in ("size", "hash")
    assert link.node(1).receive_datagram(data, address_of(2), link.now) is is_ours


def test_a_packet_is_v4s_even_if_it_is_dropped_and_unread_ones_are_anybodys(link: Link) -> None:
    engine = link.node(1)
    data = ping_datagram(link)
    assert engine.receive_datagram(data, address_of(2), link.now)
    late = Now(link.time + HOUR_S, link.now.unix + HOUR_S)
    assert engine.receive_datagram(data, address_of(2), late)
    assert engine.counters.dropped == {"expired": 1}
    pong = Pong(NodeEndpoint(*address_of(1), 0), bytes(32), int(late.unix) + 20)
    unsolicited, _ = v4wire.encode(key_of(2), pong)
    assert not engine.receive_datagram(unsolicited, address_of(3), late)


def test_any_change_of_a_packet_is_dropped(link: Link) -> None:
    engine = link.node(1)
    data = ping_datagram(link)
    for position in range(len(data)):
        changed = bytearray(data)
        changed[position] ^= 1
        engine.receive_datagram(bytes(changed), address_of(2), link.now)
    assert engine.datagrams_to_send() == []
    assert engine.counters.dropped.total() == len(data)


def test_data_behind_a_packet_is_passed_over(link: Link) -> None:
    engine = link.node(1)
    data = ping_datagram(link)[97:] + b"trailing"
    signature = key_of(2).sign(keccak256(data))
    engine.receive_datagram(sealed(signature, data), address_of(2), link.now)
    assert len(engine.datagrams_to_send()) == 2  # a pong, and a ping for a proof


@pytest.mark.parametrize("expiration", [0, int(START_UNIX) - 1, 2**63, 2**64 - 20, 2**64 - 1])
def test_an_expired_packet_is_not_answered(link: Link, expiration: int) -> None:
    engine = link.node(1)
    remote = link.remote(2).to(engine)
    remote.bond()
    remote.ping(expiration=expiration)
    remote.send(FindNode(TARGET, expiration))
    remote.send(ENRRequest(expiration))
    link.run(0.1)
    assert remote.received == []
    assert engine.counters.dropped["expired"] == 3


def test_an_expired_pong_proves_nothing(link: Link) -> None:
    engine = link.node(1)
    link.run(1.0)
    remote = link.remote(2).to(engine)
    remote.answers_pings = False
    remote.on_packet = lambda packet, packet_hash: (
        remote.pong(packet_hash, expiration=int(link.now.unix) - 5)
        if isinstance(packet, Ping)
        else None
    )
    remote.ping()
    link.run(0.2)
    assert remote.id not in engine.table


def test_our_own_packets_are_ignored(link: Link) -> None:
    engine = link.node(1)
    ourselves = link.remote(1, address_of(2)).to(engine)
    ourselves.ping()
    link.run(0.1)
    assert ourselves.received == []
    assert engine.counters.dropped == {"self": 1}


def test_a_datagram_from_port_0_is_dropped(link: Link) -> None:
    engine = link.node(1)
    engine.receive_datagram(ping_datagram(link), (address_of(2)[0], 0), link.now)
    assert engine.counters.dropped == {"address": 1}


def test_an_ipv4_address_in_ipv6_form_is_the_ipv4_address(link: Link) -> None:
    engine = link.node(1)
    ip, port = address_of(2)
    mapped = IPv6Address(f"::ffff:{ip}")
    engine.receive_datagram(ping_datagram(link), (mapped, port), link.now)
    assert {addr for _, addr in engine.datagrams_to_send()} == {(ip, port)}


# Proofs that are none.


def proof_of(link: Link, answer_with: str) -> bool:
    """Whether a remote that answers our ping in a certain way counts as proven."""
    engine = link.node(1)
    link.run(1.0)
    remote = link.remote(2).to(engine)
    stranger = link.remote(3).to(engine)
    remote.answers_pings = False

    def answer(packet: Packet, packet_hash: bytes) -> None:
        if not isinstance(packet, Ping):
            return
        if answer_with == "right":
            remote.pong(packet_hash)
        elif answer_with == "wrong hash":
            remote.pong(bytes(32))
        elif answer_with == "other address":
            remote.pong(packet_hash, source=address_of(4))
        elif answer_with == "other node":
            stranger.pong(packet_hash, source=remote.address)

    remote.on_packet = answer
    remote.ping()
    link.run(0.4)
    remote.received.clear()
    remote.send(FindNode(TARGET, remote.expiration))
    link.run(0.2)
    return bool(remote.got(Neighbors))


@pytest.mark.parametrize(
    "answer_with, proven",
    [("right", True), ("wrong hash", False), ("other address", False), ("other node", False)],
)
def test_a_pong_proves_an_endpoint_by_its_hash_and_its_sender(
    link: Link, answer_with: str, proven: bool
) -> None:
    assert proof_of(link, answer_with) == proven


# Amplification.


@pytest.mark.parametrize("packet", ["ping", "findnode", "enr request", "mixed"])
def test_an_unproven_address_gets_at_most_three_times_what_it_sent(link: Link, packet: str) -> None:
    engine = link.node(1)
    link.run(1.0)
    for number in range(10, 40):
        link.remote(number).to(engine).bond()
    victim = link.remote(2).to(engine)
    victim.answers_pings = False
    before = engine.counters.unproven_bytes_in, engine.counters.unproven_bytes_out
    kinds = {
        "ping": [victim.ping],
        "findnode": [lambda: victim.send(FindNode(TARGET, victim.expiration))],
        "enr request": [lambda: victim.send(ENRRequest(victim.expiration))],
    }
    chosen = kinds.get(packet) or [send for sends in kinds.values() for send in sends]
    for _ in range(20):
        for send in chosen:
            send()
        link.run(0.6)
        assert victim.bytes_in <= MAX_AMPLIFICATION * victim.bytes_out
    came, went = engine.unproven_bytes(victim.address[0])
    assert (came, went) == (victim.bytes_out, victim.bytes_in)
    assert engine.counters.unproven_bytes_in - before[0] == victim.bytes_out
    assert engine.counters.unproven_bytes_out - before[1] == victim.bytes_in


@pytest.mark.parametrize("kind", [FindNode, ENRRequest])
def test_requests_without_a_proof_get_silence(link: Link, kind: type[Packet]) -> None:
    engine = link.node(1)
    remote = link.remote(2).to(engine)
    fields = (TARGET,) if kind is FindNode else ()
    remote.send(kind(*fields, remote.expiration))  # type: ignore[call-arg, arg-type]
    link.run(1.0)
    assert remote.received == []
    assert engine.counters.dropped == {"unproven": 1}


def test_the_budget_lets_three_times_as_much_out_as_came_in() -> None:
    budget = AmplificationBudget()
    ip = address_of(1)[0]
    assert not budget.spend(ip, 1)
    budget.received(ip, 100)
    assert budget.spend(ip, 300)
    assert not budget.spend(ip, 1)
    assert budget.of(ip) == (100, 300)


def test_an_address_the_budget_has_forgotten_has_no_credit() -> None:
    budget = AmplificationBudget(max_addresses=2)
    ips = [address_of(number)[0] for number in range(3)]
    for ip in ips:
        budget.received(ip, 100)
    assert not budget.spend(ips[0], 1)
    assert len(budget) == 2


# Floods.


def test_a_flood_from_one_network_costs_no_more_than_its_limit(link: Link) -> None:
    engine = link.node(1, limits=Limits(source_per_s=10, source_burst=20))
    remote = link.remote(2).to(engine)
    remote.answers_pings = False
    for _ in range(100):
        remote.ping()
    link.run(0.1)
    assert len(remote.got(Pong)) == 20
    assert engine.counters.dropped["rate"] == 80
    remote.received.clear()
    link.run(1.0)
    for _ in range(100):
        remote.ping()
    link.run(0.1)
    assert 10 <= len(remote.got(Pong)) <= 11


def test_a_flood_from_one_network_does_not_disturb_others(link: Link) -> None:
    engine = link.node(1, limits=Limits(source_per_s=10, source_burst=20))
    flooder, other = link.remote(2).to(engine), link.remote(3).to(engine)
    for _ in range(100):
        flooder.ping()
    other.ping()
    link.run(0.1)
    assert other.got(Pong)


def test_a_flood_of_strangers_does_not_disturb_known_nodes(link: Link) -> None:
    engine = link.node(1, limits=Limits(unverified_per_s=10, unverified_burst=20))
    known, stranger = link.remote(2).to(engine), link.remote(3).to(engine)
    known.bond()
    for number in range(100):
        stranger.send_raw(ping_datagram(link, 3), source=address_of(100 + number))
    known.ping()
    stranger.ping()
    link.run(0.1)
    assert known.got(Pong)
    assert not stranger.received
    assert engine.counters.dropped["rate"] >= 80
    link.run(2.0)
    stranger.ping()
    link.run(0.1)
    assert stranger.got(Pong)


def test_local_networks_have_no_limit() -> None:
    limits = SourceLimits(Limits(source_burst=1, unverified_burst=1))
    for _ in range(10):
        assert limits.allows(IPv4Address("127.0.0.1"), False, 0.0)
        limits.spent(IPv4Address("127.0.0.1"), False, 0.0)


def test_buckets_of_tokens_are_bounded_in_number() -> None:
    buckets: TokenBuckets[int] = TokenBuckets(1.0, 1.0, max_keys=10)
    for key in range(100):
        buckets.take(key, 0.0)
    assert len(buckets) == 10
    assert buckets.level(99, 0.0) == 0.0


def test_bonds_are_bounded_in_memory() -> None:
    now = Now(0.0, START_UNIX)
    bonds = Bonds(NodeMemory(), WallClock(now))
    key = PrivateKey.from_bytes(b"\x01" * 32).public_key
    ips = [IPv4Address(0x14000000 + n) for n in range(MAX_ADDRESSES + MAX_WAITING)]
    for n, ip in enumerate(ips):
        node_id = NodeID(n.to_bytes(32, "big"))
        bonds.await_proof(Node(node_id, ip, public_key=key), ip)
    assert len(bonds._waiting) == MAX_WAITING
    for n, ip in enumerate(ips):
        bonds.note_proof(NodeID(n.to_bytes(32, "big")), ip, now)
    assert len(bonds._addresses) == MAX_ADDRESSES
    assert bonds.knows(ips[-1]) and not bonds.knows(ips[0])


def test_a_reply_nobody_waits_for_costs_no_hash_and_no_signature(link: Link) -> None:
    def decode(data: bytes) -> v4wire.Received:
        raise AssertionError("it was decoded")

    engine = link.node(1, decode=decode)
    remote = link.remote(2).to(engine)
    remote.pong(bytes(32))
    remote.send(Neighbors([], remote.expiration))
    link.run(0.1)
    assert engine.counters.dropped == {"unsolicited": 2}


def test_unproven_pings_leave_no_trace_in_the_store(link: Link) -> None:
    store = NodeMemory()
    engine = link.node(1, store=store)
    for number in range(10, 60):
        remote = link.remote(number).to(engine)
        remote.answers_pings = False
        remote.ping()
    link.run(1.0)
    assert not store._addresses


def test_junk_is_cheap_and_leaves_nothing_behind(link: Link) -> None:
    engine = link.node(1)
    link.run(1.0)
    rng = random.Random(5)
    junk = [rng.randbytes(rng.randrange(98, 1281)) for _ in range(1000)]
    addresses = [(IPv4Address(rng.getrandbits(32)), 30303) for _ in range(1000)]
    begun = time.process_time()
    for _ in range(20):
        for data, address in zip(junk, addresses, strict=True):
            engine.receive_datagram(data, address, link.now)
    assert time.process_time() - begun < 1.0  # a second's worth of packets
    assert engine.counters.dropped.total() == 20_000
    assert engine.datagrams_to_send() == []
    assert len(engine._limits) == 0
    assert len(engine._sender.budget) == 0


# Replays.


def replayed(link: Link, kind: type[Packet]) -> tuple[EngineV4, Remote]:
    """Have each datagram of a remote arrive twice."""
    engine = link.node(1)
    link.run(1.0)
    remote = link.remote(2).to(engine)
    once = remote.send_raw

    def twice(data: bytes, source: object = None) -> None:
        once(data)
        once(data)

    remote.send_raw = twice  # type: ignore[method-assign, assignment]
    return engine, remote


def test_packets_that_arrive_twice_do_no_harm(link: Link) -> None:
    engine, remote = replayed(link, Ping)
    remote.ping()
    link.run(0.2)
    assert engine.table.nodes() == [remote.node]
    assert engine.counters.dropped == {"unsolicited": 1}  # the second pong


def test_a_ping_replayed_from_another_address_proves_nothing_there(link: Link) -> None:
    engine = link.node(1)
    link.run(1.0)
    remote = link.remote(2).to(engine)
    remote.bond()
    victim = link.remote(3)
    victim.answers_pings = False
    remote.send_raw(ping_datagram(link), source=victim.address)
    link.run(1.0)
    assert engine.table.nodes() == [remote.node]
    assert victim.bytes_in <= MAX_AMPLIFICATION * len(ping_datagram(link))


# Anything at all.


def any_packet(rng: random.Random, hashes: list[bytes], expiration: int) -> Packet:
    """A packet with fields of any kind, some of them taken from what was received."""

    def endpoint() -> NodeEndpoint:
        ips = (None, IPv4Address(rng.getrandbits(32)), IPv6Address(rng.getrandbits(128)))
        return NodeEndpoint(rng.choice(ips), rng.getrandbits(16), rng.getrandbits(16))

    def neighbor() -> NeighborNode:
        key = rng.choice((rng.randbytes(64), key_of(rng.randrange(6)).public_key.to_bytes()))
        return NeighborNode(*endpoint(), key)

    packet_hash = rng.choice([*hashes[-3:], rng.randbytes(32)])
    seq = rng.choice((None, 0, rng.getrandbits(64)))
    makers: list[Callable[[], Packet]] = [
        lambda: Ping(rng.getrandbits(16), endpoint(), endpoint(), expiration, seq),
        lambda: Pong(endpoint(), packet_hash, expiration, seq),
        lambda: FindNode(rng.randbytes(64), expiration),
        lambda: Neighbors([neighbor() for _ in range(rng.randrange(12))], expiration),
        lambda: ENRRequest(expiration),
        lambda: ENRResponse(packet_hash, rng.choice((b"\xc0", b"\xc2\x01\x02"))),
    ]
    return rng.choice(makers)()


@pytest.mark.parametrize("seed", range(5))
def test_no_sequence_of_packets_and_pauses_raises(seed: int) -> None:
    link = Link(seed=seed, plain=True)
    rng = random.Random(seed)
    engine = link.node(0, bootnodes=[link.remote(1).node])
    remotes = [link.remote(number).to(engine) for number in range(1, 6)]
    for _ in range(400):
        remote = rng.choice(remotes)
        remote.answers_pings = rng.random() < 0.8
        hashes = [packet_hash for _, packet_hash in remote.received]
        sources = [remote.address, remotes[0].address, (IPv4Address(rng.getrandbits(32)), 9)]
        remote.send(any_packet(rng, hashes, remote.expiration), source=rng.choice(sources))
        if rng.random() < 0.1:
            starts = (
                engine.operations.ping,
                engine.operations.resolve,
                engine.operations.request_enr,
            )
            rng.choice(starts)(remote.node, link.now)
            engine.operations.random_lookup(link.now)
        link.run(rng.choice((0.0, 0.02, 0.3, 2.0)))
    link.run(60.0)
    done = [e for e in link.events[link.address(engine)] if isinstance(e, OperationDone)]
    assert len(done) == len({event.operation for event in done})
    assert len(engine.operations) == 0
    assert len(engine._requests) <= 4
