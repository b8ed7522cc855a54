"""Answers of HTTP from their bytes: whole, byte by byte, and wrong."""

from __future__ import annotations

import pytest

from p2p.nat.errors import InvalidAnswer
from p2p.nat.upnp.httpanswer import (
    MAX_ANSWER_BYTES,
    MAX_BODY_BYTES,
    MAX_CHUNK_LINE,
    MAX_HEAD_BYTES,
    Answer,
    get,
    post,
)
from p2p.nat.upnp.url import parse_url
from tests.nat.upnp.router import http

URL = parse_url("http://192.168.1.1:5000/ctl?a")
CHUNKED = "Transfer-Encoding: chunked"


def read(data: bytes, step: int = 0, ends: bool = False) -> Answer:
    answer = Answer()
    for start in range(0, len(data), step or len(data) or 1):
        answer.receive(data[start : start + (step or len(data))])
    if ends:
        answer.receive_end()
    return answer


def test_requests_are_those_of_the_specification() -> None:
    assert get(URL) == (
        b"GET /ctl?a HTTP/1.1\r\nHost: 192.168.1.1:5000\r\n"
        b"Connection: close\r\nUser-Agent: UPnP/1.1 p2p\r\n\r\n"
    )
    assert post(URL, "urn:x#Act", b"<a/>") == (
        b"POST /ctl?a HTTP/1.1\r\nHost: 192.168.1.1:5000\r\nContent-Length: 4\r\n"
        b'Content-Type: text/xml; charset="utf-8"\r\nSOAPAction: "urn:x#Act"\r\n'
        b"Connection: close\r\nUser-Agent: UPnP/1.1 p2p\r\n\r\n<a/>"
    )


VALID = [
    (http("body"), False),
    (http("body").replace(b"\r\n", b"\n"), False),
    (http("bodymore", "200 OK", "Content-Length: 4"), False),
    (http("body", "200 OK", "Content-Length: 4", "content-length: 4"), False),
    (http("body", "200", "Server: x"), True),
    (http("4\r\nbody\r\n0\r\n\r\n", "200 OK", CHUNKED), False),
    (http("2;a=b\r\nbo\r\n02 \r\ndy\r\n0\r\nTrailer: x\r\n\r\n", "200 OK", CHUNKED), False),
    (http("2\nbo\n2\ndy\n0\n\n", "200 OK", CHUNKED, "Content-Length: 99"), False),
    (b"HTTP/1.1 100 Continue\r\n\r\n" + http("body"), False),
]


@pytest.mark.parametrize("data, ends", VALID)
@pytest.mark.parametrize("step", [0, 1, 3])
def test_answer_is_read_in_any_pieces(data: bytes, ends: bool, step: int) -> None:
    answer = read(data, step, ends)
    assert answer.is_complete and answer.status == 200 and answer.body == b"body"
    answer.receive_end()
    assert answer.body == b"body"


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_status_without_a_body_completes_the_answer(status: str) -> None:
    assert read(http("", status, "Server: x")).is_complete


def test_status_is_told_whatever_it_is() -> None:
    answer = read(http("", "302 Found", "Location: http://20.0.0.1/", "Content-Length: 0"))
    assert answer.status == 302 and answer.is_complete


@pytest.mark.parametrize("data, ends", VALID)
def test_answer_that_ends_early_is_refused(data: bytes, ends: bool) -> None:
    answer = read(data[: data.index(b"bo")][:-1])
    with pytest.raises(InvalidAnswer, match="ended early"):
        answer.receive_end()


def test_content_length_that_is_too_large_never_completes() -> None:
    answer = read(http("body", "200 OK", "Content-Length: 5"))
    assert not answer.is_complete
    with pytest.raises(InvalidAnswer, match="ended early"):
        answer.receive_end()


@pytest.mark.parametrize(
    "data, words",
    [
        (b"SSH-2.0-x\r\n\r\n", 'not HTTP: "SSH-2.0-x"'),
        (b"\x1b[2J\r\n\r\n", r'not HTTP: "\\x1b'),
        (b"HTTP/2 200\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 999 x\r\n\r\n", "not HTTP"),
        (http("", "200 OK", "Content-Length: x"), "not a number"),
        (http("", "200 OK", "Content-Length: -1"), "not a number"),
        (http("", "200 OK", "Content-Length: " + "9" * 5000), "not a number"),
        (http("", "200 OK", "Content-Length: 1", "Content-Length: 2"), "not a number"),
        (http("", "200 OK", f"Content-Length: {MAX_BODY_BYTES + 1}"), "body of more than"),
        (http("", "200 OK", "Transfer-Encoding: gzip, chunked"), "transfer encoding"),
        (http("x\r\n", "200 OK", CHUNKED), "chunk without a size"),
        (http("-1\r\n", "200 OK", CHUNKED), "chunk without a size"),
        (http("1" * MAX_CHUNK_LINE, "200 OK", CHUNKED), "chunk without a size"),
        (http("ffffffff\r\n", "200 OK", CHUNKED), "body of more than"),
        (http("1\r\nabc", "200 OK", CHUNKED), "longer than its size"),
        (http(b"a" * (MAX_BODY_BYTES + 1), "200 OK", "Server: x"), "body of more than"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * MAX_HEAD_BYTES, "headers of more than"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * (MAX_ANSWER_BYTES // 25 + 1), "answer of more than"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("step", [0, 1000])
def test_wrong_answer_is_refused(data: bytes, words: str, step: int) -> None:
    with pytest.raises(InvalidAnswer, match=words) as caught:
        read(data, step)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 200


def test_largest_answer_is_accepted() -> None:
    assert len(read(http(b"a" * MAX_BODY_BYTES), 16 * 1024).body) == MAX_BODY_BYTES
