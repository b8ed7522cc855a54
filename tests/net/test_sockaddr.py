"""Endpoints as the system has them."""

from __future__ import annotations

import errno
import socket
import sys
from ipaddress import IPv4Address, IPv6Address

import pytest

from p2p.net import bind_udp, endpoint_of, family_of, served_version, sockaddr_of
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


@pytest.mark.parametrize(
    ("host", "version"), [("127.0.0.1", 4), ("0.0.0.0", 4), ("::1", 6), (None, None), ("::", None)]
)
def test_served_version_is_that_of_the_bound_address(host: str | None, version: int | None) -> None:
    if version != 4 and not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    with bind_udp(host, 0) as sock:
        assert served_version(sock) == version


def test_served_version_of_a_socket_that_the_program_has_bound_for_ipv6_only_is_6() -> None:
    if not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(("::", 0))
        assert served_version(sock) == 6


LO = "lo" if sys.platform == "linux" else "lo0"


@pytest.mark.parametrize("zone", [LO, str(socket.if_nametoindex(LO))])
def test_zone_of_an_address_becomes_the_scope_id(zone: str) -> None:
    address = (IPv6Address(f"fe80::1%{zone}"), 5)
    assert family_of(address) is socket.AF_INET6
    assert sockaddr_of(address) == ("fe80::1", 5, 0, socket.if_nametoindex(LO))


@pytest.mark.parametrize("zone", ["none such", "\0", "x" * 200, "\u0664"])
def test_zone_that_is_no_interface_is_named(zone: str) -> None:
    with pytest.raises(OSError, match="no network interface") as caught:
        sockaddr_of((IPv6Address(f"fe80::1%{zone}"), 5))
    assert caught.value.errno == errno.ENODEV
