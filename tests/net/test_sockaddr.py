"""Endpoints as the system has them."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address

import pytest

from p2p.net import endpoint_of, family_of, sockaddr_of
from p2p.netutil import Endpoint


@pytest.mark.parametrize(
    ("sockaddr", "expected"),
    [
        (("192.0.2.1", 30303), (IPv4Address("192.0.2.1"), 30303)),
        (("2001:db8::1", 30303, 0, 0), (IPv6Address("2001:db8::1"), 30303)),
        (("::ffff:192.0.2.1", 1, 0, 0), (IPv4Address("192.0.2.1"), 1)),
        (("fe80::1%eth0", 1, 0, 2), (IPv6Address("fe80::1"), 1)),
    ],
)
def test_endpoint_of_has_no_mapping_and_no_scope(sockaddr: object, expected: Endpoint) -> None:
    endpoint = endpoint_of(sockaddr)
    assert endpoint == expected
    assert getattr(endpoint.ip, "scope_id", None) is None


@pytest.mark.parametrize("host", ["localhost", "0x7f.1", "127.1", "", "1.2.3.4 "])
def test_endpoint_of_refuses_what_is_no_ip_address(host: str) -> None:
    with pytest.raises(ValueError):
        endpoint_of((host, 1))


def test_mapped_address_is_connected_to_as_ipv4() -> None:
    address = (IPv6Address("::ffff:192.0.2.1"), 5)
    assert family_of(address) is socket.AF_INET
    assert sockaddr_of(address) == ("192.0.2.1", 5)
