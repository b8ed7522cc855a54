from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address

import pytest

from p2p.net import Address, address_of, family_of, format_address, sockaddr_of


@pytest.mark.parametrize(
    ("sockaddr", "expected"),
    [
        (("192.0.2.1", 30303), (IPv4Address("192.0.2.1"), 30303)),
        (("2001:db8::1", 30303, 0, 0), (IPv6Address("2001:db8::1"), 30303)),
        (("::ffff:192.0.2.1", 1, 0, 0), (IPv4Address("192.0.2.1"), 1)),
        (("fe80::1%eth0", 1, 0, 2), (IPv6Address("fe80::1"), 1)),
    ],
)
def test_address_of_has_no_mapping_and_no_scope(sockaddr: object, expected: Address) -> None:
    address = address_of(sockaddr)
    assert address == expected
    assert getattr(address[0], "scope_id", None) is None


@pytest.mark.parametrize("host", ["localhost", "0x7f.1", "127.1", "", "1.2.3.4 "])
def test_address_of_refuses_what_is_no_ip_address(host: str) -> None:
    with pytest.raises(ValueError):
        address_of((host, 1))


def test_mapped_address_is_connected_to_as_ipv4() -> None:
    address = (IPv6Address("::ffff:192.0.2.1"), 5)
    assert family_of(address) is socket.AF_INET
    assert sockaddr_of(address) == ("192.0.2.1", 5)


@pytest.mark.parametrize(
    ("ip", "text"),
    [(IPv4Address("192.0.2.1"), "192.0.2.1:7"), (IPv6Address("2001:db8::1"), "[2001:db8::1]:7")],
)
def test_format_puts_ipv6_into_brackets(ip: IPv4Address | IPv6Address, text: str) -> None:
    assert format_address((ip, 7)) == text
