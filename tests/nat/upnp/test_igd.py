"""A router as a gateway: mappings and what routers make of them."""

from __future__ import annotations

import random
import threading

import pytest

from p2p.clock import Deadline
from p2p.nat.errors import Interrupted, NatError, Restarted
from p2p.nat.gateway import Gateway, Stop
from p2p.nat.mapping import Mapped, PortMapping
from p2p.nat.upnp import soap
from p2p.nat.upnp.description import WANService
from p2p.nat.upnp.igd import RANDOM_PORTS, InternetGateway, RouterFault
from p2p.nat.upnp.url import parse_url
from tests.kit.waiting import PATIENCE_S, eventually
from tests.nat.upnp.router import (
    HOLD,
    IP_1,
    IP_2,
    LOCALHOST,
    RESERVED,
    Router,
    fault,
    http,
    results,
    running,
)

TCP = PortMapping("tcp", 30303, 30303, 1200)


class Random:
    """The random source of a test: numbers in turn."""

    def __init__(self, *numbers: int) -> None:
        self._numbers = iter(numbers)

    def randrange(self, stop: int, /) -> int:
        number = next(self._numbers)
        assert number < stop
        return number

    random, sample = random.random, random.sample


def gateway_of(router: Router, stop: Stop, *numbers: int) -> InternetGateway:
    url = parse_url(f"http://{router.host}:{router.port}/ctl")
    return InternetGateway(WANService(router.service, url), stop, Random(*numbers))


def map_port(gateway: Gateway, mapping: PortMapping = TCP) -> Mapped:
    return gateway.map(mapping, Deadline(PATIENCE_S))


def unmap(gateway: Gateway, mapping: PortMapping = TCP) -> None:
    gateway.unmap(mapping, Deadline(PATIENCE_S))


def test_mapping_leads_to_our_address_and_is_deleted(router: Router, stop: Stop) -> None:
    gateway = gateway_of(router, stop)
    assert gateway.name == f"UPnP {LOCALHOST}:{router.port}/ctl"
    udp = PortMapping("udp", 30303, 30305, 600)
    assert map_port(gateway) == Mapped(30303, 1200)
    assert map_port(gateway, udp) == Mapped(30305, 600)
    assert router.mappings == {
        ("TCP", 30303): (LOCALHOST, 30303, 1200),
        ("UDP", 30305): (LOCALHOST, 30303, 600),
    }
    unmap(gateway)
    unmap(gateway, udp)
    assert router.mappings == {}


def test_renewal_is_the_same_request(router: Router, stop: Stop) -> None:
    gateway = gateway_of(router, stop)
    first = map_port(gateway)
    router.mappings.clear()  # a restart
    assert map_port(gateway) == first and router.mappings


def test_no_wanted_external_port_is_the_internal_one(router: Router, stop: Stop) -> None:
    gateway = gateway_of(router, stop)
    assert map_port(gateway, PortMapping("tcp", 30303, 0, 60)).external_port == 30303


def test_deletion_of_a_mapping_that_is_gone_is_no_error(router: Router, stop: Stop) -> None:
    gateway = gateway_of(router, stop)
    map_port(gateway)
    router.mappings.clear()
    router.asked.clear()
    unmap(gateway)
    assert router.asked == ["DeletePortMapping"]


def test_mapping_that_was_not_confirmed_is_deleted_only_if_it_leads_to_us(
    router: Router, stop: Stop
) -> None:
    others = {("TCP", 30303): ("127.0.0.9", 30303, 60)}
    router.mappings = dict(others)
    unmap(gateway_of(router, stop))
    assert router.mappings == others
    router.mappings = {("TCP", 30303): (LOCALHOST, 30303, 60)}
    unmap(gateway_of(router, stop))
    assert router.mappings == {}


def test_deletion_that_is_refused_is_an_error(router: Router, stop: Stop) -> None:
    router.script["DeletePortMapping"] = fault(606, "Action not authorized")
    gateway = gateway_of(router, stop)
    map_port(gateway)
    with pytest.raises(RouterFault, match=r"DeletePortMapping: error 606 \(Action not authorized"):
        unmap(gateway)


# 725, permanent mappings only


def test_router_with_permanent_mappings_only_gets_one_without_an_end(
    router: Router, stop: Stop
) -> None:
    router.is_permanent = True
    gateway = gateway_of(router, stop)
    assert map_port(gateway) == Mapped(30303, 1200)  # renewed as any other
    assert router.mappings == {("TCP", 30303): (LOCALHOST, 30303, 0)}
    router.asked.clear()
    assert map_port(gateway) == Mapped(30303, 1200)
    assert router.asked.count("AddPortMapping") == 1  # it is known by now
    unmap(gateway)
    assert router.mappings == {}


def test_router_that_always_says_permanent_only_is_asked_twice(
    router: Router, stop: Stop
) -> None:
    router.script["AddPortMapping"] = fault(725, "OnlyPermanentLeasesSupported")
    with pytest.raises(RouterFault, match="error 725"):
        map_port(gateway_of(router, stop))
    assert router.asked == ["AddPortMapping"] * 2


# 718 and 729, the port is taken


def test_taken_port_of_version_1_is_replaced_by_a_random_one(router: Router, stop: Stop) -> None:
    router.taken = {30303, 10_005}
    assert map_port(gateway_of(router, stop, 5, 7)) == Mapped(10_007, 1200)
    assert router.mappings == {("TCP", 10_007): (LOCALHOST, 30303, 1200)}


def test_number_of_random_ports_is_limited(router: Router, stop: Stop) -> None:
    router.script["AddPortMapping"] = fault(718, "ConflictInMappingEntry")
    with pytest.raises(RouterFault, match="error 718") as caught:
        map_port(gateway_of(router, stop, *range(RANDOM_PORTS)))
    assert caught.value.code == 718
    assert router.asked == ["AddPortMapping"] * (1 + RANDOM_PORTS)


def test_taken_port_of_version_2_is_replaced_by_the_router(stop: Stop) -> None:
    router = Router(service=IP_2)
    router.taken = {30303}
    with running(router):
        assert map_port(gateway_of(router, stop)) == Mapped(RESERVED, 1200)
    assert router.mappings == {("TCP", RESERVED): (LOCALHOST, 30303, 1200)}
    assert router.asked[:2] == ["AddPortMapping", "AddAnyPortMapping"]


def test_conflict_with_another_way_to_map_counts_as_taken(router: Router, stop: Stop) -> None:
    router.script["AddPortMapping"] = fault(729, "ConflictWithOtherMechanisms")
    with pytest.raises(RouterFault, match="error 729"):
        map_port(gateway_of(router, stop, *range(RANDOM_PORTS)))
    assert router.asked == ["AddPortMapping"] * (1 + RANDOM_PORTS)


@pytest.mark.parametrize("port", ["0", "65536", "-1", "", "x"])
def test_reserved_port_that_is_none_is_an_error(port: str, stop: Stop) -> None:
    router = Router(service=IP_2)
    router.taken = {30303}
    router.script["AddAnyPortMapping"] = http(results("AddAnyPortMapping", NewReservedPort=port))
    with running(router), pytest.raises(NatError, match="NewReservedPort"):
        map_port(gateway_of(router, stop))


def test_router_that_wants_the_same_ports_gets_them(router: Router, stop: Stop) -> None:
    router.same_ports = True
    assert map_port(gateway_of(router, stop), PortMapping("tcp", 30303, 9, 60)) == Mapped(30303, 60)
    router.taken = {30303}
    with pytest.raises(RouterFault, match="error 718"):
        map_port(gateway_of(router, stop, *range(RANDOM_PORTS)))


# refusals


@pytest.mark.parametrize(
    "code, text",
    [(402, "Invalid Args"), (501, "Action Failed"), (606, "Action not authorized"), (728, "")],
)
def test_other_refusals_are_errors_with_code_and_text(
    code: int, text: str, router: Router, stop: Stop
) -> None:
    router.script["AddPortMapping"] = fault(code, text)
    with pytest.raises(RouterFault) as caught:
        map_port(gateway_of(router, stop))
    assert caught.value.code == code
    assert f"UPnP {LOCALHOST}:{router.port}/ctl: AddPortMapping: error {code}" in str(caught.value)
    assert text in str(caught.value)
    assert router.asked == ["AddPortMapping"]


# the mapping as the router has it


def test_short_lease_is_known(router: Router, stop: Stop) -> None:
    router.max_lease_s = 60
    assert map_port(gateway_of(router, stop)) == Mapped(30303, 60)


def test_lease_is_asked_for_within_the_limit_of_version_2(router: Router, stop: Stop) -> None:
    map_port(gateway_of(router, stop), PortMapping("tcp", 1, 1, 10**7))
    assert router.mappings["TCP", 1][2] == soap.MAX_LEASE_S


def test_longer_lease_than_wanted_does_not_count(router: Router, stop: Stop) -> None:
    entry = {"NewInternalClient": LOCALHOST, "NewInternalPort": 30303, "NewLeaseDuration": 10**9}
    router.script["GetSpecificPortMappingEntry"] = http(
        results("GetSpecificPortMappingEntry", **entry)
    )
    assert map_port(gateway_of(router, stop)).lifetime_s == 1200


@pytest.mark.parametrize("client, port", [("127.0.0.9", 30303), (LOCALHOST, 30304)])
def test_mapping_that_leads_elsewhere_is_an_error(
    client: str, port: int, router: Router, stop: Stop
) -> None:
    entry = {"NewInternalClient": client, "NewInternalPort": port, "NewLeaseDuration": 60}
    router.script["GetSpecificPortMappingEntry"] = http(
        results("GetSpecificPortMappingEntry", **entry)
    )
    with pytest.raises(NatError, match=f"the external port leads to {client}:{port}"):
        map_port(gateway_of(router, stop))


@pytest.mark.parametrize(
    "answer",
    [fault(401), http("", "404 Not Found"), http("<a"), b""],
    ids=["401", "404", "malformed", "nothing"],
)
def test_mapping_that_cannot_be_read_back_counts(
    answer: bytes, router: Router, stop: Stop
) -> None:
    router.script["GetSpecificPortMappingEntry"] = answer
    assert map_port(gateway_of(router, stop)) == Mapped(30303, 1200)


def test_interruption_while_it_is_read_back_does_not_hide_a_mapping(
    router: Router, stop: Stop
) -> None:
    router.script["GetSpecificPortMappingEntry"] = [HOLD]
    mapped: list[Mapped] = []
    mapping = threading.Thread(target=lambda: mapped.append(map_port(gateway_of(router, stop))))
    mapping.start()
    eventually(lambda: "GetSpecificPortMappingEntry" in router.asked)
    stop.set()
    mapping.join()
    assert mapped == [Mapped(30303, 1200)]


def interrupted(gateway: Gateway, router: Router, stop: Stop) -> Mapped:
    """The mapping of a request that was interrupted; the gateway can be used again."""
    router.script["AddPortMapping"] = [HOLD]
    mapped: list[Mapped] = []
    mapping = threading.Thread(target=lambda: mapped.append(map_port(gateway)))
    mapping.start()
    eventually(lambda: "AddPortMapping" in router.asked)
    stop.set()
    mapping.join()
    stop.clear()
    router.asked.clear()
    return mapped[0]


def test_mapping_of_an_interrupted_request_is_deleted(router: Router, stop: Stop) -> None:
    gateway = gateway_of(router, stop)
    assert interrupted(gateway, router, stop) == Mapped(30303, 1200)
    router.mappings["TCP", 30303] = (LOCALHOST, 30303, 0)
    unmap(gateway)
    assert router.mappings == {}


def test_mapping_of_another_host_is_left_after_an_interrupted_request(
    router: Router, stop: Stop
) -> None:
    gateway = gateway_of(router, stop)
    interrupted(gateway, router, stop)
    router.mappings["TCP", 30303] = ("127.0.0.9", 30303, 0)
    unmap(gateway)
    assert router.mappings == {("TCP", 30303): ("127.0.0.9", 30303, 0)}
    router.mappings.clear()
    unmap(gateway)
    assert "DeletePortMapping" not in router.asked


def test_mapping_is_certain_again_after_the_next_answer(router: Router, stop: Stop) -> None:
    gateway = gateway_of(router, stop)
    interrupted(gateway, router, stop)
    del router.script["AddPortMapping"]
    map_port(gateway)
    router.asked.clear()
    unmap(gateway)
    assert router.asked == ["DeletePortMapping"]


def test_interrupted_gateway_asks_for_nothing(router: Router, stop: Stop) -> None:
    stop.set()
    with pytest.raises(Interrupted):
        map_port(gateway_of(router, stop))
    assert router.asked == []


# status and address


@pytest.mark.parametrize("status, connected", [("Connected", True), ("Disconnected", False)])
def test_status_of_the_connection(
    status: str, connected: bool, router: Router, stop: Stop
) -> None:
    router.status = status
    assert gateway_of(router, stop).is_connected(Deadline(PATIENCE_S)) is connected


def test_router_without_a_status_counts_as_connected(router: Router, stop: Stop) -> None:
    router.script["GetStatusInfo"] = fault(401, "Invalid Action")
    assert gateway_of(router, stop).is_connected(Deadline(PATIENCE_S))


def address_of(router: Router, stop: Stop) -> str:
    return str(gateway_of(router, stop).external_ip(Deadline(PATIENCE_S)))


def test_external_address(router: Router, stop: Stop) -> None:
    assert address_of(router, stop) == router.address


@pytest.mark.parametrize("address", ["192.168.1.2", "10.0.0.1", "100.64.0.1"])
def test_local_address_of_a_router_behind_a_router_is_returned(
    address: str, router: Router, stop: Stop
) -> None:
    router.address = address
    assert address_of(router, stop) == address
    assert map_port(gateway_of(router, stop)) == Mapped(30303, 1200)


@pytest.mark.parametrize("address", ["", "0.0.0.0", "224.0.0.1"])
def test_no_external_address_hints_at_a_second_router_and_mapping_goes_on(
    address: str, router: Router, stop: Stop
) -> None:
    router.address = address
    with pytest.raises(NatError, match="no external address: .*double NAT"):
        address_of(router, stop)
    assert map_port(gateway_of(router, stop)) == Mapped(30303, 1200)


def test_shorter_uptime_is_a_restart_once(router: Router, stop: Stop) -> None:
    gateway = gateway_of(router, stop)
    for uptime_s in (100, 145, 145):
        router.uptime_s = uptime_s
        gateway.external_ip(Deadline(PATIENCE_S))
    router.uptime_s = 3
    with pytest.raises(Restarted, match="has restarted"):
        gateway.external_ip(Deadline(PATIENCE_S))
    assert str(gateway.external_ip(Deadline(PATIENCE_S))) == router.address


@pytest.mark.parametrize("uptime", ["", "x", "-1"])
def test_wrong_uptime_is_ignored(uptime: str, router: Router, stop: Stop) -> None:
    router.uptime_s = uptime
    assert address_of(router, stop) == router.address


def test_address_that_is_none_is_an_error(router: Router, stop: Stop) -> None:
    router.address = "router\x1b[2J".replace("\x1b", "&#155;")
    with pytest.raises(NatError, match=r'NewExternalIPAddress "router\\x9b\[2J": not an IPv4'):
        address_of(router, stop)


def test_service_of_version_1_is_addressed_by_its_type(router: Router, stop: Stop) -> None:
    assert router.service == IP_1
    assert map_port(gateway_of(router, stop)) == Mapped(30303, 1200)
