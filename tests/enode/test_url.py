from __future__ import annotations

import json
import pathlib
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p.enode import Node, parse_node
from p2p.errors import InvalidNode

VECTORS: dict[str, Any] = json.loads(
    (pathlib.Path(__file__).parent.parent / "testdata" / "enr.json").read_text()
)["enode_urls"]
KEY: str = VECTORS["pubkey"]
ACCEPTED = [
    *VECTORS["valid"],
    VECTORS["trinity"],
    *(case for case in VECTORS["constructed"]["cases"] if "ip" in case),
]


def at(host_and_more: str) -> str:
    return f"enode://{KEY}@{host_and_more}"


@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: case["input"][136:])
def test_url_gives_address_and_ports(case: dict[str, Any]) -> None:
    node = parse_node(case["input"])
    want_ip = None if case["ip"] is None else ip_address(case["ip"])
    assert (node.ip, node.tcp, node.udp) == (want_ip, case["tcp"], case["udp"])
    assert node.hostname == case.get("hostname", "")
    assert node.record is None


@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: case["input"][136:])
def test_node_of_a_url_is_written_as_that_url(case: dict[str, Any]) -> None:
    assert str(parse_node(case["input"])) == case["input"]


@pytest.mark.parametrize("case", VECTORS["invalid"], ids=lambda case: case["error"])
def test_error_says_which_part_is_wrong(case: dict[str, Any]) -> None:
    want = case["error"].partition(" (bare")[0].replace("(", r"\(").replace(")", r"\)")
    with pytest.raises(InvalidNode, match=want):
        parse_node(case["input"])


@pytest.mark.parametrize("case", VECTORS["constructed"]["cases"], ids=lambda case: case["expect"])
def test_constructed_url_is_judged_by_the_rules(case: dict[str, Any]) -> None:
    if case["expect"].startswith("accept"):
        assert parse_node(case["input"]).id.hex() == VECTORS["node_id"]
    else:
        with pytest.raises(InvalidNode):
            parse_node(case["input"])


def test_key_names_the_node() -> None:
    node = parse_node(at("127.0.0.1:1"))
    assert str(node.id) == VECTORS["node_id"]
    assert node.public_key.to_bytes().hex() == KEY


def test_bare_key_is_a_url_but_not_a_node_text() -> None:
    assert Node.from_url(KEY).id.hex() == VECTORS["node_id"]
    with pytest.raises(InvalidNode, match="missing prefix"):
        parse_node(KEY)


def test_scheme_is_case_insensitive_in_urls_only() -> None:
    text = at("1.2.3.4:5").replace("enode", "ENODE")
    assert Node.from_url(text) == parse_node(at("1.2.3.4:5"))
    with pytest.raises(InvalidNode, match="missing prefix"):
        parse_node(text)


# What follows was compared with go-ethereum 1.17.10 built with Go 1.26.


@pytest.mark.parametrize(
    ("text", "host", "tcp", "udp"),
    [
        ("1.2.3.4:00080", "1.2.3.4", 80, 80),
        ("1.2.3.4:" + "0" * 5000 + "7", "1.2.3.4", 7, 7),
        ("1.2.3.4:1/path?discport=2#fragment", "1.2.3.4", 1, 2),
        ("1.2.3.4:1#%41", "1.2.3.4", 1, 1),
        ("1.2.3.4:1#\n", "1.2.3.4", 1, 1),
        ("1.2.3.4:1/x y", "1.2.3.4", 1, 1),
        ("1.2.3.4:1?", "1.2.3.4", 1, 1),
        ("1.2.3.4:1?discport=", "1.2.3.4", 1, 1),
        ("1.2.3.4:1?discport=&discport=5", "1.2.3.4", 1, 1),
        ("1.2.3.4:1?discport=2&discport=5", "1.2.3.4", 1, 2),
        ("1.2.3.4:1?disc%70ort=%37", "1.2.3.4", 1, 7),
        ("1.2.3.4:1?discport=%zz&discport=8", "1.2.3.4", 1, 8),
        ("1.2.3.4:1?discport=3;x&discport=4", "1.2.3.4", 1, 4),
        ("1.2.3.4:1?DISCPORT=3", "1.2.3.4", 1, 1),
        ("::1:30303", "::1", 30303, 30303),
        ("[::ffff:1.2.3.4]:5", "1.2.3.4", 5, 5),
        ("%C3%A9:5", "é", 5, 5),
        ("a%25b:5", "a%b", 5, 5),
        ("[fe80::1%25eth0]:5", "fe80::1%eth0", 5, 5),
        ("[fe80::1%25a%20%41]:5", "fe80::1%a A", 5, 5),
        (":5", "", 5, 5),
    ],
)
def test_url_is_read_as_go_reads_it(text: str, host: str, tcp: int, udp: int) -> None:
    node = parse_node(at(text))
    assert (node.hostname or str(node.ip or ""), node.tcp, node.udp) == (host, tcp, udp)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "invalid port"),
        ("1.2.3.4", "invalid port"),
        ("1.2.3.4:", "invalid port"),
        ("1.2.3.4:-1", "invalid port"),
        ("1.2.3.4:+1", "invalid port"),
        ("1.2.3.4: 1", "invalid port"),
        ("1.2.3.4:1_0", "invalid port"),
        ("1.2.3.4:٣", "invalid port"),
        ("1.2.3.4:%31", "invalid port"),
        ("1.2.3.4:" + "9" * 5000, "invalid port"),
        ("[::1]", "invalid port"),
        ("[::1]5", "invalid port"),
        ("1.2.3.4:1?discport=65536", "invalid discport in query"),
        ("1.2.3.4:1?discport=+7", "invalid discport in query"),
        ("1.2.3.4:1?discport=٣", "invalid discport in query"),
        ("1.2.3.4\n:1", "control character"),
        ("1.2.3.4\t:1", "control character"),
        ("1.2.3.4:1/%zz", "percent escape"),
        ("1.2.3.4:1#%zz", "percent escape"),
        ("a b:1", "host"),
        ("a\\b:1", "host"),
        ("a%41:1", "host"),
        ("%80:1", "host"),
        ("[::1:1", "host"),
        ("[[::1]]:1", "host"),
        ("a[b:1", "host"),
        ("[foo]:1", "host"),
        ("[127.0.0.1]:1", "host"),
        ("[]:1", "host"),
        ("[fe80::1%eth0]:1", "host"),
        ("[fe80::1%25]:1", "host"),
        ("[fe80::1%25%2f]:1", "zone"),
        ("[fe80::1%25%C3%A9]:1", "zone"),
        ("[fe80::1%25a{b]:1", "zone"),
    ],
)
def test_what_go_refuses_is_refused_with_the_part(text: str, why: str) -> None:
    with pytest.raises(InvalidNode, match=why):
        parse_node(at(text))


# These Go takes for names, and its resolver perhaps for addresses.
@pytest.mark.parametrize("host", ["01.2.3.4", "0x7f.1", "٣.0.0.1"])
def test_broken_ipv4_address_is_refused_with_the_part(host: str) -> None:
    with pytest.raises(InvalidNode, match="invalid host .* looks like an IPv4 address"):
        parse_node(at(f"{host}:5"))


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("", "wrong length"),
        (KEY[:-1], "wrong length"),
        (KEY + "00", "wrong length"),
        (KEY[:-1] + "x", "not hex"),
        (KEY + ":", "not hex"),
        (KEY[:-1] + "٣", "not hex"),
        (KEY[:-2] + "%zz", "percent escape"),
        ("00" * 64, "not a point on the curve"),
        ("ff" * 64, "not a point on the curve"),
    ],
)
def test_wrong_key_is_refused_with_the_reason(key: str, why: str) -> None:
    with pytest.raises(InvalidNode, match=rf"invalid public key \({why}|{why}"):
        parse_node(f"enode://{key}@1.2.3.4:5")


def test_key_may_be_percent_encoded() -> None:
    assert parse_node(f"enode://%31{KEY[1:]}@1.2.3.4:5") == parse_node(at("1.2.3.4:5"))


@pytest.mark.parametrize("text", ["enode://1.2.3.4:5", "enode:x", "enode:/x", "enode://"])
def test_url_without_a_key_is_refused(text: str) -> None:
    with pytest.raises(InvalidNode, match="does not contain node ID"):
        Node.from_url(text)


@pytest.mark.parametrize("text", ["http://foobar", "://foo", "", "x enode://x", "enode+x://y@z:1"])
def test_url_of_another_scheme_is_refused(text: str) -> None:
    with pytest.raises(InvalidNode, match="invalid URL scheme"):
        Node.from_url(text)


def test_multicast_address_counts_as_none() -> None:
    node = parse_node(at("224.0.0.1:5"))
    assert (node.ip, node.hostname, node.tcp) == (None, "", 5)


@given(
    st.none() | st.ip_addresses().filter(lambda ip: not ip.is_multicast),
    st.integers(0, 65535),
    st.integers(0, 65535),
)
def test_url_of_a_node_reads_back(ip: Any, tcp: int, udp: int) -> None:
    key = parse_node(at("1.2.3.4:5")).public_key
    node = Node.from_parts(key, ip, tcp, udp)
    if node.ip is None:
        node = Node.from_parts(key)
    assert parse_node(node.url) == node


@pytest.mark.parametrize(
    ("zone", "written"),
    [
        ("eth0", "eth0"),
        ("a b", "a%20b"),
        ("a%b", "a%25b"),
        ("a]b[c", "a%5Db%5Bc"),
        ("ä", "ä"),
    ],
)
def test_zone_of_an_address_is_written_so_that_it_reads_back(zone: str, written: str) -> None:
    """Outside of brackets, as host names are written, it would be no address any more."""
    node = parse_node(at("host:5")).with_hostname(f"fe80::1%{zone}")
    assert node.url == at(f"[fe80::1%25{written}]:5")
    assert parse_node(node.url) == node


@given(st.text(alphabet="[]:@/?#%&=;+ .\t\n0123456789abcdefdiscport٣é\x00", max_size=40))
def test_any_text_is_a_node_or_invalid(text: str) -> None:
    try:
        node = parse_node(at(text))
    except InvalidNode:
        return
    assert 0 <= node.tcp <= 65535
    assert 0 <= node.udp <= 65535


def test_text_that_has_no_encoding_is_refused() -> None:
    with pytest.raises(InvalidNode):
        parse_node(at("\ud800:1"))
