"""Our own record without lock and database: its numbers, and where it says that we are."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest

from p2p.crypto import PrivateKey
from p2p.enode.localrecord import LocalRecord
from p2p.enode.ownaddress import MIN_STATEMENTS
from p2p.errors import ArgumentError
from p2p.inputs import Now
from p2p.netutil import NodeEndpoint

KEY = PrivateKey.from_bytes(bytes([1] * 32))
INSIDE, OUTSIDE = ip_address("192.168.0.5"), ip_address("20.0.0.1")


def behind_a_router() -> LocalRecord:
    local = LocalRecord(KEY)
    local.set_fallback_ip(INSIDE)
    local.set_fallback_udp(30303)
    local.set("tcp", 30304)
    return local


def test_numbers_grow_with_each_record_that_differs() -> None:
    local = LocalRecord(KEY, seq=7)
    assert local.record.seq == local.seq == 8
    assert local.record.seq == 8
    local.set("x", 1)
    assert local.record.seq == 9
    local.set("x", 2)
    local.set("x", 1)
    assert local.record.seq == 9


def test_last_record_stays_when_no_number_is_left() -> None:
    local = LocalRecord(KEY)
    first = local.node(max_seq=1)
    local.set("x", 1)
    assert local.node(max_seq=1) is first
    assert local.node(max_seq=2).seq == 2


def test_address_is_what_enough_hosts_state() -> None:
    local = behind_a_router()
    assert local.endpoint == NodeEndpoint(INSIDE, 30303, 30304)
    for number in range(MIN_STATEMENTS):
        assert local.endpoint.ip == INSIDE
        local.endpoint_statement(ip_address(f"20.0.{number}.9"), (OUTSIDE, 1025), Now(0.0, 0.0))
    assert local.endpoint == NodeEndpoint(OUTSIDE, 1025, 30304)
    assert local.record.ip == OUTSIDE and local.seq == 2


# Static endpoints.


def ports(local: LocalRecord) -> tuple[object, ...]:
    record = local.record
    return record.udp, record.tcp, record.udp6, record.tcp6


def test_static_endpoint_has_its_ports_whatever_others_state() -> None:
    local = behind_a_router()
    local.set_static_endpoint(OUTSIDE, 1025, 1026)
    for number in range(MIN_STATEMENTS):
        local.endpoint_statement(ip_address(f"20.0.{number}.9"), (INSIDE, 7), Now(0.0, 0.0))
    assert local.endpoint == NodeEndpoint(OUTSIDE, 1025, 1026)
    local.clear_static_ip()
    assert local.endpoint == NodeEndpoint(INSIDE, 7, 30304)


def test_static_endpoint_without_ports_has_ours() -> None:
    local = behind_a_router()
    local.set_static_endpoint(OUTSIDE)
    assert local.endpoint == NodeEndpoint(OUTSIDE, 30303, 30304)


def test_port_that_others_see_counts_for_a_static_address_without_one() -> None:
    local = behind_a_router()
    local.set_static_ip(OUTSIDE)
    assert local.endpoint.udp == 30303
    for number in range(MIN_STATEMENTS):
        local.endpoint_statement(ip_address(f"20.0.{number}.9"), (OUTSIDE, 1025), Now(0.0, 0.0))
    assert local.endpoint == NodeEndpoint(OUTSIDE, 1025, 30304)


def test_each_family_has_the_ports_of_its_static_endpoint() -> None:
    local = behind_a_router()
    local.set_static_endpoint(OUTSIDE, 1025, 1026)
    local.set_static_endpoint("2001:db8::7", 1027, 1028)
    assert ports(local) == (1025, 1026, 1027, 1028)
    local.clear_static_ip(6)
    assert ports(local) == (1025, 1026, None, None)  # no port without an address


def test_mapped_port_of_one_family_is_not_taken_for_that_of_the_other() -> None:
    local = behind_a_router()
    local.set_fallback_ip("2001:db8::7")
    local.set_static_endpoint(OUTSIDE, 1025, 1026)
    assert ports(local) == (1025, 1026, 30303, 30304)


@pytest.mark.parametrize(
    "endpoint", [("224.0.0.1", 1, 1), (OUTSIDE, -1, 1), (OUTSIDE, 1, 65536), (OUTSIDE, "1", 1)]
)
def test_impossible_static_endpoint_is_refused(endpoint: Any) -> None:
    local = behind_a_router()
    with pytest.raises(ArgumentError):
        local.set_static_endpoint(*endpoint)
    assert local.endpoint.ip == INSIDE
