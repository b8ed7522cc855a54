"""Answers of routers: to searches, descriptions, results of actions, and HTTP around them.

Nothing protects them. A description is read as the document of :data:`LOCATION`; bits of the
variant choose the action that is answered, and the size of the pieces in which HTTP comes.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

from p2p.nat.errors import InvalidAnswer
from p2p.nat.upnp import soap
from p2p.nat.upnp.description import MAX_SERVICES, SERVICE_TYPES, WANService, parse_description
from p2p.nat.upnp.httpanswer import MAX_BODY_BYTES, Answer
from p2p.nat.upnp.ssdp import SEARCH_TARGETS, parse_answer
from p2p.nat.upnp.url import MAX_URL_SIZE, HttpURL, parse_url, resolve
from tests.fuzz.target import Target
from tests.nat.upnp.router import (
    IP_1,
    IP_2,
    PPP_1,
    description,
    fault,
    found,
    http,
    results,
)
from tests.nat.upnp.test_xmltree import BOMB

ROUTER = IPv4Address("192.168.1.1")
LOCATION = parse_url(f"http://{ROUTER}:5000/igd/desc.xml")


def build(variant: int, repaired: bool, body: bytes) -> bytes:
    return body


def check_url(url: HttpURL) -> None:
    text = str(url)
    assert url.host == ROUTER and 0 < url.port < 65536
    assert text.isascii() and text.isprintable() and " " not in text
    if len(text) <= MAX_URL_SIZE:
        assert parse_url(text) == url


# The search.


def read_ssdp(data: bytes) -> HttpURL:
    return parse_answer(data, ROUTER)


def check_ssdp(data: bytes, url: HttpURL) -> None:
    check_url(url)


def ssdp_seeds() -> list[bytes]:
    answers = [found(str(LOCATION), target) for target in SEARCH_TARGETS]
    answers += [found(f"http://{ROUTER}"), found("http://20.0.0.1/"), b"HTTP/1.1 200 OK\r\n\r\n"]
    return [b"\0" + answer for answer in answers]


# Descriptions.


def read_description(data: bytes) -> list[WANService]:
    return parse_description(data, LOCATION)


def check_description(data: bytes, services: list[WANService]) -> None:
    assert 0 < len(services) <= MAX_SERVICES
    for service in services:
        assert service.type in SERVICE_TYPES
        check_url(service.control_url)
        assert resolve(LOCATION, str(service.control_url)) == service.control_url


def description_seeds() -> list[bytes]:
    texts = [
        description((IP_1, "/ctl")),
        description((IP_2, "ctl?a=urn:b"), (IP_1, "../x"), (PPP_1, f"http://{ROUTER}/p")),
        description((IP_1, "ctl"), base=f"http://{ROUTER}:80/"),
        description((IP_1, "http://20.0.0.1/")),
        description(),
    ]
    return [b"\0" + text.encode() for text in texts] + [b"\0" + BOMB]


# Results and faults.

ACTIONS = (
    soap.GET_STATUS,
    soap.GET_ADDRESS,
    soap.add_any_mapping("tcp", 1, 2, ROUTER, 3),
    soap.get_mapping("udp", 1),
)


@dataclass(frozen=True)
class Results:
    """The body of an answer, and the action that it is for."""

    action: int
    data: bytes


def build_results(variant: int, repaired: bool, body: bytes) -> Results:
    return Results(variant % len(ACTIONS), body)


def read_results(given: Results) -> object:
    answer = soap.parse_answer(ACTIONS[given.action], given.data)
    if isinstance(answer, soap.Fault):
        return answer
    if given.action == 0:
        return soap.read_connected(answer)
    readers = (soap.read_address, soap.read_reserved_port, soap.read_entry)
    return readers[given.action - 1](answer)


def check_results(given: Results, value: object) -> None:
    if isinstance(value, soap.Fault):
        assert 0 <= value.code <= 999_999
        assert str(value).isprintable() and len(str(value)) < 2 * soap.MAX_SHOWN
    elif isinstance(value, soap.MappingEntry):
        assert 0 <= value.internal_port < 65536 and 0 <= value.lease_s < 2**32
    elif given.action == 2:
        assert isinstance(value, int) and 0 < value < 65536


def results_label(value: object) -> str:
    return f"accepted: {type(value).__name__}"


def results_seeds() -> list[bytes]:
    entry = {"NewInternalClient": ROUTER, "NewInternalPort": 7, "NewLeaseDuration": 60}
    values: list[dict[str, object]] = [
        {"NewConnectionStatus": "Connected"},
        {"NewExternalIPAddress": "20.0.0.1"},
        {"NewReservedPort": 40000},
        {**entry},
    ]
    pairs = enumerate(zip(ACTIONS, values, strict=True))
    cases = [
        bytes([number << 1]) + results(action.name, **value).encode()
        for number, (action, value) in pairs
    ]
    refusal = fault(718, "ConflictInMappingEntry").partition(b"\r\n\r\n")[2]
    return [*cases, b"\0" + refusal, b"\0<html/>", b"\0" + BOMB]


# HTTP.

SIZES = (1, 7, 1 << 20)


@dataclass(frozen=True)
class Stream:
    """The bytes of a connection up to its end, and the size of the pieces."""

    size: int
    data: bytes


def build_stream(variant: int, repaired: bool, body: bytes) -> Stream:
    return Stream(SIZES[variant % len(SIZES)], body)


def read_stream(stream: Stream) -> Answer:
    answer = Answer()
    for start in range(0, len(stream.data), stream.size):
        answer.receive(stream.data[start : start + stream.size])
    answer.receive_end()
    return answer


def check_stream(stream: Stream, answer: Answer) -> None:
    assert answer.is_complete and 200 <= answer.status < 600
    assert len(answer.body) <= min(MAX_BODY_BYTES, len(stream.data))
    for size in SIZES:
        again = read_stream(Stream(size, stream.data))
        assert (again.status, again.body) == (answer.status, answer.body)


def stream_seeds() -> list[bytes]:
    chunked = "Transfer-Encoding: chunked"
    streams = [
        http("body"),
        http("body", "302 Found", "Server: x"),
        http("2\r\nbo\r\n2;x\r\ndy\r\n0\r\n\r\n", "200 OK", chunked),
        b"HTTP/1.1 100 Continue\r\n\r\n" + fault(501),
        http("", "204 No Content", "X: y"),
    ]
    return [bytes([n << 1]) + stream for stream in streams for n in range(len(SIZES))]


_XML_WORDS = (
    *(b"<", b">", b"</", b"/>", b"<!DOCTYPE a [", b'<!ENTITY x "y">', b"&x;", b"&#0;", b"]]>"),
    *(b"<![CDATA[", b"<!--", b"-->", b"<?xml version='1.0' encoding='utf-16'?>", b"\xef\xbb\xbf"),
    *(b"service", b"serviceType", b"controlURL", b"URLBase", IP_1.encode(), IP_2.encode()),
    *(b"http://192.168.1.1:80/", b"//20.0.0.1/", b"http://[", b"..", b"\xff", b"\0", b"a" * 64),
)
_SOAP_WORDS = (b"Fault", b"UPnPError", b"errorCode", b"725", b"-1", b"9" * 20, b"0.0.0.0")
_HTTP_WORDS = (
    *(b"\r\n", b"\n", b"\r\n\r\n", b"Content-Length: ", b"Transfer-Encoding: chunked", b"0\r\n"),
    *(b"HTTP/1.1 200 OK", b"HTTP/1.1 100 x", b"ffffffff", b";", b" ", b"\0", b"a" * 128),
    *(b"ST: ", b"LOCATION: ", b"http://192.168.1.1/", SEARCH_TARGETS[0].encode()),
)

TARGETS = (
    Target(
        "ssdp",
        seeds=ssdp_seeds,
        build=build,
        decode=read_ssdp,
        errors=(InvalidAnswer,),
        check=check_ssdp,
        words=_HTTP_WORDS,
        reads_rlp=False,
        repairs=False,
    ),
    Target(
        "igd-description",
        seeds=description_seeds,
        build=build,
        decode=read_description,
        errors=(InvalidAnswer,),
        check=check_description,
        words=_XML_WORDS,
        reads_rlp=False,
        repairs=False,
    ),
    Target(
        "soap",
        seeds=results_seeds,
        build=build_results,
        decode=read_results,
        errors=(InvalidAnswer,),
        check=check_results,
        label=results_label,
        words=_XML_WORDS + _SOAP_WORDS,
        reads_rlp=False,
        repairs=False,
    ),
    Target(
        "upnp-http",
        seeds=stream_seeds,
        build=build_stream,
        decode=read_stream,
        errors=(InvalidAnswer,),
        check=check_stream,
        words=_HTTP_WORDS,
        reads_rlp=False,
        repairs=False,
    ),
)
