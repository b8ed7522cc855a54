"""URLs of a router: addresses only, and references by the rules of RFC 3986."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from p2p.nat.errors import InvalidAnswer
from p2p.nat.upnp.url import MAX_URL_SIZE, HttpURL, parse_url, resolve

BASE = parse_url("http://192.168.1.1:5000/igd/desc.xml")

VALID = [
    ("http://192.168.1.1:5000/desc.xml", 5000, "/desc.xml"),
    ("HTTP://192.168.1.1/", 80, "/"),
    ("http://192.168.1.1", 80, "/"),
    ("http://192.168.1.1:1?a=b", 1, "/?a=b"),
    ("http://192.168.1.1/a?b=http://x#part", 80, "/a?b=http://x"),
]


@pytest.mark.parametrize("text, port, target", VALID)
def test_url_is_split(text: str, port: int, target: str) -> None:
    assert parse_url(text) == HttpURL(IPv4Address("192.168.1.1"), port, target)


@pytest.mark.parametrize(
    "text",
    [
        *("", "/desc.xml", "https://192.168.1.1/", "ftp://192.168.1.1/", "http://router.lan/"),
        *("http://[::1]/", "http://user@192.168.1.1/", "http://192.168.1.1@20.0.0.1/"),
        *("http://192.168.1/", "http://192.168.1.256/", "http://192.168.01.1/"),
        *("http://3232235777/", "http://192.168.1.1:0/", "http://192.168.1.1:65536/"),
        *("http://192.168.1.1:/", "http://192.168.1.1:5 /", "http://192.168.1.1/a b"),
        *("http://192.168.1.1/\r\nHost: x", "http://192.168.1.1/\u00e4", "http://192.168.1.1\\x"),
        "http://192.168.1.1/" + "a" * MAX_URL_SIZE,
    ],
)
def test_other_urls_are_refused(text: str) -> None:
    with pytest.raises(InvalidAnswer, match="^URL "):
        parse_url(text)


@pytest.mark.parametrize(
    "reference, target",
    [
        ("/ctl", "/ctl"),
        ("ctl", "/igd/ctl"),
        ("../ctl?x=urn:a", "/ctl?x=urn:a"),
        ("?x", "/igd/desc.xml?x"),
        ("//192.168.1.1:5000/ctl", "/ctl"),
        ("http://192.168.1.1:5000/ctl", "/ctl"),
    ],
)
def test_reference_is_relative_to_its_document(reference: str, target: str) -> None:
    assert resolve(BASE, reference) == HttpURL(BASE.host, BASE.port, target)


@pytest.mark.parametrize(
    "reference", ["urn:schemas", "//router.lan/ctl", "http://[/", "/a\r\nb", "/a b", "file:///etc"]
)
def test_reference_to_elsewhere_than_an_address_is_refused(reference: str) -> None:
    with pytest.raises(InvalidAnswer):
        resolve(BASE, reference)


def test_text_of_a_url_is_the_url() -> None:
    assert str(BASE) == "http://192.168.1.1:5000/igd/desc.xml"
    assert BASE.authority == "192.168.1.1:5000"
