"""Our own record without lock and database: its numbers, and where it says that we are."""

from __future__ import annotations

from ipaddress import ip_address

from p2p.crypto import PrivateKey
from p2p.enode.localrecord import LocalRecord
from p2p.enode.ownaddress import MIN_STATEMENTS
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
