from __future__ import annotations

import dataclasses
import json
import pathlib
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

import pytest

from p2p.crypto import PrivateKey
from p2p.enode import Node, NodeID, parse_node
from p2p.enr import Record
from p2p.errors import ArgumentError
from p2p.netutil import Netlist

VECTORS: dict[str, Any] = json.loads(
    (pathlib.Path(__file__).parent.parent / "testdata" / "enr.json").read_text()
)
CHOICES = VECTORS["endpoint_choice"]["cases"]
VALID = VECTORS["valid"]
KEY = PrivateKey.from_bytes(bytes.fromhex(VALID[0]["private_key"]))


def of_record(**entries: object) -> Node:
    return Node.from_record(Record.sign(KEY, 1, entries))


@pytest.mark.parametrize("case", CHOICES, ids=lambda case: case["name"])
def test_most_global_address_of_a_record_is_used(case: dict[str, Any]) -> None:
    node = of_record(**case["entries"]).with_hostname(case.get("hostname", ""))
    want_ip = None if case["ip"] is None else ip_address(case["ip"])
    assert (node.ip, node.udp, node.tcp) == (want_ip, case["udp"], case["tcp"])
    quic = node.quic_endpoint
    assert (0 if quic is None else quic.port) == case.get("quic", 0)


@pytest.mark.parametrize("case", VALID, ids=lambda case: case["name"])
def test_text_of_a_record_is_read_and_written(case: dict[str, Any]) -> None:
    node = parse_node(case["text"])
    assert str(node) == case["text"]
    assert str(node.id) == case["node_id"]
    assert node.seq == case["seq"]
    assert node.record == Record.from_text(case["text"])


def test_multicast_address_in_a_record_is_no_endpoint() -> None:
    (case,) = (c for c in VECTORS["constructed"]["cases"] if c["name"] == "ip-multicast")
    node = parse_node(case["text"])
    assert (node.ip, node.udp, node.udp_endpoint) == (None, 30303, None)


def test_multicast_address_leaves_the_other_one() -> None:
    assert of_record(ip="224.0.0.1", ip6="2001::1", udp=1).ip == IPv6Address("2001::1")
    assert of_record(ip="1.2.3.4", ip6="ff02::1", udp=1).ip == IPv4Address("1.2.3.4")


def test_ipv6_ports_fall_back_to_the_plain_ones() -> None:
    node = of_record(ip6="2001::1", tcp=1, udp=2, udp6=3)
    assert (node.tcp, node.udp) == (1, 3)


def test_port_6_of_zero_does_not_fall_back() -> None:
    assert of_record(ip6="2001::1", tcp=1, tcp6=0).tcp == 0


def test_mapped_ipv6_address_counts_as_ipv4_with_its_ports() -> None:
    node = of_record(ip6="::ffff:1.2.3.4", tcp=1, tcp6=2)
    assert (node.ip, node.tcp) == (IPv4Address("1.2.3.4"), 1)


def test_endpoints_are_address_and_port() -> None:
    node = Node.from_parts(KEY.public_key, "1.2.3.4", tcp=1, udp=2)
    assert node.tcp_endpoint == (IPv4Address("1.2.3.4"), 1)
    assert node.udp_endpoint == (IPv4Address("1.2.3.4"), 2)
    assert node.quic_endpoint is None


BOTH = {"ip": "1.2.3.4", "tcp": 1, "udp": 2, "ip6": "2001::1", "udp6": 3}


def test_endpoints_of_a_record_are_those_of_both_families_the_better_one_first() -> None:
    v4, v6 = (IPv4Address("1.2.3.4"), 2, 1), (IPv6Address("2001::1"), 3, 1)
    assert of_record(**BOTH).endpoints == (v4, v6)
    of_lan = of_record(**{**BOTH, "ip": "10.0.0.1"})
    assert of_lan.endpoints == (v6, (IPv4Address("10.0.0.1"), 2, 1))
    node = of_record(**BOTH)
    assert node.tcp_endpoints == ((v4[0], 1), (v6[0], 1))
    assert node.udp_endpoints == ((v4[0], 2), (v6[0], 3))


def test_endpoints_follow_the_node_and_leave_out_what_cannot_be_used() -> None:
    node = of_record(**BOTH)
    moved = node.with_endpoint("5.6.7.8", 5, 6)
    assert moved.endpoints == ((IPv4Address("5.6.7.8"), 6, 5), (IPv6Address("2001::1"), 3, 1))
    assert node.with_endpoint("::1", 5, 6).endpoints[1] == (IPv4Address("1.2.3.4"), 2, 1)
    assert node.with_ip(None).endpoints == node.with_ip("0.0.0.0").endpoints == ()
    assert of_record(**{**BOTH, "ip6": "ff02::1"}).endpoints == (node.endpoints[0],)
    assert of_record(**{**BOTH, "ip6": "::"}).endpoints == (node.endpoints[0],)
    assert of_record(**{**BOTH, "ip": "0.0.0.0"}).endpoints == (node.endpoints[1],)
    assert of_record(**{**BOTH, "ip6": "::ffff:1.2.3.5"}).endpoints == (node.endpoints[0],)
    assert of_record(**{**BOTH, "tcp6": 0}).tcp_endpoints == ((IPv4Address("1.2.3.4"), 1),)
    assert of_record(**{**BOTH, "udp": 0}).udp_endpoints == ((IPv6Address("2001::1"), 3),)
    plain = Node.from_parts(KEY.public_key, "1.2.3.4", 1, 2)
    assert plain.endpoints == (node.endpoints[0],)


@pytest.mark.parametrize(
    ("networks", "ip", "udp"),
    [
        (None, "1.2.3.4", 2),
        ("1.0.0.0/8, 2001::/16", "1.2.3.4", 2),
        ("2001::/16", "2001::1", 3),
        ("10.0.0.0/8", "1.2.3.4", 2),
    ],
)
def test_node_within_networks_is_at_its_first_endpoint_there(
    networks: str | None, ip: str, udp: int
) -> None:
    netlist = None if networks is None else Netlist.parse(networks)
    node = of_record(**BOTH).within(netlist)
    assert (node.ip, node.udp, node.tcp) == (ip_address(ip), udp, 1)
    assert node.record == of_record(**BOTH).record


def test_node_without_an_address_is_in_no_network() -> None:
    node = Node.from_parts(KEY.public_key)
    assert node.within(Netlist.parse("10.0.0.0/8")) is node


@pytest.mark.parametrize(("ip", "port"), [(None, 1), ("0.0.0.0", 1), ("::", 1), ("1.2.3.4", 0)])
def test_endpoint_without_usable_address_or_port_is_none(ip: str | None, port: int) -> None:
    node = Node.from_parts(KEY.public_key, ip, port, port)
    assert node.tcp_endpoint is None
    assert node.udp_endpoint is None


def test_node_of_parts_has_no_record_and_no_sequence_number() -> None:
    node = Node.from_parts(KEY.public_key)
    assert (node.record, node.seq, node.ip, node.tcp, node.udp) == (None, 0, None, 0, 0)
    assert node.id == NodeID.from_public_key(KEY.public_key)
    assert node.public_key == KEY.public_key


@pytest.mark.parametrize(
    ("ip", "tcp", "udp", "why"),
    [
        ("1.2.3", 1, 1, "IP address: wanted"),
        ("a.example", 1, 1, "IP address: wanted"),
        ("1.2.3.4", 65536, 1, "TCP port"),
        ("1.2.3.4", 1, -1, "UDP port"),
    ],
)
def test_wrong_parts_are_named(ip: str, tcp: int, udp: int, why: str) -> None:
    with pytest.raises(ArgumentError, match=why):
        Node.from_parts(KEY.public_key, ip, tcp, udp)
    with pytest.raises(ArgumentError, match=why):
        Node.from_parts(KEY.public_key).with_endpoint(ip, tcp, udp)


def test_mapped_address_and_zone_are_taken_off() -> None:
    assert Node.from_parts(KEY.public_key, "::ffff:1.2.3.4").ip == IPv4Address("1.2.3.4")
    node = Node.from_parts(KEY.public_key).with_ip("fe80::1%eth0")
    assert (node.ip, node.hostname) == (IPv6Address("fe80::1"), "")


@pytest.mark.parametrize(
    "node",
    [
        Node.from_parts(KEY.public_key, "fe80::1%eth0", 5, 6),
        Node.from_parts(KEY.public_key, IPv6Address("fe80::1%eth0"), 5, 6),
        Node.from_parts(KEY.public_key, None, 5, 6).with_hostname("fe80::1%eth0"),
        Node.from_url(
            f"enode://{KEY.public_key.to_bytes().hex()}@[fe80::1%25eth0]:5?discport=6"
        ),
    ],
)
def test_address_with_a_zone_is_address_and_name(node: Node) -> None:
    assert (node.ip, node.hostname) == (IPv6Address("fe80::1"), "fe80::1%eth0")
    assert Node.from_url(node.url) == node
    assert node.udp_endpoint == (IPv6Address("fe80::1"), 6)


def test_changed_copy_leaves_the_node_as_it_is() -> None:
    node = Node.from_parts(KEY.public_key, "1.2.3.4", 1, 2)
    moved = node.with_ip("5.6.7.8")
    assert (moved.ip, moved.tcp, moved.udp) == (IPv4Address("5.6.7.8"), 1, 2)
    elsewhere = node.with_endpoint("::1", 3, 4)
    assert (elsewhere.ip, elsewhere.tcp, elsewhere.udp) == (IPv6Address("::1"), 3, 4)
    assert node.with_hostname("a.example").hostname == "a.example"
    assert node == Node.from_parts(KEY.public_key, "1.2.3.4", 1, 2)


def test_node_with_a_host_name_is_written_with_it() -> None:
    node = Node.from_parts(KEY.public_key, "1.2.3.4", 1, 2).with_hostname("a.example")
    assert node.url.endswith("@a.example:1?discport=2")


def test_record_node_has_a_url_too() -> None:
    node = of_record(ip="1.2.3.4", tcp=5, udp=5)
    assert node.url == f"enode://{KEY.public_key.to_bytes().hex()}@1.2.3.4:5"
    assert parse_node(node.url).id == node.id


def test_equal_nodes_are_equal_values() -> None:
    one, other = (Node.from_parts(KEY.public_key, "1.2.3.4", 1, 2) for _ in range(2))
    assert one == other
    assert len({one, other}) == 1
    assert one != one.with_ip("1.2.3.5")
    assert one != of_record(ip="1.2.3.4", tcp=1, udp=2)


def test_node_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Node.from_parts(KEY.public_key).tcp = 1  # type: ignore[misc]


def test_repr_is_short_and_tells_where() -> None:
    node = Node.from_parts(KEY.public_key, "1.2.3.4", 1, 2)
    assert repr(node) == "Node(a448f24c6d18e575… at 1.2.3.4, tcp 1, udp 2)"
