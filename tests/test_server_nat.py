"""The address and ports that a server publishes: advertised, mapped by a router, or its own."""

from __future__ import annotations

import logging
from typing import Any

import pytest

import p2p
from p2p.clock import SimulatedClock
from p2p.inputs import Now
from p2p.nat.front import CHECK_S
from p2p.netutil import ip_of
from tests.kit.nodes import HOST, Nodes
from tests.kit.router import Router, running_router
from tests.kit.waiting import PATIENCE_S, eventually


def agreed(server: p2p.Server) -> tuple[str, int, int]:
    """Address, UDP and TCP port of the server, on which all of its accounts agree."""
    node, info = server.self, server.node_info()
    record = node.record
    assert record is not None
    assert p2p.Node.from_record(record) == node
    assert p2p.parse_node(info["enr"]) == node
    assert info["enode"] == node.url
    assert (info["ip"], info["ports"]) == (
        str(node.ip),
        {"discovery": node.udp, "listener": node.tcp},
    )
    return str(node.ip), node.udp, node.tcp


def bound(server: p2p.Server) -> tuple[int, int]:
    """The UDP and TCP ports of the sockets."""
    listening = server.listen_addr
    assert listening is not None and server.discovery_v4 is not None
    return server.discovery_v4.address.port, listening.port


# advertise


def test_advertised_address_has_our_ports(nodes: Nodes) -> None:
    server = nodes.start(advertise="203.0.113.7", no_discovery=False)
    assert agreed(server) == ("203.0.113.7", *bound(server))


def test_advertised_port_is_for_tcp_and_udp(nodes: Nodes) -> None:
    server = nodes.start(advertise="203.0.113.7:31303", no_discovery=False)
    assert agreed(server) == ("203.0.113.7", 31303, 31303)


def test_server_without_discovery_advertises_no_udp_port(nodes: Nodes) -> None:
    server = nodes.start(advertise="203.0.113.7:31303")
    assert agreed(server) == ("203.0.113.7", 0, 31303)


def test_both_families_can_be_advertised(nodes: Nodes) -> None:
    server = nodes.start(advertise=["203.0.113.7:31303", "[2001:db8::7]:30303"], no_discovery=False)
    assert agreed(server) == ("203.0.113.7", 31303, 31303)
    record = server.self.record
    assert record is not None
    assert (str(record.ip6), record.udp6, record.tcp6) == ("2001:db8::7", 30303, 30303)


def test_advertised_ipv6_address_has_precedence_over_one_of_this_host(nodes: Nodes) -> None:
    server = nodes.start(advertise="[2001:db8::7]:31303", no_discovery=False)
    assert agreed(server) == ("2001:db8::7", 31303, 31303)


def test_other_nodes_get_the_advertised_endpoint(nodes: Nodes) -> None:
    server = nodes.start(advertise="203.0.113.7:31303", no_discovery=False)
    asking = nodes.start(no_discovery=False)
    reached = server.self.with_endpoint(HOST, *reversed(bound(server)))
    for discovery in (asking.discovery_v4, asking.discovery_v5):
        assert discovery is not None
        assert discovery.request_enr(reached, PATIENCE_S).record == server.self.record


def test_advertised_endpoint_has_precedence_over_statements_of_others(nodes: Nodes) -> None:
    server = nodes.start(advertise="203.0.113.7:31303", no_discovery=False)
    local = server._parts.services.local  # type: ignore[union-attr]
    for number in range(20):
        local.endpoint_statement(ip_of(f"20.0.{number}.9"), (ip_of("20.6.6.6"), 6), Now(0.0, 0.0))
    assert agreed(server) == ("203.0.113.7", 31303, 31303)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("0.0.0.0", "an address of one node"),
        ("[ff02::1]:30303", "an address of one node"),
        (["20.0.0.1", "20.0.0.2"], "one for each IP version"),
        ("example.org", 'such as "203.0.113.7:30303"'),
        ("20.0.0.1:0", "a port from 1 to 65535"),
    ],
)
def test_wrong_advertised_endpoint_is_refused(nodes: Nodes, value: Any, words: str) -> None:
    with pytest.raises(p2p.ConfigError, match=f"^advertise: wanted .*{words}"):
        nodes.new(advertise=value)


# nat


def test_stated_external_address_has_our_ports(nodes: Nodes) -> None:
    server = nodes.start(nat="extip:20.0.0.1", no_discovery=False)
    assert agreed(server) == ("20.0.0.1", *bound(server))


def test_advertised_endpoint_has_precedence_over_the_external_address(nodes: Nodes) -> None:
    server = nodes.start(nat="extip:20.0.0.1", advertise="203.0.113.7:31303", no_discovery=False)
    assert agreed(server) == ("203.0.113.7", 31303, 31303)


def test_wrong_nat_is_refused(nodes: Nodes) -> None:
    with pytest.raises(p2p.ConfigError, match=r"^nat: wanted .*got 'igd'"):
        nodes.new(nat="igd")


@pytest.mark.parametrize(
    ("option", "value"), [("nat", "pmp"), ("nat", "extip:20.0.0.1"), ("advertise", "203.0.113.7")]
)
def test_nat_and_advertise_are_ignored_without_a_port(
    nodes: Nodes, caplog: pytest.LogCaptureFixture, option: str, value: str
) -> None:
    server = nodes.start(**{option: value, "listen_addr": None})
    text = f"{option} is ignored: the server neither listens nor runs discovery"
    assert caplog.text.count("is ignored") == 1 and text in caplog.text
    assert str(server.self.ip) == HOST


@pytest.mark.parametrize("nat", ["none", "extip:20.0.0.1"])
def test_server_that_asks_no_router_has_no_status(nodes: Nodes, nat: str) -> None:
    server = nodes.start(nat=nat)
    assert server.nat is None and "p2p/nat/mapped" not in server.metrics


@pytest.fixture
def router(monkeypatch: pytest.MonkeyPatch) -> Any:
    with running_router() as router:
        monkeypatch.setattr("p2p.nat.natpmp.PORT", router.endpoint.port)
        yield router


def test_mapped_ports_and_the_external_address_are_published(nodes: Nodes, router: Router) -> None:
    router.port_shift = 1
    server = nodes.start(nat=f"pmp:{HOST}", no_discovery=False)
    udp, tcp = bound(server)
    eventually(lambda: agreed(server) == ("20.0.0.1", udp + 1, tcp + 1))
    status = server.nat
    assert status is not None and str(status.external_ip) == "20.0.0.1"
    outside = {(each.protocol, each.internal_port): each.external_port for each in status.ports}
    assert outside == {("tcp", tcp): tcp + 1, ("udp", udp): udp + 1} == router.mappings
    assert server.metrics["p2p/nat/mapped"].value == 2
    assert server.stop(PATIENCE_S) == []
    assert router.mappings == {}


def test_record_follows_an_external_address_that_changes(nodes: Nodes, router: Router) -> None:
    clock = SimulatedClock()
    server = nodes.start(nat=f"pmp:{HOST}", clock=clock)
    eventually(lambda: agreed(server)[0] == "20.0.0.1")
    before = server.self.seq
    router.external_ip = "20.0.0.2"
    clock.advance(CHECK_S)
    eventually(lambda: agreed(server)[0] == "20.0.0.2")
    assert server.self.seq == before + 1


def test_ports_are_mapped_also_if_another_address_is_advertised(
    nodes: Nodes, router: Router
) -> None:
    server = nodes.start(nat=f"pmp:{HOST}", advertise="203.0.113.7:31303")
    eventually(lambda: router.mappings)
    server.stop(PATIENCE_S)
    assert agreed(server) == ("203.0.113.7", 0, 31303)


def test_server_starts_and_stops_while_a_router_is_silent(
    nodes: Nodes, router: Router, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("p2p.nat.routersearch.FIND_S", 10 * PATIENCE_S)
    router.is_silent = True
    server = nodes.start(nat=f"pmp:{HOST}")
    eventually(lambda: router.requests)
    assert agreed(server)[0] == HOST
    assert server.stop(PATIENCE_S) == []


def test_server_maps_its_ports_again_after_a_crash(
    nodes: Nodes, router: Router, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By PCP, a router lets nobody else change a mapping; the deletion does not arrive."""
    monkeypatch.setattr("p2p.nat.front.DELETE_S", 0.02)
    router.speaks = {"pcp"}
    key = p2p.generate_key()
    server = nodes.start(nat=f"pmp:{HOST}", private_key=key)
    eventually(lambda: agreed(server)[0] == "20.0.0.1")
    port = server.self.tcp
    router.is_silent = True
    server.stop(PATIENCE_S)
    router.is_silent = False
    again = nodes.start(nat=f"pmp:{HOST}", private_key=key, listen_addr=f"{HOST}:{port}")
    eventually(lambda: agreed(again) == ("20.0.0.1", 0, port))
    assert len(router.granted) == 2


def test_log_tells_of_the_mapping(
    nodes: Nodes, router: Router, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    server = nodes.start(nat=f"pmp:{HOST}")
    eventually(lambda: agreed(server)[0] == "20.0.0.1")
    tcp = server.self.tcp
    assert f"tcp port {tcp} is mapped to external port {tcp} by NAT-PMP {HOST}" in caplog.text
    assert f"external address 20.0.0.1, by NAT-PMP {HOST}" in caplog.text
