"""The endpoints of a node that are dialed: which, in what order, and the error that names all."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from ipaddress import IPv6Address, ip_address
from typing import Any

import pytest

import p2p
from p2p.dial.endpoints import at_endpoint, at_first_endpoint, dial_endpoints
from p2p.dial.limits import NETWORK_LIMIT
from p2p.dial.scheduler import DialScheduler
from p2p.errors import CrowdedNetwork, DialRefused, NetRestricted, NoEndpoint
from p2p.netutil import Endpoint, Netlist, OwnNetworks
from tests.kit.candidates import naming, refused
from tests.kit.nodes import HOST, Nodes, closed_port
from tests.kit.waiting import PATIENCE_S, eventually

KEY = p2p.generate_key()
HOME6 = "::1"
BOTH = {"ip": "1.2.3.4", "tcp": 1, "udp": 2, "ip6": "2001:4860::1", "tcp6": 3, "udp6": 4}


def of_record(key: p2p.PrivateKey = KEY, **entries: object) -> p2p.Node:
    return p2p.Node.from_record(p2p.Record.sign(key, 1, entries))


# pure


@pytest.mark.parametrize(
    ("changes", "networks", "ip"),
    [
        ({}, None, "1.2.3.4"),
        ({}, "2001::/16", "2001:4860::1"),
        ({}, "2001::/16, 1.0.0.0/8", "1.2.3.4"),
        ({}, "9.0.0.0/8", "1.2.3.4"),
        ({"tcp": 0}, None, "2001:4860::1"),
        ({"tcp6": 0}, "2001::/16", "1.2.3.4"),
        ({"ip": "10.0.0.1"}, None, "2001:4860::1"),
    ],
)
def test_first_place_has_a_port_and_is_allowed(
    changes: dict[str, object], networks: str | None, ip: str
) -> None:
    netlist = None if networks is None else Netlist.parse(networks)
    node = at_first_endpoint(of_record(**{**BOTH, **changes}), netlist)
    assert node.ip == ip_address(ip)
    if node.tcp:
        assert (node.tcp, node.udp) == ((3, 4) if node.ip.version == 6 else (1, 2))


def test_node_with_a_name_or_without_an_address_is_left_as_it_is() -> None:
    netlist = Netlist.parse("2001::/16")
    for node in (of_record(**BOTH).with_hostname("a.example"), p2p.Node.from_parts(KEY.public_key)):
        assert at_first_endpoint(node, netlist) is node


def test_node_at_a_place_has_the_ports_of_that_place() -> None:
    node = of_record(**BOTH)
    other = at_endpoint(node, node.tcp_endpoints[1])
    assert (str(other.ip), other.tcp, other.udp) == ("2001:4860::1", 3, 4)
    elsewhere = at_endpoint(node, Endpoint(ip_address("5.6.7.8"), 9))
    assert (str(elsewhere.ip), elsewhere.tcp, elsewhere.udp) == ("5.6.7.8", 9, 2)


@pytest.mark.parametrize(
    ("ip", "ip6", "count"),
    [
        ("127.0.0.1", "2001:4860::1", 1),
        ("1.2.3.4", "::1", 1),
        ("127.0.0.1", "::1", 2),
        ("10.0.0.1", "2001:4860::1", 2),
    ],
)
def test_loopback_address_beside_another_is_not_dialed(ip: str, ip6: str, count: int) -> None:
    node = of_record(**{**BOTH, "ip": ip, "ip6": ip6})
    endpoints = dial_endpoints(node)
    assert endpoints == list(node.tcp_endpoints)[:count]
    assert endpoints[0] == node.tcp_endpoint


def scheduler(**options: Any) -> DialScheduler:
    return DialScheduler(bytes(32), 10, 10, random=random.Random(1), **options)


def test_second_address_of_a_candidate_counts_for_its_network() -> None:
    dials = scheduler()
    second = IPv6Address("2001:4860::1")
    for number in range(NETWORK_LIMIT):
        node = of_record(p2p.generate_key(), **{**BOTH, "ip": f"1.2.{number}.4"})
        dials.begin_candidate(node, 0.0)
        assert dials.admit_found(node.id, node.tcp_endpoints[0].ip, 0.0) is None
        assert dials.admit_found(node.id, second, 0.0) is None
    one = of_record(p2p.generate_key(), **{**BOTH, "ip": "1.2.99.4"})
    dials.begin_candidate(one, 0.0)
    assert isinstance(dials.admit_found(one.id, second, 0.0), CrowdedNetwork)
    dials.dial_done(one.id)
    dials.begin(one, 1.0)  # named by the program
    assert dials.admit_found(one.id, second, 1.0) is None


@pytest.mark.parametrize("second", ["fd00::1", "::1", "fe80::1", "ff02::1", "2001:db8::1", "::"])
def test_second_address_of_a_candidate_does_not_lead_into_our_own_network(second: str) -> None:
    dials = scheduler()
    node = of_record(**BOTH)
    dials.begin_candidate(node, 0.0)
    assert isinstance(dials.admit_found(node.id, ip_address(second), 0.0), NoEndpoint)


def test_second_address_may_be_in_our_own_network_if_the_first_is() -> None:
    dials = scheduler(own=OwnNetworks(Netlist.parse("1.2.3.0/24")))
    node = of_record(**BOTH)
    dials.begin_candidate(node, 0.0)
    assert dials.admit_found(node.id, ip_address("fd00::1"), 0.0) is None
    assert dials.admit_found(node.id, ip_address("::1"), 0.0) is not None


# with servers


@pytest.fixture
def there(nodes: Nodes) -> p2p.Server:
    """A server that listens on ::1 only."""
    if not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    return nodes.start(listen_addr=f"[{HOME6}]:0", no_dial=True)


@pytest.fixture
def two_places(there: p2p.Server) -> Iterator[p2p.Node]:
    """The same server in a record that has an address of IPv4, too, which refuses connections."""
    assert there.listen_addr is not None
    port6 = there.listen_addr.port
    key = there.config.private_key
    yield of_record(key, ip=HOST, tcp=closed_port(), ip6=HOME6, tcp6=port6, udp=port6)


def test_second_endpoint_is_dialed_when_the_first_refuses(
    nodes: Nodes, two_places: p2p.Node
) -> None:
    here = nodes.start()
    peer = here.connect(two_places, PATIENCE_S)
    assert peer.remote_addr == two_places.tcp_endpoints[1]
    (attempt,) = here.dial_attempts(two_places)
    assert attempt.address == two_places.tcp_endpoints[1]


def test_static_node_is_dialed_at_its_second_endpoint(nodes: Nodes, two_places: p2p.Node) -> None:
    here = nodes.start(static_nodes=[two_places])
    eventually(lambda: here.peer_count == 1)
    assert here.peers[0].remote_addr == two_places.tcp_endpoints[1]


def test_candidate_is_dialed_at_its_second_endpoint(nodes: Nodes, two_places: p2p.Node) -> None:
    here = nodes.start(protocols=[naming([two_places])])
    eventually(lambda: here.peer_count == 1)
    assert here.peers[0].remote_addr == two_places.tcp_endpoints[1]


def test_error_names_all_endpoints(nodes: Nodes) -> None:
    node = of_record(ip=HOST, tcp=closed_port(), ip6=HOME6, tcp6=1)
    here = nodes.start(net_restrict=f"{HOST}/32")
    with pytest.raises(DialRefused) as caught:
        here.connect(node, PATIENCE_S)
    first, second = node.tcp_endpoints
    assert f"({first})" in str(caught.value)
    assert f"{second.ip} is outside net_restrict" in str(caught.value)


def test_first_allowed_endpoint_is_taken(nodes: Nodes, there: p2p.Server) -> None:
    assert there.listen_addr is not None
    with socket.create_server((HOST, 0)) as untouched:
        untouched.setblocking(False)
        ports = {"tcp": untouched.getsockname()[1], "tcp6": there.listen_addr.port}
        node = of_record(there.config.private_key, ip=HOST, ip6=HOME6, **ports)
        here = nodes.start(net_restrict=f"{HOME6}/128", static_nodes=[node])
        eventually(lambda: here.peer_count == 1)
        with pytest.raises(BlockingIOError):
            untouched.accept()


def test_node_without_an_allowed_endpoint_is_refused(nodes: Nodes, two_places: p2p.Node) -> None:
    here = nodes.start(net_restrict="9.0.0.0/8", protocols=[naming([two_places])])
    with pytest.raises(NetRestricted):
        here.connect(two_places, PATIENCE_S)
    eventually(lambda: refused(here) != {})
