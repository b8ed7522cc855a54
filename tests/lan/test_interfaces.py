"""The interfaces in use, and the list of the system's."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from p2p.lan.adapters import read_interfaces
from p2p.lan.interfaces import MAX_INTERFACES, chosen
from p2p.netutil import Netlist, OwnNetworks
from tests.lan.kit import interface

LO = interface("127.0.0.1/8", "::1/128", name="lo", index=1)
ETH0 = interface("192.168.1.5/24", "fd00::5/64", "fe80::5/64", "2600::5/64")
WAN = interface("8.8.8.8/24", name="wan", index=3)
AD_HOC = interface("169.254.3.4/16", name="eth1", index=4)
VPN = interface("10.8.0.2/32", name="tun0", index=5)
ALL = [LO, ETH0, WAN, AD_HOC, VPN]


@pytest.mark.parametrize(
    ("listening", "has_ipv6", "restrict", "own", "expected"),
    [
        ("::", True, None, "", ["192.168.1.5", "fd00::5", "169.254.3.4"]),
        (None, True, None, "", ["192.168.1.5", "fd00::5", "169.254.3.4"]),
        ("0.0.0.0", False, None, "", ["192.168.1.5", "169.254.3.4"]),
        ("192.168.1.5", False, None, "", ["192.168.1.5"]),
        ("fd00::5", True, None, "", ["fd00::5"]),
        ("127.0.0.1", False, None, "", ["127.0.0.1"]),
        ("8.8.8.8", False, None, "", []),
        ("8.8.8.8", False, None, "8.8.0.0/16", ["8.8.8.8"]),
        ("::", True, "192.168.0.0/16", "", ["192.168.1.5"]),
        ("192.168.1.5", False, "10.0.0.0/8", "", []),
    ],
)
def test_addresses_that_are_announced(
    listening: str | None, has_ipv6: bool, restrict: str | None, own: str, expected: list[str]
) -> None:
    found = chosen(
        ALL,
        None if listening is None else ip_address(listening),
        has_ipv6,
        OwnNetworks(Netlist.parse(own)),
        None if restrict is None else Netlist.parse(restrict),
    )
    assert [str(ip) for each in found for ip in each.ips] == expected


def test_number_of_interfaces_is_limited() -> None:
    many = [interface(f"10.0.{n}.1/24", name=f"br{n}", index=n) for n in range(20)]
    found = chosen(many, None, True, OwnNetworks(), None)
    assert [each.index for each in found] == list(range(MAX_INTERFACES))


def test_list_of_the_system_has_loopback() -> None:
    addresses = {str(ip) for each in read_interfaces() for ip in each.ips}
    assert "127.0.0.1" in addresses
