"""Hosts of a lab and of a simulation have addresses that lead nowhere outside of them."""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address
from pathlib import Path

import pytest

import p2p
from p2p.lab import Lab, MemoryNetwork
from p2p.netutil import LAN, OwnNetworks, Scope, check_relay_addr, scope_of
from p2p.sim import Network
from p2p.sim.address import SIMULATED, outside_ip

ROOT = Path(__file__).parents[2]
#: Files with addresses of the Internet that are meant: real hosts, and what was once measured.
REAL = ("p2p/networks.py", "p2p/nat/stunclient.py", "p2p/netutil/host.py", "docs/design/")
_QUAD = re.compile(r"\b(?:\d+\.){3}\d+\b")


@pytest.mark.parametrize("number", [0, 1, 1000, 0xFFFF])
def test_address_of_a_simulated_host_is_reserved(number: int) -> None:
    ip = outside_ip(number)
    assert scope_of(ip) is Scope.NONE and SIMULATED.contains(ip)
    assert OwnNetworks(simulated=SIMULATED).scope_of(ip) is Scope.GLOBAL


def test_nodes_of_labs_and_simulations_are_at_no_address_of_the_internet() -> None:
    assert not any(scope_of(node.address.ip) is Scope.GLOBAL for node in simulated(3).nodes)
    for join in ("memory", "loopback"):
        with Lab(3, join=join) as lab:
            assert not any(scope_of(ip_of(node.node)) is Scope.GLOBAL for node in lab)


def test_host_in_memory_is_not_given_an_address_of_the_internet() -> None:
    with MemoryNetwork() as network:
        with pytest.raises(p2p.ArgumentError, match=r"not of the Internet, such as one of 240\."):
            network.host("20.0.1.1")
        assert str(network.host("192.168.1.1").ip) == "192.168.1.1"


def test_only_in_memory_a_simulated_address_is_relayed() -> None:
    here, there = outside_ip(1), outside_ip(2)
    assert check_relay_addr(here, there, LAN) == "special network"
    assert check_relay_addr(here, there, OwnNetworks(simulated=SIMULATED)) is None
    others = IPv4Address("198.18.0.1")
    assert check_relay_addr(here, others, OwnNetworks(simulated=SIMULATED)) == "special network"


def test_lab_with_limits_for_its_networks_finds_nodes() -> None:
    with Lab(5, topology="none", discovery=True, own_networks="192.0.2.0/24") as lab:
        lab.wait_until(lambda: all(len(node.neighbors) == 4 for node in lab), 30)


def test_examples_and_documents_name_no_host_of_the_internet() -> None:
    paths = [p for folder in ("p2p", "docs", "examples") for p in (ROOT / folder).rglob("*")]
    found = [
        f"{path.relative_to(ROOT)}: {quad}"
        for path in [*paths, ROOT / "README.md"]
        if path.suffix in (".py", ".md", ".toml", ".txt")
        if not str(path.relative_to(ROOT)).startswith(REAL)
        for quad in _QUAD.findall(path.read_text("utf-8"))
        if is_of_the_internet(quad)
    ]
    assert found == []


def is_of_the_internet(quad: str) -> bool:
    try:
        return scope_of(IPv4Address(quad)) is Scope.GLOBAL
    except AddressValueError:  # a version, for example
        return False


def simulated(count: int) -> Network:
    network = Network()
    for _ in range(count):
        network.add()
    return network


def ip_of(node: p2p.Node) -> IPv4Address:
    assert isinstance(node.ip, IPv4Address)
    return node.ip
