"""Endpoints as pairs and as text."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest

from p2p.netutil import Endpoint


@pytest.mark.parametrize(
    ("ip", "text"),
    [(IPv4Address("192.0.2.1"), "192.0.2.1:7"), (IPv6Address("2001:db8::1"), "[2001:db8::1]:7")],
)
def test_text_has_ipv6_in_brackets(ip: IPv4Address | IPv6Address, text: str) -> None:
    assert str(Endpoint(ip, 7)) == text


def test_endpoint_equals_the_pair() -> None:
    assert Endpoint(IPv4Address("192.0.2.1"), 7) == (IPv4Address("192.0.2.1"), 7)
