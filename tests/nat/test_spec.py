"""The texts of `nat` and `advertise`, in go-ethereum's spelling."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p.errors import ArgumentError
from p2p.nat.spec import NatKind, NatSpec, parse_advertised, parse_nat
from p2p.netutil import ip_of

IP = ip_of("20.0.0.1")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        *((text, NatKind.NONE) for text in ("", "none", "off", "None", " OFF ")),
        *((text, NatKind.ANY) for text in ("any", "auto", "on", "ANY")),
        *((text, NatKind.UPNP) for text in ("upnp", "UPnP")),
        *((text, NatKind.PMP) for text in ("pmp", "natpmp", "nat-pmp", "NAT-PMP")),
        *((text, NatKind.STUN) for text in ("stun", "STUN", "stun:")),
    ],
)
def test_word(text: str, kind: NatKind) -> None:
    assert parse_nat(text) == NatSpec(kind)


@pytest.mark.parametrize("word", ["extip", "ip", "ExtIP"])
def test_external_address(word: str) -> None:
    assert parse_nat(f"{word}:20.0.0.1") == NatSpec(NatKind.EXTIP, ip=IP)
    assert parse_nat(f"{word}:2001:db8::7").ip == ip_of("2001:db8::7")
    assert parse_nat(f"{word}:::ffff:20.0.0.1").ip == IP


def test_address_of_a_router() -> None:
    assert parse_nat("pmp:20.0.0.1") == NatSpec(NatKind.PMP, ip=IP)


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("stun:stun.example.org:1234", ("stun.example.org", 1234)),
        ("stun:stun.example.org", ("stun.example.org", 3478)),
        ("stun:20.0.0.1:1234", ("20.0.0.1", 1234)),
        ("stun:[2001:db8::7]:1234", ("2001:db8::7", 1234)),
        ("stun:[2001:db8::7]", ("2001:db8::7", 3478)),
    ],
)
def test_stun_server(text: str, server: tuple[str, int]) -> None:
    assert parse_nat(text) == NatSpec(NatKind.STUN, server=server)


@pytest.mark.parametrize(
    "text",
    [
        *("igd", "none:20.0.0.1", "any:20.0.0.1", "upnp:20.0.0.1", "extip", "extip:", "pmp:"),
        *("extip:localhost", "extip:20.0.0.1:30303", "extip:127.1", "extip:0.0.0.0"),
        *("extip:224.0.0.1", "extip:::", "pmp:router", "pmp:ff02::1", "extip:fe80::1%eth0"),
        *("stun::1234", "stun:host:0", "stun:host:x", "stun:2001:db8::7", "stun:a b"),
    ],
)
def test_wrong_text_is_refused_by_name(text: str) -> None:
    with pytest.raises(ArgumentError, match=r"^nat: wanted .*; got "):
        parse_nat(text)


@pytest.mark.parametrize(
    ("parse", "text", "reason"),
    [
        (parse_nat, "stun:host:port", "(the port is not a number from 0 to 65535)"),
        (parse_nat, "stun:::1:3478", "(an IPv6 address must be in brackets)"),
        (parse_advertised, "host:port", "(the port is not a number from 0 to 65535)"),
        (parse_advertised, "[2001:db8::7]", "(no port after the brackets)"),
    ],
)
def test_refusal_has_the_reason_and_no_words_of_another_option(
    parse: Callable[[str], object], text: str, reason: str
) -> None:
    with pytest.raises(ArgumentError) as refused:
        parse(text)
    assert reason in str(refused.value)
    assert "listen" not in str(refused.value)


@given(st.text(max_size=40), st.sampled_from(["", "extip:", "pmp:", "stun:"]))
def test_any_text_is_read_or_refused(text: str, word: str) -> None:
    for parse, given_text in ((parse_nat, word + text), (parse_advertised, text)):
        try:
            parse(given_text)
        except ArgumentError as error:
            assert len(str(error)) < 400


@pytest.mark.parametrize(
    ("text", "ip", "port"),
    [
        ("203.0.113.7", "203.0.113.7", 0),
        (" 203.0.113.7:31303 ", "203.0.113.7", 31303),
        ("2001:db8::7", "2001:db8::7", 0),
        ("[2001:db8::7]:30303", "2001:db8::7", 30303),
        ("::ffff:203.0.113.7", "203.0.113.7", 0),
    ],
)
def test_advertised_endpoint(text: str, ip: str, port: int) -> None:
    assert parse_advertised(text) == (ip_of(ip), port)


@pytest.mark.parametrize(
    "text",
    [
        *("", ":30303", "203.0.113.7:", "203.0.113.7:0", "203.0.113.7:65536", "example.org:1"),
        *("example.org", "0.0.0.0", "0.0.0.0:1", "224.0.0.1:1", "[::]:1", "[ff02::1]:1", "::"),
        *("[2001:db8::7]", "127.1", "203.0.113.7:1:2", "fe80::1%eth0"),
    ],
)
def test_wrong_advertised_endpoint_is_refused_by_name(text: str) -> None:
    with pytest.raises(ArgumentError, match=r"^advertise: wanted .*; got "):
        parse_advertised(text)
