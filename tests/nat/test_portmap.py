"""Routers with NAT-PMP and PCP as gateways, on loopback."""

from __future__ import annotations

import socket
import threading
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest

from p2p.clock import Deadline
from p2p.nat.errors import Interrupted, NatError, NoAnswer, Restarted
from p2p.nat.gateway import Gateway, Stop
from p2p.nat.mapping import Mapped, PortMapping
from p2p.nat.portmap import NatPmp, Pcp, find
from p2p.netutil import Endpoint
from tests.kit.router import HOST, Router, running_router
from tests.kit.waiting import PATIENCE_S, eventually

TCP = PortMapping("tcp", 30303, 30303, 600)
KINDS = {"pmp": NatPmp, "pcp": Pcp}
has_ipv6 = pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
#: Long enough for several requests of NAT-PMP, and for one of PCP.
SOON_S = 1.0


@pytest.fixture(params=sorted(KINDS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def gateway_of(router: Router, kind: str, stop: Stop) -> NatPmp | Pcp:
    router.speaks = {kind}
    return KINDS[kind](router.endpoint, stop)


def patience() -> Deadline:
    return Deadline(PATIENCE_S)


# mappings


def test_mapping_is_made_and_deleted(router: Router, kind: str, stop: Stop) -> None:
    gateway = gateway_of(router, kind, stop)
    ip = IPv4Address("20.0.0.1") if kind == "pcp" else None
    assert gateway.map(TCP, patience()) == Mapped(30303, 600, ip)
    assert router.mappings == {("tcp", 30303): 30303}
    gateway.unmap(TCP, patience())
    assert (router.mappings, router.deleted) == ({}, [("tcp", 30303)])


def test_router_may_choose_another_port(router: Router, kind: str, stop: Stop) -> None:
    router.port_shift = 7
    assert gateway_of(router, kind, stop).map(TCP, patience()).external_port == 30310


def test_external_address(router: Router, kind: str, stop: Stop) -> None:
    gateway = gateway_of(router, kind, stop)
    gateway.map(TCP, patience())
    router.external_ip = "20.0.0.2"
    assert gateway.external_ip(patience()) == IPv4Address("20.0.0.2")


def test_pcp_has_no_address_without_a_mapping(router: Router, stop: Stop) -> None:
    with pytest.raises(NatError, match="with a mapping only"):
        Pcp(router.endpoint, stop).external_ip(patience())


def test_renewals_and_the_deletion_have_the_nonce_of_the_mapping(
    router: Router, stop: Stop
) -> None:
    gateways = [Pcp(router.endpoint, stop) for _ in range(2)]
    for gateway in gateways:
        gateway.map(TCP, patience())
        gateway.map(TCP, patience())
        gateway.unmap(TCP, patience())
    nonces = [data[24:36] for data in router.requests]
    assert nonces == 3 * [nonces[0]] + 3 * [nonces[3]]
    assert nonces[0] != nonces[3]


def test_mapping_of_another_nonce_is_refused(router: Router, stop: Stop) -> None:
    Pcp(router.endpoint, stop, b"a" * 12).map(TCP, patience())
    with pytest.raises(NatError, match="not authorized"):
        Pcp(router.endpoint, stop, b"b" * 12).map(TCP, patience())
    Pcp(router.endpoint, stop, b"a" * 12).map(TCP, patience())


def test_refusal_is_an_error(router: Router, kind: str, stop: Stop) -> None:
    router.result = 2
    with pytest.raises(NatError, match="not authorized"):
        gateway_of(router, kind, stop).map(TCP, patience())


@has_ipv6
def test_ipv6_address_is_mapped_by_pcp(stop: Stop) -> None:
    with running_router("::1") as router:
        router.speaks, router.external_ip = {"pcp"}, "2a01:4f8::7"
        gateway = find(patience(), stop, [router.endpoint])
        assert gateway is not None
        assert gateway.map(TCP, patience()).external_ip == IPv6Address("2a01:4f8::7")
        assert router.requests[-1][8:24] == IPv6Address("::1").packed


# silence, strangers, interruptions


def test_request_is_repeated_until_there_is_an_answer(router: Router, stop: Stop) -> None:
    router.script = lambda request: () if len(router.requests) < 2 else None
    NatPmp(router.endpoint, stop).map(TCP, patience())
    assert len(router.requests) == 3


def test_silence_is_an_error_at_the_deadline(router: Router, kind: str, stop: Stop) -> None:
    router.is_silent = True
    with pytest.raises(NoAnswer, match="no answer"):
        gateway_of(router, kind, stop).map(TCP, Deadline(0.01))


def test_port_without_a_router_is_an_error_at_once(kind: str, stop: Stop) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HOST, 0))
        closed = Endpoint(IPv4Address(HOST), sock.getsockname()[1])
    with pytest.raises(NoAnswer, match="refused"):
        KINDS[kind](closed, stop).map(TCP, Deadline(None))


def test_wait_for_a_silent_router_can_be_interrupted(router: Router, kind: str, stop: Stop) -> None:
    router.is_silent = True
    gateway = gateway_of(router, kind, stop)
    errors: list[object] = []

    def run() -> None:
        try:
            gateway.map(TCP, Deadline(None))
        except NatError as error:
            errors.append(type(error))

    thread = threading.Thread(target=run)
    thread.start()
    eventually(lambda: router.requests)
    stop.set()
    thread.join(PATIENCE_S)
    assert errors == [Interrupted]


def test_answer_of_another_address_or_port_is_ignored(
    router: Router, kind: str, stop: Stop
) -> None:
    """It is an answer like the router's, with another port."""
    gateway = gateway_of(router, kind, stop)
    strangers = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
    strangers[0].bind((HOST, 0))
    strangers[1].bind(("127.0.0.2", 0))

    def intrude(client: tuple[str, int]) -> None:
        router.port_shift, shift = 9, router.port_shift
        (forged,) = router._answers(router.requests[-1])
        router.port_shift = shift
        for stranger in strangers:
            stranger.sendto(forged, client)

    router.before_answer = intrude
    router.mappings[("tcp", 30303)] = 30303
    try:
        assert gateway.map(TCP, patience()).external_port == 30303
    finally:
        for stranger in strangers:
            stranger.close()


def test_answer_to_another_request_is_passed_over(router: Router, kind: str, stop: Stop) -> None:
    gateway = gateway_of(router, kind, stop)
    begun = threading.Event()

    def script(request: bytes) -> Any:
        if begun.is_set():
            return None
        begun.set()
        (right,) = router._answers(request)
        at = 8 if kind == "pmp" else 40  # the internal port
        wrong = right[:at] + b"\0\1" + right[at + 2 :]
        return [b"", right[:6], wrong, right]

    router.script = script
    assert gateway.map(TCP, patience()).external_port == 30303


@pytest.mark.parametrize("size", [5, 17, 1200, 65_000])
def test_datagram_of_another_size_is_passed_over(
    router: Router, kind: str, stop: Stop, size: int
) -> None:
    gateway = gateway_of(router, kind, stop)
    begun = threading.Event()

    def script(request: bytes) -> Any:
        if begun.is_set():
            return None
        begun.set()
        (right,) = router._answers(request)
        return [(right + bytes(size))[:size], right]

    router.script = script
    assert gateway.map(TCP, patience()).lifetime_s == 600


# restarts


def test_restart_of_the_router_is_told_once(router: Router, kind: str, stop: Stop) -> None:
    gateway = gateway_of(router, kind, stop)
    gateway.map(TCP, patience())
    router.restart()
    with pytest.raises(Restarted, match="has restarted"):
        gateway.map(TCP, patience())
    gateway.map(TCP, patience())
    router.epoch_s = 0
    gateway.external_ip(patience())


# the search


def found(router: Router, stop: Stop, seconds: float = PATIENCE_S) -> Gateway | None:
    return find(Deadline(seconds), stop, [router.endpoint])


def test_router_with_natpmp_is_found(router: Router, stop: Stop) -> None:
    gateway = found(router, stop)
    assert gateway is not None
    assert gateway.name == f"NAT-PMP {router.endpoint}"
    assert router.requests == [b"\0\0"]


def test_router_without_an_address_is_found(router: Router, stop: Stop) -> None:
    router.address_result = 3
    assert isinstance(found(router, stop), NatPmp)


@pytest.mark.parametrize("answers_natpmp", [True, False])
def test_router_with_pcp_only_is_found(router: Router, stop: Stop, answers_natpmp: bool) -> None:
    router.speaks = {"pcp"}
    if not answers_natpmp:
        router.script = lambda request: () if request[0] == 0 else None
    gateway = found(router, stop, PATIENCE_S if answers_natpmp else SOON_S)
    assert gateway is not None
    assert gateway.name == f"PCP {router.endpoint}"


def test_search_leaves_no_mapping(router: Router, kind: str, stop: Stop) -> None:
    router.speaks = {kind}
    assert found(router, stop) is not None
    assert router.granted == []


def test_silent_router_is_not_found(router: Router, stop: Stop) -> None:
    router.is_silent = True
    assert found(router, stop, 0.02) is None
    assert {data[0] for data in router.requests} == {0, 2}


def test_router_without_either_protocol_is_not_found(router: Router, stop: Stop) -> None:
    router.script = lambda request: [b"\0\x80\0\1\0\0\0\0"]
    assert found(router, stop) is None


def test_second_router_is_asked_if_the_first_is_silent(router: Router, stop: Stop) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind((HOST, 0))
        first = Endpoint(IPv4Address(HOST), silent.getsockname()[1])
        gateway = find(Deadline(SOON_S), stop, [first, router.endpoint])
    assert gateway is not None and str(router.endpoint) in gateway.name


def test_search_can_be_interrupted(router: Router, kind: str, stop: Stop) -> None:
    router.speaks = {kind}
    stop.set()
    with pytest.raises(Interrupted):
        found(router, stop)


def test_no_router_is_asked_without_a_network(monkeypatch: pytest.MonkeyPatch, stop: Stop) -> None:
    monkeypatch.setattr("p2p.nat.portmap.routers", list)
    assert find(Deadline(None), stop) is None
