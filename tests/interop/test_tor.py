"""The how-to for Tor, in a Tor network of the test's own: an onion service, and the way to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import p2p
from tests.kit.names import Names
from tests.kit.nodes import HOST, Nodes, unused_port
from tests.kit.socks import example

from .tornet import TorNetwork, missing, wait_until

pytestmark = pytest.mark.skipif(
    bool(missing()), reason=f"not installed: {', '.join(missing())} (Debian's package tor)"
)


@pytest.fixture(scope="module")
def port() -> int:
    return unused_port()


@pytest.fixture(scope="module")
def tor(port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TorNetwork]:
    network = TorNetwork(tmp_path_factory.mktemp("tor"), port)
    try:
        network.start()
        yield network
    finally:
        network.stop()


@pytest.fixture
def onion(nodes: Nodes, tor: TorNetwork, port: int) -> p2p.Node:
    """A server behind the onion service, as others know it."""
    there = nodes.start(listen_addr=f"{HOST}:{port}", name="onion")
    node = there.self.with_ip(None).with_hostname(tor.onion_name)
    return node.with_endpoint(None, 30303, 0)


@pytest.fixture
def dialer(tor: TorNetwork) -> Any:
    return example().SocksDialer(HOST, tor.socks_port)


def start(nodes: Nodes, **options: Any) -> p2p.Server:
    return nodes.start(listen_addr=None, redial_pause_s=1.0, **options)


def wait_for_peer(server: p2p.Server, node: p2p.Node) -> None:
    """Wait until a static node is a peer: the first dials may come before the service is known."""
    wait_until(lambda: node.id in [peer.id for peer in server.peers], f"no peer: {node}")


def test_onion_service_is_dialed_and_no_name_is_looked_up(
    nodes: Nodes, onion: p2p.Node, dialer: Any, names: Names
) -> None:
    names.records[onion.hostname] = []
    talks = nodes.talks()
    here = start(nodes, dialer=dialer, static_nodes=[onion], protocols=[talks.protocol()])
    wait_for_peer(here, onion)
    p2p.send(talks.next().rw, 0, "hello")
    assert names.asked == []


def test_node_with_an_address_is_dialed_through_an_exit(
    nodes: Nodes, dialer: Any, tor: TorNetwork
) -> None:
    there = nodes.start()
    here = start(nodes, dialer=dialer, static_nodes=[there.self], net_restrict="127.0.0.0/8")
    wait_for_peer(here, there.self)


def test_unknown_onion_service_is_an_error_of_the_proxy(
    nodes: Nodes, onion: p2p.Node, dialer: Any
) -> None:
    here = start(nodes, dialer=dialer)
    with pytest.raises(p2p.errors.Unreachable, match="the proxy says: "):
        here.connect(onion.with_hostname("abc.onion"))
