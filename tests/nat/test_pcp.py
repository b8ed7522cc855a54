"""PCP: packets as drawn in RFC 6887, and what is refused or ignored."""

from __future__ import annotations

import random
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p.nat.epoch import RestartDetector
from p2p.nat.errors import NatError
from p2p.nat.mapping import MapAnswer, Mapped, PortMapping
from p2p.nat.pcp import (
    MAX_SIZE,
    RESULTS,
    announce_request,
    is_restart,
    map_request,
    parse_announcement,
    parse_mapping,
)
from p2p.netutil import IPAddress

NONCE = bytes(range(1, 13))
TCP = PortMapping("tcp", 30303, 40000, 600)
HERE = IPv4Address("192.168.1.5")
#: Epoch 1,000 s; port 30303 of TCP is 20.0.0.1:40001 for 300 s.
HEADER = bytes.fromhex("02 81 00 00 0000012c 000003e8") + bytes(12)
FIELDS = NONCE + bytes.fromhex("06 000000 765f 9c41") + IPv6Address("::ffff:20.0.0.1").packed
GRANTED = HEADER + FIELDS


def packet(mapping: PortMapping, client: IPAddress = HERE) -> bytes:
    data = map_request(mapping, client, NONCE, random.Random(1), 0.0).poll_datagram(0.0)
    assert data is not None
    return data


def with_byte(at: int, value: int) -> bytes:
    return GRANTED[:at] + bytes([value]) + GRANTED[at + 1 :]


# requests (sections 7.1, 11.1, 14.1)


def test_request_for_a_mapping() -> None:
    assert packet(TCP) == (
        bytes.fromhex("02 01 0000 00000258 00000000000000000000ffffc0a80105")
        + NONCE
        + bytes.fromhex("06 000000 765f 9c40 00000000000000000000ffff00000000")
    )
    assert packet(PortMapping("udp", 1, 2, 3))[36] == 17


def test_request_of_a_host_with_ipv6() -> None:
    data = packet(TCP, ip_address("2001:db8::5"))
    assert data[8:24] == IPv6Address("2001:db8::5").packed
    assert data[44:60] == bytes(16)


def test_deletion_has_neither_external_port_nor_lifetime() -> None:
    data = packet(PortMapping("tcp", 30303, 40000, 0))
    assert (data[4:8], data[42:44]) == (bytes(4), bytes(2))
    assert data[24:36] == NONCE


def test_request_for_the_epoch_has_a_header_only() -> None:
    request = announce_request(HERE, random.Random(1), 0.0)
    assert request.poll_datagram(0.0) == bytes.fromhex(
        "02 00 0000 00000000 00000000000000000000ffffc0a80105"
    )


# answers


def test_answer_with_a_mapping() -> None:
    granted = MapAnswer(Mapped(40001, 300, IPv4Address("20.0.0.1")), 1000)
    assert parse_mapping(GRANTED, TCP, NONCE) == granted
    options = bytes.fromhex("02 00 0004 00000000")
    assert parse_mapping(GRANTED + options, TCP, NONCE) == granted


def test_answer_with_an_ipv6_address() -> None:
    ip = IPv6Address("2001:db8::7")
    granted = parse_mapping(GRANTED[:-16] + ip.packed, TCP, NONCE)
    assert granted is not None and granted.mapped.external_ip == ip


def test_answer_to_a_deletion() -> None:
    deleted = HEADER[:4] + bytes(4) + HEADER[8:] + FIELDS[:-18] + bytes(18)
    assert parse_mapping(deleted, PortMapping("tcp", 30303, 40000, 0), NONCE) is not None


def test_answer_with_the_epoch() -> None:
    assert parse_announcement(bytes.fromhex("02 80 00 00 00000000 000003e8") + bytes(12)) == 1000


@pytest.mark.parametrize("code", [*range(2, 14), 14, 255])
def test_refusal_has_its_reason(code: int) -> None:
    reason = RESULTS.get(code, f"result {code}")
    with pytest.raises(NatError, match=reason):
        parse_mapping(with_byte(3, code), TCP, NONCE)
    with pytest.raises(NatError, match=reason):
        parse_announcement(bytes([2, 128, 0, code]) + bytes(20))


@pytest.mark.parametrize(
    "data",
    [
        bytes.fromhex("0081 0001 000003e8"),  # as NAT-PMP answers it
        bytes.fromhex("0281 0001 00000000") + bytes(16),
        bytes.fromhex("0381 0001 00000000") + bytes(52),
    ],
)
def test_router_without_pcp_is_told(data: bytes) -> None:
    with pytest.raises(NatError, match="does not speak PCP"):
        parse_mapping(data, TCP, NONCE)


@pytest.mark.parametrize("ip", ["::", "::ffff:0.0.0.0", "ff02::1", "::ffff:224.0.0.1"])
def test_address_that_no_host_has_is_an_error(ip: str) -> None:
    with pytest.raises(NatError, match="external address"):
        parse_mapping(GRANTED[:-16] + IPv6Address(ip).packed, TCP, NONCE)


@pytest.mark.parametrize("at", [slice(4, 8), slice(42, 44)], ids=["lifetime 0", "port 0"])
def test_mapping_that_is_none_is_an_error(at: slice) -> None:
    data = bytearray(GRANTED)
    data[at] = bytes(at.stop - at.start)
    with pytest.raises(NatError, match="PCP: port"):
        parse_mapping(bytes(data), TCP, NONCE)


@pytest.mark.parametrize("size", [0, 1, 3, 4, 24, 56, 58, 59])
def test_short_answer_is_ignored(size: int) -> None:
    assert parse_mapping(GRANTED[:size], TCP, NONCE) is None


@pytest.mark.parametrize("size", [61, MAX_SIZE + 4])
def test_answer_of_an_impossible_size_is_ignored(size: int) -> None:
    assert parse_mapping(GRANTED + bytes(size - 60), TCP, NONCE) is None


@pytest.mark.parametrize(
    ("at", "value"),
    [(1, 0x01), (1, 0x80), (1, 0x82), (24, 0xFF), (35, 0xFF), (36, 17), (40, 0), (41, 0)],
    ids=["request", "ANNOUNCE", "PEER", "nonce", "nonce", "UDP", "port", "port"],
)
def test_answer_to_another_request_is_ignored(at: int, value: int) -> None:
    assert parse_mapping(with_byte(at, value), TCP, NONCE) is None


@given(st.integers(0, 80), st.binary(max_size=80))
def test_any_bytes_are_an_answer_or_ignored_or_refused(kept: int, data: bytes) -> None:
    try:
        answer = parse_mapping(GRANTED[:kept] + data, TCP, NONCE)
    except NatError:
        return
    assert answer is None or (0 < answer.mapped.external_port < 2**16 and answer.epoch < 2**32)


# restarts (section 8.5)


@pytest.mark.parametrize(
    ("epoch", "elapsed_s", "restarted"),
    [
        (1100, 100.0, False),
        (999, 0.0, False),  # answers that overtook each other
        (998, 0.0, True),
        (1000, 2.0, False),
        (1000, 3.0, True),
        (1092, 100.0, False),
        (1091, 100.0, True),
        (1108, 100.0, False),
        (1109, 100.0, True),
        (0, 100.0, True),
    ],
)
def test_restart_is_a_time_that_does_not_go_with_ours(
    epoch: int, elapsed_s: float, restarted: bool
) -> None:
    seen = RestartDetector(is_restart)
    assert not seen.has_restarted(1000, 50.0)
    assert seen.has_restarted(epoch, 50.0 + elapsed_s) == restarted
    assert not seen.has_restarted(epoch, 50.0 + elapsed_s)
