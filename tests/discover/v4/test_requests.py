"""Requests to a node that has no proof of us any more, as after a restart, and lost packets."""

from __future__ import annotations

from typing import Any

import pytest

from p2p.discover.transport import Target
from p2p.discover.v4.engine import EngineV4
from p2p.discover.v4.requests import REPLY_TIMEOUT_S, TRIES
from p2p.discover.v4.wire import ENRRequest, ENRResponse, FindNode, Neighbors, Packet, Ping
from p2p.enode.db.memory import NodeMemory
from p2p.enode.node import Node
from p2p.enr import Record
from p2p.errors import NoResponse
from tests.kit.link import Address, Link, Remote, key_of

TARGET = b"t" * 64
REQUESTS = [FindNode, ENRRequest]


@pytest.fixture
def link() -> Link:
    return Link()


def bonded(link: Link) -> tuple[EngineV4, EngineV4]:
    """Two nodes with a proof of each other, each in the table of the other."""
    one, other = link.node(1), link.node(2)
    link.run(1.0)
    link.ping(one, link.as_node(other))
    link.run(1.0)
    return one, other


def restarted(link: Link, engine: EngineV4) -> EngineV4:
    """The same node anew, without anything that it knew."""
    number = next(n for n in range(10) if key_of(n) == link.keys[link.address(engine)])
    link.detach(engine)
    anew = link.node(number, store=NodeMemory())
    link.run(0.0)
    return anew


def begin(engine: EngineV4, kind: type[Packet], node: Node, link: Link) -> int:
    """Ask ``node``, or look up a target of which only it can tell."""
    if kind is ENRRequest:
        return engine.operations.request_enr(node, link.now)
    return engine.operations.lookup(Target.of_key(TARGET), link.now)


def outcome(engine: EngineV4, kind: type[Packet], node: Node, link: Link) -> Any:
    """What the request comes to, None when it was not answered."""
    try:
        return link.result(engine, begin(engine, kind, node, link)) or None
    except NoResponse:
        return None


# The node has forgotten our proof.


@pytest.mark.parametrize("kind", REQUESTS)
def test_restarted_node_answers_the_first_call(link: Link, kind: type[Packet]) -> None:
    one, other = bonded(link)
    node = link.as_node(other)
    restarted(link, other)
    assert outcome(one, kind, node, link)


def test_restarted_node_is_resolved(link: Link) -> None:
    one, other = bonded(link)
    node = link.as_node(other)
    restarted(link, other)
    operation = one.operations.resolve(node, link.now)
    assert link.result(one, operation, within_s=REPLY_TIMEOUT_S + 10 * link.latency_s).record


@pytest.mark.parametrize("kind", REQUESTS)
def test_second_call_needs_no_new_bond(link: Link, kind: type[Packet]) -> None:
    one, other = bonded(link)
    node = link.as_node(other)
    other = restarted(link, other)
    outcome(one, kind, node, link)
    link.detach(other)
    taken = link.remote(2)
    begin(one, kind, node, link)
    link.run(0.011)
    assert [type(packet) for packet, _ in taken.received] == [kind]


def test_all_that_wait_for_a_restarted_node_are_answered(link: Link) -> None:
    one, other = bonded(link)
    node = link.as_node(other)
    restarted(link, other)
    calls = [begin(one, kind, node, link) for kind in REQUESTS * 3]
    assert all(link.result(one, call) for call in calls)


# A packet was lost, or the node is gone.


def asked(link: Link, kind: type[Packet]) -> tuple[EngineV4, Remote]:
    """An engine that has just asked a node which should have a proof of it."""
    engine = link.node(1)
    link.run(1.0)
    remote = link.remote(2).to(engine)
    remote.bond()
    begin(engine, kind, remote.node, link)
    return engine, remote


@pytest.mark.parametrize("kind", REQUESTS)
def test_a_lost_request_costs_one_timeout(link: Link, kind: type[Packet]) -> None:
    one, other = bonded(link)
    first: list[Address] = []

    def lost(source: Address, target: Address, data: bytes) -> bool:
        is_first = data[97] == kind.kind and source == link.address(one) and not first
        first.extend([source] * is_first)
        return is_first

    link.lost = lost
    operation = begin(one, kind, link.as_node(other), link)
    assert link.result(one, operation, REPLY_TIMEOUT_S + 4 * link.latency_s)


@pytest.mark.parametrize("kind", REQUESTS)
def test_a_node_that_is_gone_costs_two_timeouts(link: Link, kind: type[Packet]) -> None:
    one, other = bonded(link)
    link.detach(other)
    begun = link.time
    assert not outcome(one, kind, link.as_node(other), link)
    assert link.time - begun <= TRIES * REPLY_TIMEOUT_S + 0.05


@pytest.mark.parametrize("kind", REQUESTS)
def test_silent_node_is_asked_twice_and_once_for_its_ping(link: Link, kind: type[Packet]) -> None:
    engine, remote = asked(link, kind)
    remote.on_packet = lambda packet, _: remote.ping() if isinstance(packet, Ping) else None
    link.run(5 * REPLY_TIMEOUT_S)
    assert len(remote.got(kind)) == TRIES + 1


@pytest.mark.parametrize("kind", REQUESTS)
def test_a_ping_that_nothing_waits_for_sends_nothing_again(link: Link, kind: type[Packet]) -> None:
    engine, remote = asked(link, kind)
    record = Record.sign(remote.key, 1)

    def answer(packet: Packet, packet_hash: bytes) -> None:
        if isinstance(packet, FindNode):
            remote.send(Neighbors([], remote.expiration))
        elif isinstance(packet, ENRRequest):
            remote.send(ENRResponse(packet_hash, record.to_rlp()))

    remote.on_packet = answer
    link.run(0.1)
    remote.ping()
    link.run(0.1)
    assert len(remote.got(kind)) == 1
