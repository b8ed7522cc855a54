"""Answers of routers by NAT-PMP and PCP, and of STUN servers.

Nothing protects them but the identifiers of the request. Repaired, an answer has those, and the
right version; the length is right for NAT-PMP and STUN. A bit of the variant chooses the request.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from p2p.nat import natpmp, pcp, stun
from p2p.nat.errors import NatError
from p2p.nat.mapping import MapAnswer, PortMapping
from p2p.netutil import Endpoint, is_unspecified
from tests.fuzz.target import REPAIRED, Target
from tests.nat import test_natpmp, test_pcp, test_stun

MAPPINGS = (PortMapping("tcp", 30303, 40000, 600), PortMapping("tcp", 30303, 40000, 0))
NONCE, ID = test_pcp.NONCE, test_stun.ID


@dataclass(frozen=True)
class Datagram:
    """An answer, and the number of the request that it is for."""

    request: int
    data: bytes


def label(answer: object) -> str:
    return "ignored" if answer is None else "accepted"


def with_prefix(prefix: bytes, data: bytes) -> bytes:
    return prefix + data[len(prefix) :]


# NAT-PMP.

NATPMP_READERS = (
    natpmp.parse_address,
    *(partial(natpmp.parse_mapping, wanted=mapping) for mapping in MAPPINGS),
)


def build_natpmp(variant: int, repaired: bool, body: bytes) -> Datagram:
    request = variant % len(NATPMP_READERS)
    if not repaired:
        return Datagram(request, body)
    padded = body + bytes(16)
    if request:
        return Datagram(request, b"\0\x82\0\0" + padded[4:8] + b"\x76\x5f" + padded[10:16])
    return Datagram(request, b"\0\x80\0\0" + padded[4:12])


def read_natpmp(given: Datagram) -> natpmp.AddressAnswer | MapAnswer | None:
    return NATPMP_READERS[given.request](given.data)


def check_natpmp(given: Datagram, answer: natpmp.AddressAnswer | MapAnswer | None) -> None:
    if isinstance(answer, natpmp.AddressAnswer):
        assert not is_unspecified(answer.ip) and len(given.data) == 12
    elif answer is not None:
        check_mapped(given, answer.mapped.external_port, answer.mapped.lifetime_s)


def check_mapped(given: Datagram, port: int, lifetime_s: int) -> None:
    assert 0 <= port < 65536 and 0 <= lifetime_s < 2**32
    is_deletion = MAPPINGS[given.request - 1].lifetime_s == 0
    assert is_deletion or (port and lifetime_s)


def natpmp_seeds() -> list[bytes]:
    answers = [test_natpmp.ADDRESS, test_natpmp.GRANTED, test_natpmp.GRANTED[:12] + bytes(4)]
    recipes = [bytes([number << 1 | flag]) for number in range(3) for flag in (0, REPAIRED)]
    return [recipe + answer for recipe in recipes for answer in answers]


# PCP.


def read_announcement(data: bytes) -> int | None:
    return pcp.parse_announcement(data)


PCP_READERS = (
    read_announcement,
    *(partial(pcp.parse_mapping, wanted=mapping, nonce=NONCE) for mapping in MAPPINGS),
)


def build_pcp(variant: int, repaired: bool, body: bytes) -> Datagram:
    request = variant % len(PCP_READERS)
    if not repaired:
        return Datagram(request, body)
    data = with_prefix(b"\2\x81\0\0" if request else b"\2\x80\0\0", body)
    if request:
        data = data[:24] + with_prefix(NONCE + b"\6\0\0\0\x76\x5f", data[24:])
    return Datagram(request, data + bytes(-len(data) % 4))


def read_pcp(given: Datagram) -> int | MapAnswer | None:
    return PCP_READERS[given.request](given.data)


def check_pcp(given: Datagram, answer: int | MapAnswer | None) -> None:
    if isinstance(answer, MapAnswer):
        check_mapped(given, answer.mapped.external_port, answer.mapped.lifetime_s)
        ip = answer.mapped.external_ip
        assert ip is not None
        assert given.request == 2 or not is_unspecified(ip)
    elif answer is not None:
        assert 0 <= answer < 2**32


def pcp_seeds() -> list[bytes]:
    answers = [test_pcp.GRANTED, test_pcp.HEADER, test_pcp.GRANTED + bytes(8)]
    recipes = [bytes([number << 1 | flag]) for number in range(3) for flag in (0, REPAIRED)]
    return [recipe + answer for recipe in recipes for answer in answers]


# STUN.


def build_stun(variant: int, repaired: bool, body: bytes) -> bytes:
    if not repaired:
        return body
    attributes = body[20:] + bytes(-len(body[20:]) % 4)
    kind = b"\1\x11" if variant & 1 else b"\1\1"
    return kind + len(attributes).to_bytes(2, "big") + b"\x21\x12\xa4\x42" + ID + attributes


def read_stun(data: bytes) -> Endpoint | None:
    return stun.parse_binding(data, ID)


def check_stun(data: bytes, answer: Endpoint | None) -> None:
    if answer is not None:
        assert 0 <= answer.port < 65536 and not is_unspecified(answer.ip)


def stun_seeds() -> list[bytes]:
    answers = [
        test_stun.SAMPLE_IPV4,
        test_stun.SAMPLE_IPV6,
        test_stun.answer(test_stun.MAPPED, test_stun.XOR_MAPPED),
        test_stun.answer("0009000a 00000401 416761696e21 0000", kind="0111"),
    ]
    return [
        bytes([recipe]) + answer for recipe in (0, REPAIRED, 2 | REPAIRED) for answer in answers
    ]


TARGETS = (
    Target(
        "natpmp",
        seeds=natpmp_seeds,
        build=build_natpmp,
        decode=read_natpmp,
        errors=(NatError,),
        check=check_natpmp,
        label=label,
        shallow=("ignored", "OtherVersion"),
        words=(b"\0\x80", b"\0\x82", b"\x76\x5f", b"\0\1", b"\xff" * 4),
        reads_rlp=False,
        max_size=24,
    ),
    Target(
        "pcp",
        seeds=pcp_seeds,
        build=build_pcp,
        decode=read_pcp,
        errors=(NatError,),
        check=check_pcp,
        label=label,
        shallow=("ignored", "NatError: the router does not speak"),
        words=(
            b"\2\x81",
            b"\2\x80",
            NONCE,
            b"\6\0\0\0\x76\x5f",
            b"\xff" * 4,
            bytes(10) + b"\xff\xff",
        ),
        reads_rlp=False,
        max_size=1200,
    ),
    Target(
        "stun",
        seeds=stun_seeds,
        build=build_stun,
        decode=read_stun,
        errors=(NatError,),
        check=check_stun,
        label=label,
        shallow=("ignored",),
        words=(b"\0\1\0\x08\0\1", b"\0\x20\0\x14\0\2", b"\0\x09\0\x04", b"\xff\xff", ID),
        reads_rlp=False,
        max_size=1400,
    ),
)
