"""When ``connect`` may dial a node again: what was opened counts, and a name as its address."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import pytest

import p2p
import p2p.testing
from tests.kit.nodes import HOST, Nodes, closed_port, listening, node_at
from tests.kit.swarm import stay
from tests.kit.waiting import eventually
from tests.test_connect import ByHand, refused, to_loopback


def at(ip: str | None, name: str = "") -> p2p.Node:
    node = p2p.Node.from_parts(p2p.generate_key().public_key, ip, 30303)
    return node.with_hostname(name)


def hang_up(node: p2p.Node, timeout_s: float) -> socket.socket:
    """A dialer's ``dial``: the connection is made, and closed by the other end."""
    here, there = socket.socketpair()
    there.close()
    return here


@pytest.fixture
def clock() -> p2p.testing.SimulatedClock:
    return p2p.testing.SimulatedClock()


@pytest.fixture
def start(nodes: Nodes, clock: p2p.testing.SimulatedClock) -> Iterator[Callable[..., p2p.Server]]:
    """Starts a server whose connections are opened and lost, wherever they lead to."""

    def start(**options: object) -> p2p.Server:
        return nodes.start(listen_addr=None, dialer=ByHand(hang_up), clock=clock, **options)

    yield start


# The remote would close it without a word, so it is refused here, with the reason.
def test_second_connection_within_30_s_is_throttled(
    start: Callable[..., p2p.Server], clock: p2p.testing.SimulatedClock
) -> None:
    here, node = start(), at("8.8.8.8")
    assert type(refused(here, node)) is p2p.errors.ConnectionLost
    clock.advance(5)
    error = refused(here, node)
    assert (type(error), error.retry_in_s) == (p2p.errors.Throttled, 30.0)
    assert "within 30 s" in str(error) and "retry in 30.0 s" in str(error)
    clock.advance(30)
    assert type(refused(here, node)) is p2p.errors.ConnectionLost


def test_dial_that_opened_no_connection_throttles_nobody(
    nodes: Nodes, clock: p2p.testing.SimulatedClock
) -> None:
    here = nodes.start(listen_addr=None, dialer=to_loopback(closed_port()), clock=clock)
    node = at("8.8.8.8")
    for _ in range(3):
        assert type(refused(here, node)) is p2p.errors.DialRefused


def test_name_that_is_not_found_throttles_nobody(nodes: Nodes) -> None:
    here, node = nodes.start(), at(None, "nobody.invalid")
    for _ in range(2):
        assert type(refused(here, node)) is p2p.errors.NameNotResolved


def test_name_of_a_lan_address_is_dialed_at_once(nodes: Nodes) -> None:
    protocols = [p2p.Protocol("test", 1, 8, stay)]
    here, there = (nodes.start(protocols=protocols) for _ in range(2))
    named = there.self.with_ip(None).with_hostname("localhost")
    for _ in range(2):
        peer = here.connect(named)
        here.remove_peer(named)
        assert peer not in here.peers


@pytest.mark.parametrize("known", [None, "127.0.0.1"])
def test_name_of_an_internet_address_is_throttled(
    start: Callable[..., p2p.Server], known: str | None
) -> None:
    here, node = start(), at(known, "8.8.8.8")
    assert type(refused(here, node)) is p2p.errors.ConnectionLost
    error = refused(here, node)
    assert (type(error), error.retry_in_s) == (p2p.errors.Throttled, 35.0)


def test_other_address_of_a_throttled_node_is_dialed_in_the_lan(nodes: Nodes) -> None:
    here = nodes.start(listen_addr=None, dialer=ByHand(hang_up))
    node = at("8.8.8.8")
    for _ in range(2):
        assert type(refused(here, node.with_ip(HOST))) is p2p.errors.ConnectionLost
    assert type(refused(here, node)) is p2p.errors.ConnectionLost
    assert type(refused(here, node)) is p2p.errors.Throttled
    assert type(refused(here, node.with_ip(HOST))) is p2p.errors.ConnectionLost
    assert type(refused(here, node)) is p2p.errors.Throttled


@pytest.mark.parametrize("option", ["own_networks", "net_restrict"])
def test_own_networks_are_not_throttled(start: Callable[..., p2p.Server], option: str) -> None:
    here, node = start(**{option: "8.8.8.0/24"}), at("8.8.8.8")
    for _ in range(3):
        assert type(refused(here, node)) is p2p.errors.ConnectionLost


def test_redial_pause_is_an_option(
    start: Callable[..., p2p.Server], clock: p2p.testing.SimulatedClock
) -> None:
    here, node = start(redial_pause_s=2), at("8.8.8.8")
    assert type(refused(here, node)) is p2p.errors.ConnectionLost
    assert refused(here, node).retry_in_s == 2.0
    clock.advance(2)
    assert type(refused(here, node)) is p2p.errors.ConnectionLost


def test_static_node_is_dialed_after_the_redial_pause(
    nodes: Nodes, clock: p2p.testing.SimulatedClock
) -> None:
    with listening() as listener:
        node = node_at(listener)
        here = nodes.start(static_nodes=[node], redial_pause_s=2, clock=clock)
        for dials in range(1, 4):
            listener.accept()[0].close()
            eventually(lambda n=dials: len(here.dial_attempts(node)) == n)  # type: ignore[misc]
            clock.advance(2.2)  # with the random part
