"""STUN servers on loopback, one or several, honest or not."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from ipaddress import IPv4Address, ip_address

import pytest

from p2p.clock import Deadline
from p2p.nat.errors import Interrupted, NatError
from p2p.nat.gateway import Stop
from p2p.nat.mapping import PortMapping
from p2p.nat.stunclient import MAX_TRIES, MIN_AGREEING, SERVERS, StunServers
from p2p.netutil import Scope, scope_of
from tests.kit.router import HOST, Router, running_router
from tests.kit.waiting import PATIENCE_S

MAPPING = PortMapping("tcp", 1, 1, 1)


class StunServer:
    """Part of a router: answers each binding request with ``ip``, None: not at all."""

    def __init__(self, router: Router, ip: str | None) -> None:
        self.ip = ip
        self.router = router
        self.address = (HOST, router.endpoint.port)
        router.script = self.answers

    def answers(self, request: bytes) -> Sequence[bytes]:
        if self.ip is None:
            return ()
        packed = bytes(
            a ^ b for a, b in zip(IPv4Address(self.ip).packed, request[4:8], strict=True)
        )
        attribute = struct.pack(">HHBBH", 0x0020, 8, 0, 1, 30303 ^ 0x2112) + packed
        return [struct.pack(">HH", 0x0101, len(attribute)) + request[4:20] + attribute]


@pytest.fixture
def servers() -> Iterator[list[StunServer]]:
    with ExitStack() as stack:
        yield [StunServer(stack.enter_context(running_router()), None) for _ in range(3)]


def state(servers: Sequence[StunServer], *ips: str | None) -> list[tuple[str, int]]:
    for server, ip in zip(servers, ips, strict=False):
        server.ip = ip
    return [server.address for server in servers[: len(ips)]]


def patience() -> Deadline:
    return Deadline(PATIENCE_S)


@pytest.fixture(autouse=True)
def short_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2p.nat.stunclient.TRY_S", 0.2)


def test_address_that_the_only_server_states(servers: list[StunServer], stop: Stop) -> None:
    stun = StunServers(state(servers, "20.0.0.1"), stop)
    assert stun.external_ip(patience()) == ip_address("20.0.0.1")
    assert stun.name == f"STUN {HOST}:{servers[0].address[1]}"
    assert len(servers[0].router.requests) == 1


def test_server_may_have_a_name(servers: list[StunServer], stop: Stop) -> None:
    ((_, port),) = state(servers, "20.0.0.1")
    assert str(StunServers([("localhost", port)], stop).external_ip(patience())) == "20.0.0.1"


def test_server_is_asked_at_each_address_of_its_name(
    servers: list[StunServer], stop: Stop, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent, answering = ip_address("127.0.0.2"), ip_address(HOST)
    monkeypatch.setattr("p2p.net.lookups.look_up", {"host": [silent, answering]}.__getitem__)
    ((_, port),) = state(servers, "20.0.0.1")
    assert str(StunServers([("host", port)], stop).external_ip(patience())) == "20.0.0.1"


def test_one_of_several_servers_does_not_decide(servers: list[StunServer], stop: Stop) -> None:
    stun = StunServers(state(servers, "20.0.0.1", "20.6.6.6", "20.0.0.1"), stop)
    for _ in range(5):
        assert stun.external_ip(patience()) == ip_address("20.0.0.1")


def test_servers_that_contradict_each_other_are_not_believed(
    servers: list[StunServer], stop: Stop
) -> None:
    stun = StunServers(state(servers, "20.0.0.1", "20.0.0.2", "20.0.0.3"), stop)
    with pytest.raises(NatError, match="do not agree: .*20.0.0.2 by 1"):
        stun.external_ip(patience())


def test_silent_server_is_passed_over(servers: list[StunServer], stop: Stop) -> None:
    stun = StunServers(state(servers, "20.0.0.1", None, "20.0.0.1"), stop)
    assert stun.external_ip(patience()) == ip_address("20.0.0.1")


def test_error_of_the_only_server_is_its_own(servers: list[StunServer], stop: Stop) -> None:
    with pytest.raises(NatError, match=rf"^{HOST}:\d+: no answer$"):
        StunServers(state(servers, None), stop).external_ip(patience())


@pytest.mark.parametrize("answers", [(None, None), ("20.0.0.1", None)])
def test_silence_is_not_told_as_a_contradiction(
    servers: list[StunServer], stop: Stop, answers: tuple[str | None, ...]
) -> None:
    with pytest.raises(NatError, match="^fewer than 2 STUN servers answer: .*no answer"):
        StunServers(state(servers, *answers), stop).external_ip(patience())


def test_error_names_the_servers_that_failed(servers: list[StunServer], stop: Stop) -> None:
    given = [*state(servers, None), ("127.0.0.256", 1)]
    with pytest.raises(NatError, match=r"no answer|127\.0\.0\.256:1: .*looks like an IPv4"):
        StunServers(given, stop).external_ip(patience())


def test_answer_to_another_transaction_is_passed_over(
    servers: list[StunServer], stop: Stop
) -> None:
    addresses = state(servers, "20.0.0.1")
    server = servers[0]

    def script(request: bytes) -> Sequence[bytes]:
        (right,) = server.answers(request)
        return [right[:8] + bytes(12) + right[20:28] + b"\xff\xff\xff\xff", right]

    server.router.script = script
    assert StunServers(addresses, stop).external_ip(patience()) == ip_address("20.0.0.1")


def test_answer_of_a_stranger_is_ignored(servers: list[StunServer], stop: Stop) -> None:
    addresses = state(servers, "20.0.0.1")
    router = servers[0].router
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:

        def intrude(client: tuple[str, int]) -> None:
            servers[0].ip = "20.6.6.6"
            (forged,) = servers[0].answers(router.requests[-1])
            stranger.sendto(forged, client)

        router.before_answer = intrude
        assert StunServers(addresses, stop).external_ip(patience()) == ip_address("20.0.0.1")


def test_search_for_the_address_can_be_interrupted(servers: list[StunServer], stop: Stop) -> None:
    stun = StunServers(state(servers, None, None, None), stop)
    stop.set()
    with pytest.raises(Interrupted):
        stun.external_ip(Deadline(None))


def test_server_maps_no_ports(stop: Stop) -> None:
    stun = StunServers([(HOST, 1)], stop)
    for call in (stun.map, stun.unmap):
        with pytest.raises(NatError, match="maps no ports"):
            call(MAPPING, patience())


def test_built_in_servers_are_addresses_of_the_internet() -> None:
    assert len(set(SERVERS)) == len(SERVERS) > MAX_TRIES >= MIN_AGREEING
    for host, port in SERVERS:
        assert scope_of(ip_address(host)) is Scope.GLOBAL
        assert port == 3478
