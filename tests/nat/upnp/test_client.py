"""Requests to routers over real sockets: slow, silent, huge, gone, and led elsewhere."""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Iterator

import pytest

from p2p.clock import Deadline
from p2p.nat.errors import Interrupted, NatError
from p2p.nat.gateway import Stop
from p2p.nat.upnp.client import HttpConnection, fetch
from p2p.nat.upnp.soap import GET_ADDRESS, Fault
from p2p.nat.upnp.url import HttpURL, parse_url
from tests.kit.waiting import PATIENCE_S, eventually
from tests.nat.upnp.router import ADDRESS, HOLD, IP_1, LOCALHOST, Answer, Router, fault, http

#: For what never comes.
SHORT_S = 0.1


def url_of(router: Router, path: str = "/x") -> HttpURL:
    return parse_url(f"http://{router.host}:{router.port}{path}")


def get(router: Router, answer: Answer, stop: Stop, timeout_s: float = PATIENCE_S) -> bytes:
    router.script["/x"] = answer
    return fetch(url_of(router), Deadline(timeout_s), stop)


def pieces(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


def test_document_is_fetched(router: Router, stop: Stop) -> None:
    assert get(router, http("text"), stop) == b"text"
    assert router.asked == ["/x"]


def test_answer_may_come_byte_by_byte_and_up_to_the_end(router: Router, stop: Stop) -> None:
    assert get(router, pieces(http("text")), stop) == b"text"
    assert get(router, pieces(http("text", "200 OK", "Server: x")), stop) == b"text"


def test_connection_that_stays_open_after_the_answer_is_closed(router: Router, stop: Stop) -> None:
    assert get(router, [http("text"), HOLD], stop) == b"text"


@pytest.mark.parametrize(
    "answer",
    [
        [HOLD],
        [http("text")[:-1], HOLD],
        [http("text", "200 OK", "Content-Length: 5"), HOLD],
        [http("text", "200 OK", "Server: x"), HOLD],
    ],
    ids=["silent", "cut", "length too large", "without an end"],
)
def test_answer_that_is_not_complete_in_time(
    answer: Answer, router: Router, stop: Stop
) -> None:
    with pytest.raises(NatError, match=f"router {LOCALHOST}:.*: no complete answer in time"):
        get(router, answer, stop, SHORT_S)


def test_endless_answer_is_cut_off_by_the_time_or_the_size(router: Router, stop: Stop) -> None:
    def drip() -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\n"
        for _ in itertools.count():
            pause.wait(0.005)
            yield b"X: y\r\n"

    pause = threading.Event()
    with pytest.raises(NatError, match="in time|headers of more than"):
        get(router, drip(), stop, SHORT_S)


@pytest.mark.parametrize(
    "answer, words",
    [
        (itertools.repeat(b"a" * 10_000), "headers of more than 8192 bytes"),
        (itertools.chain([http("", "200 OK", "X: y")], itertools.repeat(b"a" * 10_000)), "body of"),
        (http("", "200 OK", "Content-Length: 10000000000"), "not a number|body of more than"),
        (b"", "the answer ended early"),
        (http("text")[:-1], "the answer ended early"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "not HTTP"),
        (http("", "404 Not Found"), "HTTP status 404"),
        (http("", "401 Unauthorized"), "HTTP status 401"),
    ],
    ids=[
        *("endless head", "endless body", "huge length", "nothing", "cut", "ssh"),
        *("404", "401"),
    ],
)
def test_wrong_answer_is_an_error_with_the_router(
    answer: Answer, words: str, router: Router, stop: Stop
) -> None:
    with pytest.raises(NatError, match=f"router {LOCALHOST}:[0-9]+: .*({words})"):
        get(router, answer, stop)


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary Redirect"])
def test_redirection_to_another_host_is_not_followed(
    status: str, router: Router, stop: Stop
) -> None:
    with socket.create_server((LOCALHOST, 0)) as other:
        other.setblocking(False)
        location = f"Location: http://{LOCALHOST}:{other.getsockname()[1]}/x"
        with pytest.raises(NatError, match=f"HTTP status {status[:3]}"):
            get(router, http("", status, location, "Content-Length: 0"), stop)
        with pytest.raises(BlockingIOError):
            other.accept()
    assert router.asked == ["/x"]


def test_port_that_is_closed_is_an_error(stop: Stop) -> None:
    with socket.create_server((LOCALHOST, 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(NatError, match=f"router {LOCALHOST}:{port}: Connection refused"):
        fetch(parse_url(f"http://{LOCALHOST}:{port}/"), Deadline(PATIENCE_S), stop)


def test_time_that_is_over_sends_nothing(router: Router, stop: Stop) -> None:
    with pytest.raises(NatError, match="in time"):
        get(router, http("text"), stop, 0.0)
    assert router.asked == []


def test_wait_ends_when_it_is_interrupted(router: Router, stop: Stop) -> None:
    raised: list[BaseException] = []

    def ask() -> None:
        with pytest.raises(Interrupted) as caught:
            get(router, [HOLD], stop)
        raised.append(caught.value)

    asking = threading.Thread(target=ask)
    asking.start()
    eventually(lambda: router.asked)
    stop.set()
    asking.join()
    assert raised


def test_action_has_results(router: Router, stop: Stop) -> None:
    with HttpConnection(url_of(router, "/ctl"), Deadline(PATIENCE_S), stop) as connection:
        assert str(connection.local_address) == LOCALHOST
        assert connection.call(IP_1, GET_ADDRESS) == {"NewExternalIPAddress": ADDRESS}
    assert router.asked == ["GetExternalIPAddress"]


@pytest.mark.parametrize("status", ["500 Internal Server Error", "200 OK"])
def test_fault_is_a_value_whatever_the_status(status: str, router: Router, stop: Stop) -> None:
    router.script["GetExternalIPAddress"] = fault(501, "x").replace(
        b"500 Internal Server Error", status.encode()
    )
    with HttpConnection(url_of(router, "/ctl"), Deadline(PATIENCE_S), stop) as connection:
        assert connection.call(IP_1, GET_ADDRESS) == Fault(501, "x")


@pytest.mark.parametrize(
    "answer, words",
    [
        (http("<a", "500 Internal Server Error"), "malformed XML"),
        (http("<html/>"), "not a SOAP envelope"),
        (http("", "404 Not Found"), "HTTP status 404 to GetExternalIPAddress"),
    ],
)
def test_answer_that_is_no_soap_is_an_error(
    answer: bytes, words: str, router: Router, stop: Stop
) -> None:
    router.script["GetExternalIPAddress"] = answer
    with HttpConnection(url_of(router, "/ctl"), Deadline(PATIENCE_S), stop) as connection:
        with pytest.raises(NatError, match=f"router {LOCALHOST}:[0-9]+: {words}"):
            connection.call(IP_1, GET_ADDRESS)
