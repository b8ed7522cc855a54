"""Routers: who gets through, and how a node behind one learns where it is."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_address
from typing import Any

import pytest

from p2p.errors import ArgumentError, NoResponse
from p2p.sim import Network, Router, RouterKind
from tests.sim.checks import build

OUTSIDE = ip_address("60.0.0.1")
INSIDE = (ip_address("192.168.0.2"), 30303)
OTHER = (ip_address("192.168.0.3"), 30303)
PEER = (ip_address("20.0.0.1"), 30303)
PEER_PORT = (ip_address("20.0.0.1"), 40000)
STRANGER = (ip_address("20.0.1.1"), 30303)


@pytest.mark.parametrize(
    "kind, peer, peer_port, stranger",
    [
        (RouterKind.FULL_CONE, True, True, True),
        (RouterKind.RESTRICTED, True, True, False),
        (RouterKind.PORT_RESTRICTED, True, False, False),
    ],
)
def test_a_router_lets_in_whom_its_kind_allows(
    kind: RouterKind, peer: bool, peer_port: bool, stranger: bool
) -> None:
    router = Router(OUTSIDE, kind)
    _, port = router.out(INSIDE, PEER, 0.0)
    for source, admitted in [(PEER, peer), (PEER_PORT, peer_port), (STRANGER, stranger)]:
        assert router.admit(source, port, 1.0) == (INSIDE if admitted else None)


def test_nothing_comes_in_before_something_went_out() -> None:
    assert Router(OUTSIDE).admit(PEER, 30303, 0.0) is None


def test_a_node_keeps_its_port_and_two_nodes_have_two() -> None:
    router = Router(OUTSIDE)
    first, second = router.out(INSIDE, PEER, 0.0), router.out(OTHER, PEER, 0.0)
    assert first == (OUTSIDE, 30303)
    assert second == (OUTSIDE, 30304)
    assert router.out(INSIDE, STRANGER, 1.0) == first
    assert router.admit(PEER, 30304, 1.0) == OTHER


def test_a_port_that_is_not_used_is_forgotten() -> None:
    router = Router(OUTSIDE, idle_s=60)
    router.out(INSIDE, PEER, 0.0)
    assert router.admit(PEER, 30303, 50.0) == INSIDE
    assert router.admit(PEER, 30303, 109.0) == INSIDE
    assert router.admit(PEER, 30303, 170.0) is None
    assert router.outside(INSIDE, 170.0) is None
    assert router.out(OTHER, PEER, 170.0) == (OUTSIDE, 30303)
    assert router.out(INSIDE, PEER, 171.0) == (OUTSIDE, 30304)
    assert router.admit(PEER, 30303, 172.0) == OTHER


def test_a_contact_that_is_too_old_does_not_get_in() -> None:
    router = Router(OUTSIDE, RouterKind.RESTRICTED, idle_s=60)
    router.out(INSIDE, PEER, 0.0)
    router.out(INSIDE, STRANGER, 59.0)
    assert router.admit(PEER, 30303, 61.0) is None
    assert router.admit(STRANGER, 30303, 61.0) == INSIDE


def test_an_address_has_one_router() -> None:
    network = Network()
    network.add_router("60.0.0.1")
    with pytest.raises(ArgumentError):
        network.add_router("60.0.0.1")


def test_an_inner_address_means_nothing_outside_and_something_within() -> None:
    network = Network()
    seen: list[Any] = []
    router = network.add_router("60.0.0.1")
    for address in (INSIDE, OTHER):
        network.attach("inner", address, lambda data, source: seen.append(source), router)
    network.send(PEER, INSIDE, b"from outside")
    network.send(OTHER, INSIDE, b"from within")
    network.run_for(1)
    assert seen == [OTHER]


def test_a_node_behind_a_router_learns_and_publishes_where_it_is(new_network: Any) -> None:
    network = new_network(seed=1, signed=False)
    nodes = build(network, 14)
    router = network.add_router("60.0.0.1")
    hidden = network.add("hidden", bootnodes=nodes[:1], router=router)
    network.run_for(60)
    assert hidden._local.endpoint[:2] == (IPv4Address("60.0.0.1"), 30303)
    assert hidden._local.record.seq > 1
    assert hidden.node.udp_endpoint == (IPv4Address("60.0.0.1"), 30303)
    found = nodes[5].resolve(hidden)
    assert found.udp_endpoint == hidden.node.udp_endpoint
    assert found.seq == hidden._local.record.seq


@pytest.mark.parametrize("kind", list(RouterKind))
def test_who_has_never_been_contacted_reaches_a_node_behind_a_full_cone_only(
    new_network: Any, kind: RouterKind
) -> None:
    network = new_network(seed=2)
    (boot,) = build(network, 1)
    hidden = network.add(bootnodes=[boot], router=network.add_router("60.0.0.1", kind))
    network.run_for(10)
    stranger = network.add("stranger")
    assert boot.ping(hidden) == 1
    if kind is RouterKind.FULL_CONE:
        assert stranger.ping(hidden) == 1
    else:
        with pytest.raises(NoResponse):
            stranger.ping(hidden)


@pytest.mark.parametrize("kind", list(RouterKind))
def test_a_node_behind_a_router_finds_all_others(new_network: Any, kind: RouterKind) -> None:
    network = new_network(seed=3, signed=False)
    nodes = build(network, 8)
    hidden = network.add(bootnodes=nodes[:1], router=network.add_router("60.0.0.1", kind))
    network.run_for(30)
    assert {found.id for found in hidden.lookup()} == {node.id for node in nodes}
