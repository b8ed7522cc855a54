"""STUN: the sample answers of RFC 5769, and what is refused or ignored."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p.nat.errors import NatError
from p2p.nat.stun import MAX_SIZE, binding_request, parse_binding
from p2p.netutil import Endpoint, ip_of

ID = bytes.fromhex("b7e7a701bc34d686fa87dfae")
#: RFC 5769, sections 2.2 and 2.3: answers with SOFTWARE, XOR-MAPPED-ADDRESS, and checksums.
SAMPLE_IPV4 = bytes.fromhex(
    "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000080001a147e112"
    "a643000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96"
)
SAMPLE_IPV6 = bytes.fromhex(
    "010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000140002a1470113"
    "a9faa5d3f179bc25f4b5bed2b9d900080014a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c"
)
PORT = 32853
IPV4, IPV6 = ip_of("192.0.2.1"), ip_of("2001:db8:1234:5678:11:2233:4455:6677")


def answer(*attributes: str, kind: str = "0101") -> bytes:
    body = bytes.fromhex("".join(attributes))
    return bytes.fromhex(f"{kind}{len(body):04x}2112a442") + ID + body


MAPPED = "00010008 0001 8055 c0000202"  # 192.0.2.2:32853
XOR_MAPPED = "00200008 0001 a147 e112a643"  # 192.0.2.1:32853


def test_request_is_a_header() -> None:
    request = binding_request(ID, 0.0)
    assert request.poll_datagram(0.0) == bytes.fromhex("000100002112a442") + ID
    assert request.receive(SAMPLE_IPV4) == Endpoint(IPV4, PORT)


@pytest.mark.parametrize(("data", "ip"), [(SAMPLE_IPV4, IPV4), (SAMPLE_IPV6, IPV6)])
def test_sample_of_rfc_5769(data: bytes, ip: object) -> None:
    assert parse_binding(data, ID) == (ip, PORT)


def test_plain_address_counts_without_the_combined_one_only() -> None:
    assert parse_binding(answer(MAPPED), ID) == (ip_of("192.0.2.2"), PORT)
    assert parse_binding(answer(MAPPED, XOR_MAPPED), ID) == (IPV4, PORT)


def test_first_of_two_addresses_counts() -> None:
    assert parse_binding(answer(XOR_MAPPED, "00200008 0001 ffff ffffffff"), ID) == (IPV4, PORT)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("0009000a 00000401 416761696e21 0000", "error 401 Again!"),
        ("00090006 00000514 1b5b 0000", r"error 520 \\x1b\["),
        ("00090004 00000400", "error 400"),
        ("00090002 00000000", "without a reason"),
        ("", "without a reason"),
    ],
)
def test_refusal_has_its_reason_escaped(value: str, words: str) -> None:
    with pytest.raises(NatError, match=words):
        parse_binding(answer(value, kind="0111"), ID)


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ("", "no address"),
        ("80220004 61616161", "no address"),
        ("00200004 0001a147", "wrong size or family"),
        ("00200008 0002a147 e112a643", "wrong size or family"),
        ("00200008 0003a147 e112a643", "wrong size or family"),
        ("00200000", "wrong size or family"),
        ("00200009 0001a147 e112a643", "longer than the answer"),
        ("00200008 0001a147 2112a442", "our address 0.0.0.0"),
        ("00200008 0001a147 c112a442", "our address 224.0.0.0"),
    ],
)
def test_answer_without_a_usable_address_is_an_error(attributes: str, words: str) -> None:
    with pytest.raises(NatError, match=words):
        parse_binding(answer(attributes), ID)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        SAMPLE_IPV4[:19],
        SAMPLE_IPV4[:-4],
        SAMPLE_IPV4 + bytes(4),
        answer(XOR_MAPPED, "8022 0001 61"),  # no multiple of four bytes
        answer(XOR_MAPPED, f"8022 {MAX_SIZE:04x}" + MAX_SIZE * "00"),
        answer(XOR_MAPPED, kind="0001"),
        answer(XOR_MAPPED, kind="0011"),
        SAMPLE_IPV4[:4] + b"\x21\x12\xa4\x43" + SAMPLE_IPV4[8:],
        SAMPLE_IPV4[:8] + bytes(12) + SAMPLE_IPV4[20:],
    ],
    ids=[
        *("empty", "short", "cut", "longer", "odd", "huge"),
        *("request", "indication", "cookie", "transaction"),
    ],
)
def test_other_packet_is_ignored(data: bytes) -> None:
    assert parse_binding(data, ID) is None


@given(st.binary(max_size=60))
def test_any_attributes_are_an_answer_or_ignored_or_refused(body: bytes) -> None:
    for kind in ("0101", "0111"):
        try:
            found = parse_binding(answer(body.hex(), kind=kind), ID)
        except NatError as error:
            assert str(error).isprintable()
            continue
        assert found is None or 0 <= found.port < 2**16
