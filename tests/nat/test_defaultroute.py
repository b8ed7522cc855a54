"""The routers of the default routes, from the table of Linux, and the guess elsewhere."""

from __future__ import annotations

import sys
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p.nat.defaultroute import MAX_ROUTERS, guess_routers, read_routes, routers

HEAD = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"


def number(ip: str) -> str:
    """An address as in the table: a number in the byte order of the machine."""
    return f"{int.from_bytes(IPv4Address(ip).packed, sys.byteorder):08X}"


def route(
    gateway: str,
    metric: int = 0,
    *,
    to: str = "0.0.0.0",
    flags: str = "0003",
    mask: str = "00000000",
) -> str:
    fields = ["eth0", number(to), number(gateway), flags, "0", "0", str(metric), mask, "0", "0"]
    return "\t".join([*fields, "0"]) + "\n"


def read(*lines: str) -> list[str]:
    return [str(ip) for ip in read_routes(HEAD + "".join(lines))]


def test_gateway_of_the_default_route() -> None:
    local = route("0.0.0.0", to="192.168.1.0", flags="0001", mask=number("255.255.255.0"))
    assert read(local, route("192.168.1.1")) == ["192.168.1.1"]


def test_table_of_a_little_endian_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.byteorder", "little")
    line = "wlan0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n"
    assert read(line) == ["192.168.1.1"]


def test_routes_are_in_the_order_of_their_metric_each_router_once() -> None:
    lines = [route("10.0.0.1", 600), route("192.168.1.1", 100), route("10.0.0.1", 700)]
    assert read(*lines) == ["192.168.1.1", "10.0.0.1"]


def test_number_of_routers_is_limited() -> None:
    assert len(read(*(route(f"10.0.0.{n}") for n in range(1, 200)))) == MAX_ROUTERS


@pytest.mark.parametrize(
    "line",
    [
        route("0.0.0.0", flags="0001"),  # a line without a gateway, such as that of a VPN
        route("10.0.0.1", flags="0002"),  # down
        route("10.0.0.1", to="128.0.0.0", mask=number("128.0.0.0")),
        route("10.0.0.1", mask=number("128.0.0.0")),
        "",
        "eth0\n",
        "eth0 00000000 xyz 0003 0 0 0 00000000 0 0 0\n",
        "eth0 00000000 FF0101A8C0 0003 0 0 0 00000000 0 0 0\n",
        "eth0 00000000 -0101A8C0 0003 0 0 0 00000000 0 0 0\n",
        "eth0 00000000 0101A8C0 0003 0 0 x 00000000 0 0 0\n",
    ],
)
def test_other_lines_are_ignored(line: str) -> None:
    assert read(line) == []


@given(st.text(max_size=200))
def test_any_text_has_routers_or_none(text: str) -> None:
    assert len(read_routes(text)) <= MAX_ROUTERS


def test_guess_is_the_first_address_of_a_private_network() -> None:
    assert guess_routers(IPv4Address("192.168.7.50")) == [IPv4Address("192.168.7.1")]


@pytest.mark.parametrize("ours", ["192.168.7.1", "20.0.0.5", "127.0.0.1", "169.254.1.5"])
def test_no_guess_for_the_router_itself_nor_for_other_networks(ours: str) -> None:
    assert guess_routers(IPv4Address(ours)) == []


def test_without_a_table_the_router_is_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2p.nat.defaultroute._TABLE", "/no/such/table")
    ours = IPv4Address("192.168.7.50")
    monkeypatch.setattr("p2p.nat.defaultroute._our_address", lambda: ours)
    assert routers() == [IPv4Address("192.168.7.1")]
    monkeypatch.setattr("p2p.nat.defaultroute._our_address", lambda: None)
    assert routers() == []


def test_routers_of_this_machine_are_addresses() -> None:
    assert all(isinstance(ip, IPv4Address) for ip in routers())
