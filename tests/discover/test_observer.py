"""The observer of a discovery engine: what it is told, and what can be made of that."""

from __future__ import annotations

import logging
import socket
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import cast

import pytest

from p2p.crypto import PrivateKey, keccak256
from p2p.discover.event import NodeAdded, NodeRemoved
from p2p.discover.observer import DiscoveryObserver
from p2p.discover.ratelimit import Limits
from p2p.discover.table.bucket import NodeState
from p2p.discover.v4 import wire as v4wire
from p2p.discover.v4.engine import EngineV4
from p2p.discover.v4.wire import ENRRequest, FindNode, Packet, Ping
from p2p.enode.db.memory import NodeMemory
from p2p.enode.nodeid import NodeID
from p2p.errors import NodeNotFound, P2PError
from p2p.net import sockaddr_of
from tests.discover.recording import Recording, replay
from tests.kit.link import PORT, Address, Link, Remote, address_of, key_of
from tests.kit.observers import Failing, methods_of
from tests.kit.services import Services, knows

TARGET = b"t" * 64


class Network:
    """Some engines on a link that loses datagrams; one of them is observed."""

    def __init__(
        self, observer: DiscoveryObserver | None, size: int = 40, plain: bool = False
    ) -> None:
        self.link = link = Link(plain=plain)
        link.lost = lambda source, target, data: link.random.random() < 0.1
        boot = link.node(1)
        bootnodes = [link.as_node(boot)]
        link.run(1.0)
        self.store = NodeMemory()
        self.engine = link.node(2, bootnodes=bootnodes, store=self.store, observer=observer)
        self.address = link.address(self.engine)
        link.run(1.0)
        self.others = [link.node(number, bootnodes=bootnodes) for number in range(3, size + 1)]

    def live(self) -> Network:
        """All commands, nodes that go, a clock that jumps."""
        link, engine = self.link, self.engine
        operations = engine.operations
        link.run(60.0)
        nodes = [link.as_node(other) for other in self.others]
        gone = Remote(link, key_of(999), address_of(999)).node
        operations.ping(nodes[3], link.now)
        operations.request_enr(nodes[4], link.now)
        operations.resolve(nodes[5], link.now)
        operations.random_lookup(link.now)
        operations.cancel(operations.random_lookup(link.now))
        link.lookup(engine, TARGET)
        with pytest.raises(P2PError):
            link.ping(engine, gone)
        with pytest.raises(NodeNotFound):
            link.result(engine, operations.resolve(gone, link.now))
        for other in self.others[5 : 5 + len(self.others) // 2]:
            link.detach(other)
        link.run(200.0)
        link.jump_wall_clock(3600.0)
        engine.refresh(link.now)
        link.run(60.0)
        return self


@pytest.fixture
def link() -> Link:
    return Link()


@pytest.fixture(scope="module")
def lived() -> tuple[Network, Recording]:
    told = Recording()
    return Network(told).live(), told


# What it is told.


@pytest.mark.slow
def test_all_commands_are_told_once(lived: tuple[Network, Recording]) -> None:
    _, told = lived
    assert told.commands() == [
        *("ping", "request_enr", "resolve", "random_lookup", "random_lookup", "cancel"),
        *("lookup", "ping", "resolve", "refresh"),
    ]  # fmt: skip


@pytest.mark.slow
def test_each_query_of_a_lookup_is_told(lived: tuple[Network, Recording]) -> None:
    _, told = lived
    asked, answered = told.told("lookup_asked"), told.told("lookup_answered")
    assert len(asked) > 100
    queries = {(lookup, node.id) for lookup, _target, node in asked}
    assert len(queries) == len(asked)
    assert {(lookup, node_id) for lookup, node_id, _ in answered} <= queries
    assert {named is None for _, _, named in answered} == {True, False}
    targets = {lookup: target for lookup, target, _ in asked}
    assert all(targets[lookup] == target for lookup, target, _ in asked)


@pytest.mark.slow
def test_each_lookup_is_told_its_end(lived: tuple[Network, Recording]) -> None:
    _, told = lived
    ended = dict(told.told("lookup_ended"))
    assert len(ended) == len(told.told("lookup_ended"))
    answers = told.told("lookup_answered")
    for lookup, found in ended.items():
        own = [(node_id, named) for number, node_id, named in answers if number == lookup]
        live = {node_id for node_id, named in own if named is not None}
        assert {node.id for node in found} <= live
    assert () in ended.values()  # the one that was cancelled


@pytest.mark.slow
def test_packets_are_those_of_the_datagrams(lived: tuple[Network, Recording]) -> None:
    network, told = lived
    packets = told.told("packet_out")
    for (data, to), (kind, packet, addr) in zip(told.sent(), packets, strict=True):
        assert v4wire.decode(data).packet.to_items() == packet.to_items()
        assert (v4wire.kind_of(data), to) == (kind, addr)
    received = told.told("packet_in")
    assert {kind for kind, *_ in received} == {str(kind) for kind in v4wire.PacketType}
    senders = {NodeID.from_public_key(key.public_key) for key in network.link.keys.values()}
    assert {sender for _, _, sender, _ in received} <= senders


@pytest.mark.slow
def test_counters_can_be_made_of_what_is_told(lived: tuple[Network, Recording]) -> None:
    network, told = lived
    counters = network.engine.counters
    assert Counter(kind for kind, *_ in told.told("packet_in")) == counters.packets_in
    assert Counter(kind for kind, *_ in told.told("packet_out")) == counters.packets_out
    assert Counter(reason for reason, *_ in told.told("dropped")) == counters.dropped
    assert sum(len(data) for data, _ in told.sent()) == counters.bytes_out.total()
    assert len(told.told("data_in")) == sum(
        (len(told.told("packet_in")), counters.dropped["unsolicited"])
    )


@pytest.mark.slow
def test_states_of_a_node_lead_to_what_the_table_says(lived: tuple[Network, Recording]) -> None:
    network, told = lived
    table = network.engine.table
    states: dict[NodeID, NodeState] = {}
    seen = Counter[tuple[NodeState, NodeState]]()
    for node, old, new in told.told("state"):
        assert states.get(node.id, NodeState.ABSENT) is old is not new
        states[node.id] = new
        seen[old, new] += 1
    in_buckets = {node.node.id: node.live for bucket in table.buckets() for node in bucket}
    waiting = {node.id for bucket in table.replacements() for node in bucket}
    for state, ids in (
        (NodeState.LIVE, {node_id for node_id, live in in_buckets.items() if live}),
        (NodeState.ADDED, {node_id for node_id, live in in_buckets.items() if not live}),
        (NodeState.WAITING, waiting),
    ):
        assert {node_id for node_id, last in states.items() if last is state} == ids
    absent, waits, added, live = NodeState
    assert {(absent, added), (added, live), (live, absent), (absent, waits)} <= set(seen)
    events = Counter(type(event) for event in told.joined("events"))
    places = ((absent, added), (absent, live), (waits, added))
    assert events[NodeAdded] == sum(seen[step] for step in places)
    assert events[NodeRemoved] == seen[live, absent] + seen[added, absent]


def test_moved_node_is_no_longer_live(link: Link) -> None:
    told = Recording()
    engine = link.node(1, observer=told)
    remote = link.remote(2).to(engine)
    link.run(1.0)
    remote.bond()
    moved = link.remote(2, address_of(3)).to(engine)
    moved.bond()
    link.run(10.0)
    assert [(node.ip, old.value, new.value) for node, old, new in told.told("state")] == [
        (remote.address[0], "absent", "live"),
        (moved.address[0], "live", "added"),
        (moved.address[0], "added", "live"),
    ]


@pytest.mark.slow
def test_setup_shows_no_private_key(lived: tuple[Network, Recording]) -> None:
    (setup,) = lived[1].told("setup")
    assert setup.arguments["private_key"] == key_of(2)
    assert repr(setup).startswith("DiscoverySetup(protocol='v4', now=") and "key" not in repr(setup)


@pytest.mark.slow
def test_environment_is_told(lived: tuple[Network, Recording]) -> None:
    network, told = lived
    used = {(source, name) for source, name, *_ in told.told("environment")}
    assert {
        ("local", "record"),
        ("local", "contact"),
        ("local", "endpoint_statement"),
        ("store", "query_seeds"),
        ("store", "set_last_pong_received"),
        ("random", "random"),
    } <= used
    stored = [args[0] for _, name, args, _ in told.told("environment") if name == "update_node"]
    assert stored and all(network.store.node(node.id) is not None for node in stored)


# What comes to nothing.


def expect(reason: str) -> Callable[[Link, EngineV4, Remote], None]:
    """Act as a remote that is dropped for ``reason``."""

    def act(link: Link, engine: EngineV4, remote: Remote) -> None:
        soon = remote.expiration
        if reason == "size":
            remote.send_raw(bytes(1281))
        elif reason == "address":
            remote.send_raw(bytes(200), (remote.address[0], 0))
        elif reason == "unsolicited":
            remote.pong(bytes(32))
        elif reason == "hash":
            remote.send_raw(bytes(97) + b"\x01" + bytes(100))
        elif reason == "type":
            remote.send_raw(hashed(bytes(65) + b"\x09" + bytes(10)))
        elif reason == "data":
            remote.send_raw(hashed(bytes(65) + b"\x01" + bytes(10)))
        elif reason == "signature":
            data, _ = v4wire.encode(remote.key, FindNode(TARGET, soon))
            remote.send_raw(hashed(bytes(64) + b"\x09" + data[97:]))
        elif reason == "expired":
            remote.ping(expiration=1)
        elif reason == "unproven":
            remote.send(FindNode(TARGET, soon))
        elif reason == "self":
            link.send(remote.address, link.address(engine), own_ping(link, engine))
        else:
            for _ in range(3):
                remote.send(ENRRequest(soon))

    return act


def hashed(rest: bytes) -> bytes:
    return keccak256(rest) + rest


def own_ping(link: Link, engine: EngineV4) -> bytes:
    here = (*link.address(engine), PORT)
    return v4wire.encode(key_of(1), Ping(4, here, here, int(link.now.unix) + 20))[0]


@pytest.mark.parametrize(
    "reason",
    [
        *("size", "address", "unsolicited", "hash", "type", "data", "signature", "expired"),
        *("unproven", "self", "rate"),
    ],
)  # fmt: skip
def test_datagram_that_comes_to_nothing_is_told_with_its_reason(link: Link, reason: str) -> None:
    told = Recording()
    limits = Limits(source_burst=2.0, source_per_s=0.001)
    engine = link.node(1, observer=told, limits=limits if reason == "rate" else None)
    remote = link.remote(2).to(engine)
    expect(reason)(link, engine, remote)
    link.run(1.0)
    (dropped, data, addr) = told.told("dropped")[-1]
    assert (dropped, addr[0]) == (reason, remote.address[0])
    assert (data, addr) in [(data, addr) for data, addr, _ in told.told("data_in")]
    assert Counter(reason for reason, *_ in told.told("dropped")) == engine.counters.dropped
    assert replay(told).calls == told.calls


def test_answer_that_would_be_too_large_is_told(link: Link) -> None:
    told = Recording()
    engine = link.node(1, observer=told, encode=encode_large)
    remote = link.remote(2).to(engine)
    remote.ping()
    link.run(0.1)
    (answers,) = {engine.counters.dropped["amplification"], len(told.told("dropped"))}
    assert answers == 2  # a pong and a ping
    for reason, data, to in told.told("dropped"):
        assert (reason, len(data) > 1000, to) == ("amplification", True, remote.address)
    assert not told.sent()


def encode_large(key: PrivateKey, packet: Packet) -> tuple[bytes, bytes]:
    data, packet_hash = v4wire.encode(key, packet)
    return data + bytes(1000), packet_hash


# The same again.


@pytest.mark.slow
def test_recording_replays(lived: tuple[Network, Recording]) -> None:
    _, told = lived
    assert replay(told).calls == told.calls


def test_recording_of_a_restored_table_replays(link: Link) -> None:
    told, known = Recording(), link.node(2)
    engine = link.node(1, observer=told)
    engine.restore([link.as_node(known)], link.now)
    engine.refresh(link.now)
    link.run(10.0)
    assert told.commands() == ["restore", "refresh"] and told.told("lookup_asked")
    assert replay(told).calls == told.calls


@pytest.mark.slow
def test_recording_of_a_restart_replays() -> None:
    # Packets of the plain wire are numbered by the wire, which a replay has no part in.
    network, told = Network(None, 16).live(), Recording()
    link = network.link
    link.detach(network.engine)
    again = link.node(2, network.address, store=network.store, observer=told)
    link.run(100.0)
    assert len(again.table) > 5
    assert replay(told).calls == told.calls


@pytest.mark.slow
def test_observed_engine_sends_the_same_datagrams() -> None:
    sent: list[list[tuple[Address, bytes]]] = []
    for observer in (None, Recording(), Uninterested()):
        network = Network(observer, 16, plain=True)
        own, before = network.address, network.link.lost
        sent.append([])
        network.link.lost = partial(note, sent[-1], own, before)
        network.live()
    assert sent[0] == sent[1] == sent[2] != []


def note(
    sent: list[tuple[Address, bytes]],
    own: Address,
    lost: Callable[[Address, Address, bytes], bool],
    source: Address,
    target: Address,
    data: bytes,
) -> bool:
    if source == own:
        sent.append((target, data))
    return lost(source, target, data)


class Uninterested(DiscoveryObserver):
    """Defines no call."""


# Over real sockets.


@pytest.mark.parametrize("fails", methods_of(DiscoveryObserver))
def test_observer_that_fails_does_discovery_no_harm(
    services: Services, fails: str, caplog: pytest.LogCaptureFixture
) -> None:
    failing = Failing(fails, Mistake())
    boot = services.new()
    observed = services.new(boot.self, observer=cast(DiscoveryObserver, failing))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"noise", sockaddr_of(observed.address))
        services.await_dropped(observed, 1)
    services.pass_time_until(lambda: knows(observed, boot) and knows(boot, observed))
    assert services.ask(observed.ping, boot.self) == boot.self.seq
    services.stop(observed)
    lines = [line for line in caplog.records if line.levelno >= logging.WARNING]
    if fails == "secrets":  # v4 has none
        assert lines == [] and "events" in dict(failing.calls)
    else:
        assert [(line.levelname, line.name) for line in lines] == [("ERROR", "p2p.discover")]
        assert [name for name, _ in failing.calls].index(fails) == len(failing.calls) - 1


class Mistake(BaseException):
    """Not even an Exception."""


def test_recording_of_a_service_replays(services: Services) -> None:
    told = Recording()
    boot = services.new()
    others = [services.new(boot.self) for _ in range(3)]
    observed = services.new(boot.self, observer=told)
    services.pass_time_until(lambda: knows(observed, boot, *others))
    target = others[0].self
    assert services.ask(observed.resolve, target).id == target.id
    assert services.ask(observed.ping, target) == target.seq
    services.ask(observed.lookup, target.public_key)
    with observed.random_nodes() as nodes:
        services.ask(next, nodes)
    counters = observed.counters()
    services.stop(observed)
    assert told.commands()[:3] == ["resolve", "ping", "lookup"]
    assert "random_lookup" in told.commands()
    assert sum(len(data) for data, _ in told.sent()) >= counters.bytes_out.total() > 0
    assert replay(told).calls == told.calls
