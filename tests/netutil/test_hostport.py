from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p.errors import ArgumentError
from p2p.netutil import join_host_port, split_listen_addr


@pytest.mark.parametrize(
    ("host", "want"),
    [("127.0.0.1", "127.0.0.1:30303"), ("::1", "[::1]:30303"), ("a.example", "a.example:30303")],
)
def test_join_puts_brackets_around_ipv6_only(host: str, want: str) -> None:
    assert join_host_port(host, 30303) == want


@given(st.ip_addresses(), st.integers(0, 65535))
def test_joined_address_splits_again(ip: object, port: int) -> None:
    ip = ip_address(str(ip))
    host, read_port = split_listen_addr(join_host_port(ip, port))
    assert host is not None
    assert (ip_address(host), read_port) == (ip, port)


@pytest.mark.parametrize(
    ("text", "want"),
    [
        (":30303", (None, 30303)),
        ("127.0.0.1:0", ("127.0.0.1", 0)),
        ("0.0.0.0:1", ("0.0.0.0", 1)),
        ("[::1]:30303", ("::1", 30303)),
        ("[::]:65535", ("::", 65535)),
        ("[fe80::1%eth0]:1", ("fe80::1%eth0", 1)),
        ("localhost:8080", ("localhost", 8080)),
        ("node-1.example.:00080", ("node-1.example.", 80)),
        (" :80\n", (None, 80)),
    ],
)
def test_listen_address_is_host_and_port(text: str, want: tuple[str | None, int]) -> None:
    assert split_listen_addr(text) == want


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no port"),
        ("127.0.0.1", "no port"),
        ("[::1]", "no port"),
        (":", "port is empty"),
        ("127.0.0.1:", "port is empty"),
        (":http", "not a number"),
        (":-1", "not a number"),
        (": 80", "not a number"),
        (":+80", "not a number"),
        (":٣٠", "not a number"),
        (":1_0", "not a number"),
        (":65536", "larger than 65535"),
        (":" + "9" * 5000, "not a number"),
        ("::1:30303", "brackets"),
        ("::30303", "brackets"),
        ("[]:30303", "not an IPv6 address"),
        ("[127.0.0.1]:30303", "not an IPv6 address"),
        ("[::1]]:30303", "not an IPv6 address"),
        ("[::1:30303", "brackets"),
        ("0x7f.1:30303", "not an IPv4 address"),
        ("127.1:30303", "not an IPv4 address"),
        ("256.0.0.1:30303", "not an IPv4 address"),
        ("127.0.0.01:30303", "not an IPv4 address"),
        ("2130706433:30303", "not an IPv4 address"),
        ("a b:30303", "nor a host name"),
        ("http://x:30303", "without a scheme"),
        ("a/b:30303", "nor a host name"),
        ("a..b:30303", "nor a host name"),
        ("a\n:30303", "nor a host name"),
    ],
)
def test_wrong_listen_address_is_a_config_error_that_says_why(text: str, why: str) -> None:
    with pytest.raises(ArgumentError, match=why):
        split_listen_addr(text)


@given(st.text(alphabet="0123456789abx[]:.%- \n٣", max_size=24))
def test_any_text_splits_or_is_a_config_error(text: str) -> None:
    try:
        _, port = split_listen_addr(text)
    except ArgumentError:
        return
    assert 0 <= port <= 65535
