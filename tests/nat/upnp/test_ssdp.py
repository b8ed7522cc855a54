"""Requests of a search, and its answers, of which only the sender's own address counts."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from p2p.nat.errors import InvalidAnswer
from p2p.nat.upnp.ssdp import (
    MAX_ANSWER_BYTES,
    MAX_LINES,
    SEARCH_TARGETS,
    parse_answer,
    search_request,
)
from p2p.nat.upnp.url import parse_url
from tests.nat.upnp.router import SEARCH_TARGET, found

ROUTER = IPv4Address("192.168.1.1")
LOCATION = "http://192.168.1.1:5000/desc.xml"


def test_request_is_that_of_the_specification() -> None:
    assert search_request("urn:x") == (
        b"M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\n"
        b'MAN: "ssdp:discover"\r\nMX: 1\r\nST: urn:x\r\n\r\n'
    )


@pytest.mark.parametrize("target", SEARCH_TARGETS)
def test_answer_to_each_target_has_the_url(target: str) -> None:
    assert parse_answer(found(LOCATION, target), ROUTER) == parse_url(LOCATION)


def test_lines_may_end_without_a_carriage_return_and_names_have_any_case() -> None:
    data = f"HTTP/1.0 200\nst:{SEARCH_TARGET}\nLocation:  {LOCATION}  \nLOCATION: x\nno colon\n"
    assert parse_answer(data.encode(), ROUTER) == parse_url(LOCATION)


@pytest.mark.parametrize(
    "data, words",
    [
        (found("http://192.168.1.7:5000/desc.xml"), "leads to 192.168.1.7"),
        (found("http://20.0.0.1/desc.xml"), "leads to 20.0.0.1"),
        (found("https://192.168.1.1/desc.xml"), "not http"),
        (found("http://router.lan/desc.xml"), "not http"),
        (found(""), "not http"),
        (found(LOCATION, "upnp:rootdevice"), 'answer for "upnp:rootdevice"'),
        (found(LOCATION, "a\x1b[2J"), r'answer for "a\\x1b\[2J"'),
        (found(LOCATION, status="HTTP/1.1 404 Not Found"), 'not an answer: "HTTP/1.1 404'),
        (found(LOCATION, status="NOTIFY * HTTP/1.1"), "not an answer"),
        (search_request(SEARCH_TARGET), "not an answer"),
        (b"", "not an answer"),
        (b"\0" * MAX_ANSWER_BYTES, "not an answer"),
        (found(LOCATION) + b"a" * MAX_ANSWER_BYTES, "more than 2048 bytes"),
        (found(LOCATION) + b"\n" * MAX_LINES, "more than 40 lines"),
    ],
)
def test_other_answers_are_refused(data: bytes, words: str) -> None:
    with pytest.raises(InvalidAnswer, match=words) as caught:
        parse_answer(data, ROUTER)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 200


@pytest.mark.parametrize("sender", ["20.0.0.1", "224.0.0.1", "0.0.0.0"])
def test_answer_from_outside_of_the_local_network_is_refused(sender: str) -> None:
    with pytest.raises(InvalidAnswer, match="not a local address"):
        parse_answer(found(f"http://{sender}/desc.xml"), IPv4Address(sender))
