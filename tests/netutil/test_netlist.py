from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p.errors import ArgumentError
from p2p.netutil import Netlist


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("", ""),
        (" , ,\n", ""),
        ("10.0.0.0/8, fd00::/8", "10.0.0.0/8,fd00::/8"),
        ("127.0.0.0/8,\t23.23.23.23/32,", "127.0.0.0/8,23.23.23.23/32"),
        ("10.1.2.3/8", "10.0.0.0/8"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("0.0.0.0/0", "0.0.0.0/0"),
    ],
)
def test_text_form_is_a_comma_separated_list_of_blocks(text: str, want: str) -> None:
    assert str(Netlist.parse(text)) == want


@pytest.mark.parametrize(
    "part",
    [
        "10.0.0.0",
        "10.0.0.0/33",
        "10.0.0/8",
        "10.0.0.0/08",
        "10.0.0.0/-1",
        "10.0.0.0/255.0.0.0",
        "10.0.0.0/0.255.255.255",
        "10.0.0.0/٨",
        "010.0.0.0/8",
        "::/129",
        "fe80::1%eth0/64",
        "foo",
        "/",
        "10.0.0.0/8/8",
    ],
)
def test_a_wrong_part_is_quoted_in_the_error(part: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        Netlist.parse(f"127.0.0.0/8,{part}")
    assert repr(part) in str(caught.value)


def test_contains_addresses_of_any_of_its_networks() -> None:
    netlist = Netlist.parse("10.0.0.0/8, fd00::/8")
    assert netlist.contains(ip_address("10.255.0.1"))
    assert netlist.contains(ip_address("fd12::1"))
    assert not netlist.contains(ip_address("11.0.0.1"))
    assert not netlist.contains(ip_address("fc00::1"))


def test_mapped_address_is_looked_up_as_ipv4() -> None:
    assert Netlist.parse("10.0.0.0/8").contains(ip_address("::ffff:10.0.0.1"))
    assert Netlist.parse("::ffff:10.0.0.0/104").contains(ip_address("10.0.0.1"))


def test_ipv6_network_holds_no_ipv4_address() -> None:
    assert not Netlist.parse("::/0").contains(ip_address("10.0.0.1"))
    assert not Netlist.parse("::/0").contains(ip_address("::ffff:10.0.0.1"))


def test_empty_list_contains_nothing() -> None:
    assert not Netlist.parse("").contains(ip_address("127.0.0.1"))


def test_equal_lists_are_equal_values() -> None:
    assert Netlist.parse("10.0.0.0/8") == Netlist.parse(" 10.1.1.1/8 ")
    assert hash(Netlist.parse("10.0.0.0/8")) == hash(Netlist.parse("10.0.0.0/8"))


@given(st.lists(st.tuples(st.ip_addresses(v=4), st.integers(0, 32)), max_size=4))
def test_text_form_reads_back(blocks: list[tuple[object, int]]) -> None:
    netlist = Netlist.parse(",".join(f"{ip}/{bits}" for ip, bits in blocks))
    assert Netlist.parse(str(netlist)) == netlist


@given(st.text(max_size=20))
def test_any_text_parses_or_is_a_config_error(text: str) -> None:
    try:
        Netlist.parse(text)
    except ArgumentError:
        pass
