"""NAT-PMP: packets as drawn in RFC 6886, and what is refused or ignored."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p.nat.epoch import RestartDetector
from p2p.nat.errors import NatError
from p2p.nat.mapping import MapAnswer, Mapped, PortMapping
from p2p.nat.natpmp import (
    RESULTS,
    AddressAnswer,
    OtherVersion,
    address_request,
    is_restart,
    map_request,
    parse_address,
    parse_mapping,
)

TCP = PortMapping("tcp", 30303, 40000, 600)
UDP = PortMapping("udp", 30303, 40000, 600)
#: Epoch 1,000 s, address 20.0.0.1; epoch 1,000 s, port 30303 mapped to 40001 for 300 s.
ADDRESS = bytes.fromhex("0080 0000 000003e8 14000001")
GRANTED = bytes.fromhex("0082 0000 000003e8 765f 9c41 0000012c")


def packet(mapping: PortMapping) -> str | None:
    data = map_request(mapping, 0.0).poll_datagram(0.0)
    return None if data is None else data.hex()


# requests (sections 3.2 to 3.4)


def test_request_for_the_address_has_two_bytes() -> None:
    assert address_request(0.0).poll_datagram(0.0) == b"\0\0"


def test_request_for_a_mapping() -> None:
    assert packet(UDP) == "00010000765f9c4000000258"
    assert packet(TCP) == "00020000765f9c4000000258"


def test_deletion_has_neither_external_port_nor_lifetime() -> None:
    assert packet(PortMapping("tcp", 30303, 40000, 0)) == "00020000765f000000000000"


# answers


def test_answer_with_the_address() -> None:
    assert parse_address(ADDRESS) == AddressAnswer(IPv4Address("20.0.0.1"), 1000)
    assert address_request(0.0).receive(ADDRESS) == parse_address(ADDRESS)


def test_answer_with_a_mapping() -> None:
    assert parse_mapping(GRANTED, TCP) == MapAnswer(Mapped(40001, 300), 1000)


def test_answer_to_a_deletion() -> None:
    deleted = bytes.fromhex("0082 0000 000003e8 765f 0000 00000000")
    wanted = PortMapping("tcp", 30303, 40000, 0)
    assert parse_mapping(deleted, wanted) == MapAnswer(Mapped(0, 0), 1000)


@pytest.mark.parametrize("code", [2, 3, 4, 5, 6, 0xFFFF])
def test_refusal_has_its_reason(code: int) -> None:
    header = bytes.fromhex(f"0080 {code:04x} 000003e8")
    reason = RESULTS.get(code, f"result {code}")
    for data in (header, header + bytes(4)):
        with pytest.raises(NatError, match=reason):
            parse_address(data)
    with pytest.raises(NatError, match=reason):
        parse_mapping(bytes.fromhex(f"0082 {code:04x} 000003e8"), TCP)


@pytest.mark.parametrize(
    "data",
    [
        bytes.fromhex("0080 0001 000003e8"),  # unsupported version
        bytes.fromhex("0280 0001 00000000 000003e8") + bytes(12),  # PCP
    ],
)
def test_other_version_is_told(data: bytes) -> None:
    with pytest.raises(OtherVersion):
        parse_address(data)


@pytest.mark.parametrize("ip", ["0.0.0.0", "224.0.0.1"])
def test_address_that_no_host_has_is_an_error(ip: str) -> None:
    with pytest.raises(NatError, match=ip):
        parse_address(ADDRESS[:8] + IPv4Address(ip).packed)


@pytest.mark.parametrize(
    "answer", ["765f 0000 0000012c", "765f 9c41 00000000"], ids=["port 0", "lifetime 0"]
)
def test_mapping_that_is_none_is_an_error(answer: str) -> None:
    with pytest.raises(NatError, match="NAT-PMP"):
        parse_mapping(GRANTED[:8] + bytes.fromhex(answer), TCP)


def test_deletion_answered_with_a_mapping_is_an_error() -> None:
    with pytest.raises(NatError, match="lifetime"):
        parse_mapping(GRANTED, PortMapping("tcp", 30303, 40000, 0))


@pytest.mark.parametrize("size", [0, 1, 7, 8, 11, 13])
def test_address_of_another_size_is_ignored(size: int) -> None:
    assert parse_address((ADDRESS + bytes(9))[:size]) is None


@pytest.mark.parametrize("size", [0, 7, 8, 12, 15, 17])
def test_mapping_of_another_size_is_ignored(size: int) -> None:
    assert parse_mapping((GRANTED + bytes(9))[:size], TCP) is None


def test_answer_to_another_request_is_ignored() -> None:
    assert parse_mapping(GRANTED, UDP) is None
    assert parse_mapping(GRANTED, PortMapping("tcp", 30304, 40000, 600)) is None
    assert parse_mapping(ADDRESS, TCP) is None
    assert parse_address(GRANTED) is None


def test_request_of_another_client_is_ignored() -> None:
    assert parse_address(b"\0\0" + bytes(10)) is None
    assert parse_mapping(bytes.fromhex(packet(TCP) or "") + bytes(4), TCP) is None


@given(st.binary(max_size=20))
def test_any_bytes_are_an_answer_or_ignored_or_refused(data: bytes) -> None:
    for result in (b"\0\0", data[:2]):
        for parse in (parse_address, lambda data: parse_mapping(data, TCP)):
            try:
                answer = parse(b"\0\x82" + result + data)
            except NatError:
                continue
            assert answer is None or answer.epoch < 2**32


# restarts (section 3.6)


@pytest.mark.parametrize(
    ("epoch", "elapsed_s", "restarted"),
    [
        (1100, 100.0, False),
        (1086, 100.0, False),  # a clock that is slow by an eighth, and two seconds
        (1085, 100.0, True),
        (9999, 100.0, False),
        (998, 0.0, False),
        (997, 0.0, True),
        (0, 100.0, True),
    ],
)
def test_restart_is_a_time_that_is_too_early(epoch: int, elapsed_s: float, restarted: bool) -> None:
    seen = RestartDetector(is_restart)
    assert not seen.has_restarted(1000, 50.0)
    assert seen.has_restarted(epoch, 50.0 + elapsed_s) == restarted
    assert not seen.has_restarted(epoch, 50.0 + elapsed_s)
