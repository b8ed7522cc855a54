from __future__ import annotations

import json
import pathlib
from ipaddress import IPv4Address, ip_address

import pytest

from p2p.netutil import is_lan, is_special_network, unmap

VECTORS = json.loads((pathlib.Path(__file__).parent.parent / "testdata" / "enr.json").read_text())[
    "network_classes"
]


@pytest.mark.parametrize("text", VECTORS["is_lan"]["included"])
def test_lan_includes_loopback_private_and_link_local(text: str) -> None:
    assert is_lan(ip_address(text))


@pytest.mark.parametrize("text", VECTORS["is_lan"]["excluded"])
def test_lan_excludes_addresses_of_the_internet(text: str) -> None:
    assert not is_lan(ip_address(text))


@pytest.mark.parametrize("text", ["::1", "169.254.1.1", "fdff::1", "fe80::1%eth0", "100.64.0.1"])
def test_lan_includes_every_local_class(text: str) -> None:
    assert is_lan(ip_address(text))


@pytest.mark.parametrize("text", ["192.0.2.1", "240.0.0.1", "::", "0.0.0.0", "fe00::1"])
def test_lan_excludes_what_only_python_calls_private(text: str) -> None:
    assert not is_lan(ip_address(text))


@pytest.mark.parametrize("text", VECTORS["is_special_network"]["included"])
def test_special_network_includes_registered_ranges(text: str) -> None:
    assert is_special_network(ip_address(text))


@pytest.mark.parametrize("text", VECTORS["is_special_network"]["excluded"])
def test_special_network_excludes_ordinary_addresses(text: str) -> None:
    assert not is_special_network(ip_address(text))


@pytest.mark.parametrize("text", ["127.0.0.1", "10.0.0.1", "::1", "fe80::1"])
def test_local_networks_are_not_special(text: str) -> None:
    assert not is_special_network(ip_address(text))


def test_unmap_gives_the_ipv4_address_inside() -> None:
    assert unmap(ip_address("::ffff:1.2.3.4")) == IPv4Address("1.2.3.4")


@pytest.mark.parametrize("text", ["1.2.3.4", "::1.2.3.4", "2001:db8::1"])
def test_unmap_leaves_other_addresses_alone(text: str) -> None:
    assert unmap(ip_address(text)) == ip_address(text)
