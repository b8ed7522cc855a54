from __future__ import annotations

from ipaddress import ip_address

import pytest

from p2p.netutil import Netlist, OwnNetworks, check_relay_addr

# What the host in the first column says of the address in the second.
CASES = [
    ("127.0.0.1", "0.0.0.0", "zero address"),
    ("192.168.0.1", "0.0.0.0", "zero address"),
    ("23.55.1.242", "0.0.0.0", "zero address"),
    ("::1", "::", "zero address"),
    ("23.55.1.242", "::ffff:0.0.0.0", "zero address"),
    ("127.0.0.1", "255.255.255.255", "special network"),
    ("192.168.0.1", "255.255.255.255", "special network"),
    ("23.55.1.242", "192.0.2.1", "special network"),
    ("192.168.0.1", "192.0.2.1", "special network"),
    ("23.55.1.242", "ff02::1", "special network"),
    ("23.55.1.242", "2001:db8::1", "special network"),
    ("192.168.0.1", "127.0.2.19", "loopback address from another host"),
    ("23.55.1.242", "127.0.0.1", "loopback address from another host"),
    ("23.55.1.242", "::1", "loopback address from another host"),
    ("23.55.1.242", "::ffff:127.0.0.1", "loopback address from another host"),
    ("23.55.1.242", "192.168.0.1", "LAN address from a WAN host"),
    ("23.55.1.242", "fe80::1", "LAN address from a WAN host"),
    ("23.55.1.242", "fd00::1", "LAN address from a WAN host"),
    ("23.55.1.242", "::ffff:10.0.0.1", "LAN address from a WAN host"),
    ("23.55.1.242", "100.64.0.1", "LAN address from a WAN host"),
    ("100.64.0.1", "100.127.0.1", None),
    ("23.55.1.242", "240.0.0.1", "special network"),
    ("23.55.1.242", "64:ff9b::a00:1", "special network"),
    ("127.0.0.1", "127.0.2.19", None),
    ("::1", "127.0.0.1", None),
    ("::ffff:127.0.0.1", "::1", None),
    ("127.0.0.1", "192.168.0.1", None),
    ("192.168.0.1", "192.168.0.2", None),
    ("10.0.0.1", "fe80::1", None),
    ("fe80::1", "169.254.0.1", None),
    ("192.168.0.1", "23.55.1.242", None),
    ("127.0.0.1", "23.55.1.242", None),
    ("23.55.1.242", "23.55.1.243", None),
    ("23.55.1.242", "2a00::1", None),
]


@pytest.mark.parametrize("sender, address, reason", CASES)
def test_relayed_address_is_refused_for_the_reason(
    sender: str, address: str, reason: str | None
) -> None:
    assert check_relay_addr(ip_address(sender), ip_address(address)) == reason


OWN = OwnNetworks(Netlist.parse("203.0.113.0/24, 20.0.0.0/24"))


@pytest.mark.parametrize(
    ("sender", "address", "reason"),
    [
        ("203.0.113.1", "203.0.113.2", None),
        ("10.0.0.1", "203.0.113.2", None),
        ("203.0.113.1", "10.0.0.1", None),
        ("20.0.0.1", "203.0.113.2", None),
        ("20.0.0.1", "20.0.0.2", None),
        ("23.55.1.242", "20.0.0.2", None),
        ("23.55.1.242", "203.0.113.2", "special network"),
        ("203.0.113.1", "198.51.100.1", "special network"),
        ("203.0.113.1", "127.0.0.1", "loopback address from another host"),
    ],
)
def test_own_hosts_may_tell_of_each_other(sender: str, address: str, reason: str | None) -> None:
    assert check_relay_addr(ip_address(sender), ip_address(address), OWN) == reason


def test_a_node_without_address_is_refused() -> None:
    assert check_relay_addr(ip_address("127.0.0.1"), None) == "no address"
