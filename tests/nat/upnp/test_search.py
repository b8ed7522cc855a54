"""The search for a router among the hosts that answer, over real datagrams on loopback."""

from __future__ import annotations

import socket
import threading
from functools import partial

import pytest

from p2p.clock import Deadline
from p2p.nat.errors import Interrupted, NatError
from p2p.nat.gateway import Gateway, Stop
from p2p.nat.upnp import client, find
from p2p.nat.upnp import search as search_module
from p2p.nat.upnp.search import MAX_DESCRIPTIONS_PER_HOST
from p2p.nat.upnp.ssdp import SEARCH_TARGETS
from tests.kit.threadcalls import Call
from tests.kit.waiting import PATIENCE_S, eventually
from tests.nat.upnp.router import (
    HOLD,
    IP_1,
    IP_2,
    LOCALHOST,
    PPP_1,
    Answerer,
    Router,
    description,
    fault,
    found,
    http,
    running,
)
from tests.nat.upnp.test_xmltree import BOMB

OTHER = "127.0.0.2"
#: For what never comes.
SHORT_S = 0.2
#: For what comes at once, and would be waited for some seconds longer.
WHILE_S = 0.5


def search(stop: Stop, *answers: Router | tuple[str, bytes]) -> Gateway | None:
    with Answerer(*answers) as answerer:
        return find(Deadline(PATIENCE_S), stop, group=answerer.group)


def host_of(gateway: Gateway | None) -> str | None:
    """The address of a router that was found."""
    return gateway and gateway.name.removeprefix("UPnP ").partition(":")[0]


def test_router_that_answers_is_found(router: Router, stop: Stop) -> None:
    with Answerer(router) as answerer:
        gateway = find(Deadline(PATIENCE_S), stop, group=answerer.group)
        eventually(lambda: answerer.targets == set(SEARCH_TARGETS))
    assert host_of(gateway) == LOCALHOST
    assert gateway is not None
    assert str(gateway.external_ip(Deadline(PATIENCE_S))) == router.address
    assert router.asked[0] == "/desc.xml"


def test_silence_is_none(stop: Stop) -> None:
    with Answerer() as answerer:
        assert find(Deadline(SHORT_S), stop, group=answerer.group) is None
        eventually(lambda: answerer.targets == set(SEARCH_TARGETS))


def test_host_without_a_network_is_none(stop: Stop) -> None:
    assert find(Deadline(PATIENCE_S), stop, group=("255.255.255.255", 1)) is None


def test_search_ends_when_it_is_interrupted(stop: Stop) -> None:
    def search_for_long() -> None:
        with pytest.raises(Interrupted) as caught:
            find(Deadline(PATIENCE_S), stop, group=answerer.group)
        raised.append(caught.value)

    raised: list[BaseException] = []
    with Answerer() as answerer:
        searching = threading.Thread(target=search_for_long)
        searching.start()
        eventually(lambda: answerer.requests)
        stop.set()
        searching.join()
    assert raised


@pytest.mark.parametrize(
    "location",
    ["http://127.0.0.9:{port}/desc.xml", "http://20.0.0.1/", "http://router.lan/", "https://{own}"],
)
def test_answer_that_leads_to_another_host_is_passed_over(
    location: str, router: Router, stop: Stop
) -> None:
    victim = Router("127.0.0.9")
    lie = found(location.format(port=victim.port, own=f"{OTHER}:{victim.port}/"))
    with running(victim):
        assert host_of(search(stop, (OTHER, lie), router)) == LOCALHOST
    assert victim.asked == []


HOSTILE = {
    "not found": http("", "404 Not Found"),
    "redirected": http("", "302 Found", "Location: http://127.0.0.9/", "Content-Length: 0"),
    "cut": http(description((IP_1, "/ctl")))[:-9],
    "malformed": http("<root><device>"),
    "entity bomb": http(BOMB),
    "huge": [b"a" * 10_000] * 30,
    "deep": http("<a>" * 5000),
    "elsewhere": http(description((IP_1, "http://20.0.0.1/ctl"))),
    "no service": http(description()),
    "length too small": http(description((IP_1, "/ctl")), "200 OK", "Content-Length: 99"),
    "not http": b"SSH-2.0-OpenSSH\r\n",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_wrong_description_does_not_hide_the_router(
    kind: str, router: Router, stop: Stop
) -> None:
    hostile = Router(OTHER)
    hostile.script["/desc.xml"] = HOSTILE[kind]
    with running(hostile):
        assert host_of(search(stop, hostile, router)) == LOCALHOST
    assert hostile.asked == ["/desc.xml"]


def test_silent_description_does_not_hide_the_router(
    router: Router, stop: Stop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "REQUEST_TIMEOUT_S", WHILE_S)
    hostile = Router(OTHER)
    hostile.script["/desc.xml"] = [HOLD]
    with running(hostile):
        assert host_of(search(stop, hostile, router)) == LOCALHOST


def test_descriptions_of_one_host_are_limited(router: Router, stop: Stop) -> None:
    hostile = Router(OTHER)
    many = [
        (OTHER, found(f"http://{OTHER}:{hostile.port}/{number}"))
        for number in range(MAX_DESCRIPTIONS_PER_HOST + 1)
    ]
    hostile.script = {f"/{number}": http("") for number in range(len(many))}
    with running(hostile):
        assert host_of(search(stop, *many, router)) == LOCALHOST
    assert len(hostile.asked) == MAX_DESCRIPTIONS_PER_HOST


@pytest.mark.slow
def test_time_for_one_host_is_limited(
    router: Router, stop: Stop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_module, "HOST_TIMEOUT_S", 1.0)
    monkeypatch.setattr(client, "REQUEST_TIMEOUT_S", PATIENCE_S)  # one would take all the time
    hostile = Router(OTHER)
    paths = [f"/{number}" for number in range(MAX_DESCRIPTIONS_PER_HOST)]
    hostile.script = {path: [HOLD] for path in paths}
    many = [(OTHER, found(f"http://{OTHER}:{hostile.port}{path}")) for path in paths]
    with running(hostile):
        assert host_of(search(stop, *many, router)) == LOCALHOST


def test_descriptions_of_all_hosts_are_limited(
    router: Router, stop: Stop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_module, "MAX_DESCRIPTIONS", 2)
    hosts = ["127.0.0.2", "127.0.0.3"]
    closed = [(host, found(f"http://{host}:1/desc.xml")) for host in hosts]
    with pytest.raises(NatError, match="127.0.0.2:1: .*; router 127.0.0.3:1: "):
        search(stop, *closed, router)
    assert router.asked == []


def test_datagrams_are_limited(
    router: Router, stop: Stop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_module, "MAX_DATAGRAMS", 4)
    with pytest.raises(NatError, match="not an answer"):
        search(stop, *[(OTHER, b"noise")] * 4, router)
    assert router.asked == []


def test_datagrams_of_one_host_do_not_hide_the_router(
    router: Router, stop: Stop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_module, "MAX_DATAGRAMS", 8)
    monkeypatch.setattr(search_module, "MAX_DATAGRAMS_PER_HOST", 4)
    assert host_of(search(stop, *[(OTHER, b"noise")] * 20, router)) == LOCALHOST


def test_flood_of_datagrams_does_not_lengthen_the_search(
    stop: Stop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_module, "MAX_DATAGRAMS_PER_HOST", 4)
    monkeypatch.setattr(search_module, "SEARCH_TIMEOUT_S", SHORT_S)
    over = threading.Event()

    def flood(address: tuple[str, int]) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            while not over.is_set():
                sock.sendto(b"noise", address)

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as group:
        group.bind((LOCALHOST, 0))
        group.settimeout(PATIENCE_S)
        searching = Call(partial(find, group=group.getsockname()), Deadline(None), stop)
        _, address = group.recvfrom(2048)
        flooding = threading.Thread(target=flood, args=(address,))
        flooding.start()
        try:
            assert "not an answer" in str(searching.outcome())
        finally:
            over.set()
            flooding.join()


def test_same_description_is_read_once(router: Router, stop: Stop) -> None:
    router.status = "Disconnected"
    good = Router(OTHER)
    with running(good):
        assert host_of(search(stop, router, router, good)) == OTHER
    assert router.asked == ["/desc.xml", "GetStatusInfo"]


def test_router_without_a_connection_is_passed_over(router: Router, stop: Stop) -> None:
    down = Router(OTHER)
    down.status = "Disconnected"
    with running(down):
        assert host_of(search(stop, down, router)) == LOCALHOST


def test_router_with_a_local_address_is_passed_over_for_a_better_one(
    router: Router, stop: Stop
) -> None:
    inner = Router(OTHER)
    inner.address = "192.168.1.2"
    with running(inner):
        assert host_of(search(stop, inner, router)) == LOCALHOST


def test_router_with_a_local_address_is_better_than_none(
    router: Router, stop: Stop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_module, "SEARCH_TIMEOUT_S", WHILE_S)
    router.address = "192.168.1.2"
    assert host_of(search(stop, router)) == LOCALHOST


def test_routers_that_cannot_be_used_are_an_error_with_reasons(
    router: Router, stop: Stop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_module, "SEARCH_TIMEOUT_S", WHILE_S)
    router.status = "Disconnected"
    other = Router(OTHER)
    other.script["/desc.xml"] = http("<a")
    third = Router("127.0.0.3")
    third.script["GetExternalIPAddress"] = fault(501, "Action\x9bFailed")
    with running(other, third), pytest.raises(NatError) as caught:
        search(stop, router, other, third)
    text = str(caught.value)
    assert text.isprintable()
    assert f"UPnP {LOCALHOST}:{router.port}/ctl: not connected" in text
    assert "/desc.xml: malformed XML" in text
    assert r"error 501 (Action\x9bFailed)" in text


def test_service_with_a_connection_is_taken_among_several(router: Router, stop: Stop) -> None:
    # A modem with two services: one of them has the line.
    router.script["/desc.xml"] = http(description((PPP_1, "/ctl"), (IP_2, "/none")))
    router.script["GetStatusInfo"] = _InTurn(
        http("", "404 Not Found"), router._GetStatusInfo({})
    )
    gateway = search(stop, router)
    assert gateway is not None
    assert router.asked[:3] == ["/desc.xml", "GetStatusInfo", "GetStatusInfo"]


class _InTurn:
    """One answer after the other, a request each."""

    def __init__(self, *answers: bytes) -> None:
        self._answers = iter(answers)

    def __iter__(self) -> _InTurn:
        self._left = [next(self._answers)]
        return self

    def __next__(self) -> bytes:
        if not self._left:
            raise StopIteration
        return self._left.pop()


def test_datagrams_that_are_no_answers_are_passed_over(router: Router, stop: Stop) -> None:
    noise = [b"", b"\0" * 1400, b"NOTIFY * HTTP/1.1\r\n\r\n", found("") * 20]
    gateway = search(stop, *((OTHER, data) for data in noise), router)
    assert host_of(gateway) == LOCALHOST


def test_socket_of_a_search_is_closed(stop: Stop) -> None:
    # The fixture of the suite looks at the descriptors; here an error on the way out.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind((LOCALHOST, 0))
        stop.set()
        with pytest.raises(Interrupted):
            find(Deadline(PATIENCE_S), stop, group=silent.getsockname())
