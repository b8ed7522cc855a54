"""Which announcements make a node, and at which address."""

from __future__ import annotations

import pytest

from p2p.errors import InvalidNode
from p2p.lan.announcement import MAX_ADDRESSES
from tests.lan.kit import ETH0, OWN_KEY, announcement, checks, interface, record

WITHOUT_IP = {"ip": "127.0.0.1"}


@pytest.mark.parametrize(
    ("entries", "ips", "at"),
    [
        ({}, ["192.168.1.6"], "192.168.1.6:30303"),
        ({"tcp": 4}, ["192.168.1.6"], "192.168.1.6:4"),
        ({}, ["192.168.1.99"], "192.168.1.6:30303"),  # repeated by another host
        (WITHOUT_IP, ["192.168.1.7"], "192.168.1.7:30303"),
        (WITHOUT_IP, ["8.8.8.8", "10.0.0.1", "192.168.1.7"], "192.168.1.7:30303"),
        ({"ip": "10.0.0.1"}, ["192.168.1.7"], "192.168.1.7:30303"),  # of another interface
        ({"ip": "8.8.8.8"}, ["192.168.1.7"], "192.168.1.7:30303"),  # behind a router
        ({"ip": "127.0.0.1", "ip6": "fd00::6"}, [], "[fd00::6]:30303"),
        (WITHOUT_IP, ["fd00::6"], "[fd00::6]:30303"),
        (WITHOUT_IP, ["::ffff:192.168.1.7"], "192.168.1.7:30303"),
    ],
)
def test_address_of_a_node(entries: dict[str, object], ips: list[str], at: str) -> None:
    node = checks().node_of(announcement(record(**entries), *ips), ETH0)
    assert node is not None and str(node.tcp_endpoint) == at


@pytest.mark.parametrize(
    ("entries", "ips"),
    [
        ({"ip": "8.8.8.8"}, ["8.8.8.8"]),
        ({"ip": "8.8.8.8"}, []),
        ({"ip": "10.0.0.1"}, ["10.0.0.1", "172.16.0.1"]),  # not of the interface's networks
        ({"ip": "127.0.0.1"}, ["127.0.0.1", "::1"]),
        ({"ip": "0.0.0.0"}, ["0.0.0.0", "255.255.255.255", "224.0.0.251"]),
        ({"ip": "169.254.7.7"}, ["169.254.7.7", "fe80::1"]),
        ({"ip": "127.0.0.1"}, ["8.8.8.8"] * MAX_ADDRESSES + ["192.168.1.7"]),
        ({"ip": "127.0.0.1"}, []),
    ],
)
def test_no_address_of_the_network(entries: dict[str, object], ips: list[str]) -> None:
    with pytest.raises(InvalidNode, match="no TCP endpoint in the networks of eth0"):
        checks().node_of(announcement(record(**entries), *ips), ETH0)


def test_no_port() -> None:
    with pytest.raises(InvalidNode, match="no TCP endpoint"):
        checks().node_of(announcement(record(**WITHOUT_IP), "192.168.1.7", port=0), ETH0)


def test_second_address_outside_is_refused() -> None:
    given = announcement(record(ip6="2600::1"), "192.168.1.6")
    with pytest.raises(InvalidNode, match="second address, 2600::1, is not of a local network"):
        checks().node_of(given, ETH0)
    assert checks(own_networks="2600::/32").node_of(given, ETH0) is not None


def test_our_own_record_is_left_out() -> None:
    assert checks().node_of(announcement(record(OWN_KEY), "192.168.1.6"), ETH0) is None


def test_forged_record_is_refused() -> None:
    given = announcement(record(), "192.168.1.6")
    flipped = given.txt[:-3] + bytes([given.txt[-3] ^ 1]) + given.txt[-2:]
    with pytest.raises(InvalidNode):
        checks().node_of(type(given)(flipped, given.port, given.ips), ETH0)


def test_net_restrict_is_honoured() -> None:
    given = announcement(record(), "192.168.1.6", "fd00::6")
    node = checks("fd00::/8").node_of(given, ETH0)
    assert node is not None and str(node.ip) == "fd00::6"
    with pytest.raises(InvalidNode):
        checks("10.0.0.0/8").node_of(given, ETH0)


def test_networks_of_the_user_count_as_local() -> None:
    campus = interface("130.60.1.5/24")
    given = announcement(record(ip="130.60.2.7"), "130.60.2.7")
    with pytest.raises(InvalidNode):
        checks().node_of(given, campus)
    node = checks(own_networks="130.60.0.0/16").node_of(given, campus)
    assert node is not None and str(node.ip) == "130.60.2.7"


def test_loopback_is_for_the_loopback_interface() -> None:
    given = announcement(record(ip="127.0.0.1"), "127.0.0.1")
    assert checks().node_of(given, interface("127.0.0.1/8", name="lo")) is not None
    with pytest.raises(InvalidNode):
        checks(own_networks="127.0.0.0/8").node_of(given, ETH0)
