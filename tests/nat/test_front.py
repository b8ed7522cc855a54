"""The thread of port mappings with a router on loopback, on a clock that the test moves."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from p2p.clock import Deadline, SimulatedClock
from p2p.loglimit import LINES_PER_MINUTE
from p2p.nat import portmap
from p2p.nat.errors import NatError
from p2p.nat.front import (
    CHECK_S,
    DELETE_S,
    FIND_AGAIN_S,
    MAX_FAILURES,
    REQUEST_S,
    Find,
    PortMappings,
)
from p2p.nat.gateway import Gateway, Stop
from p2p.nat.leases import LIFETIME_S, MIN_PAUSE_S, RETRY_S
from p2p.nat.mapping import MappedPort
from p2p.netutil import IPAddress
from tests.kit.router import Router
from tests.kit.waiting import PATIENCE_S, eventually

PORTS = (("tcp", 30303), ("udp", 30304))
LOG = logging.getLogger("p2p")
UDP = 17


class Published:
    """The endpoint that is published now, as text, and how often it has changed."""

    def __init__(self) -> None:
        self.now: tuple[str, int | None, int | None] | None = None
        self.changes = 0

    def publish(self, ip: IPAddress, udp: int | None, tcp: int | None) -> None:
        self.now = (str(ip), udp, tcp)
        self.changes += 1

    def retract(self, version: int) -> None:
        assert self.now is not None and (version == 4) == ("." in self.now[0])
        self.now = None
        self.changes += 1


class SleepyClock(SimulatedClock):
    """The clocks of a machine that sleeps: only the wall clock goes on."""

    slept_s = 0.0

    def sleep(self, seconds: float) -> None:
        self.slept_s += seconds

    def time_unix(self) -> float:
        return super().time_unix() + self.slept_s


class Front:
    """Port mappings under test; ``find`` looks for the router of the test."""

    def __init__(self, router: Router, **find: Find) -> None:
        self.clock = SleepyClock()
        self.published = Published()
        self.router = router
        searches: Any = find or {"pmp": partial(portmap.find, at=[router.endpoint])}
        self.mappings = PortMappings(
            searches,
            PORTS,
            self.published,
            may_publish=lambda ip: str(ip) == "10.7.7.7",
            clock=self.clock,
            logger=LOG,
        )

    def await_end_of_search(self) -> None:
        search = self.mappings._search
        eventually(lambda: not self.mappings._loop.call(lambda: search.is_under_way))

    def await_published(self, ip: str, udp: int | None, tcp: int | None) -> None:
        eventually(lambda: self.published.now == (ip, udp, tcp), f"{ip} is not published")

    def pass_time(self, seconds: float) -> None:
        """Let the time pass when the thread has done all that is due now."""
        self.settle()
        self.clock.advance(seconds)
        self.settle()

    def settle(self) -> None:
        """Let the thread do what is due; what that makes due at once is done the next time."""
        for _ in range(2):
            self.mappings._loop.call(int)


@contextmanager
def running(front: Front) -> Iterator[Front]:
    front.mappings.start()
    try:
        yield front
    finally:
        assert front.mappings.stop(PATIENCE_S) == []


@pytest.fixture
def front(router: Router) -> Iterator[Front]:
    with running(Front(router)) as front:
        yield front


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2p.nat.front.REQUEST_S", 0.02)
    monkeypatch.setattr("p2p.nat.routersearch.FIND_S", 0.1)


def lines(caplog: pytest.LogCaptureFixture, level: int = logging.WARNING) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.name == "p2p.nat" and record.levelno >= level
    ]


# mappings


def test_both_ports_are_mapped_and_published(front: Front) -> None:
    front.await_published("20.0.0.1", 30304, 30303)
    assert front.router.mappings == {("tcp", 30303): 30303, ("udp", 30304): 30304}


def test_router_with_pcp_needs_no_other_request(router: Router) -> None:
    router.speaks = {"pcp"}
    with running(Front(router)) as front:
        front.await_published("20.0.0.1", 30304, 30303)


def test_other_external_ports_are_published(router: Router) -> None:
    router.port_shift = 100
    with running(Front(router)) as front:
        front.await_published("20.0.0.1", 30404, 30403)


def test_mappings_are_renewed_after_half_of_their_lifetime(front: Front) -> None:
    front.await_published("20.0.0.1", 30304, 30303)
    front.pass_time(LIFETIME_S / 2 - 1)
    assert len(front.router.granted) == 2
    front.pass_time(1)
    eventually(lambda: len(front.router.granted) == 4)
    assert front.published.changes == 1


def test_short_lease_is_renewed_in_time_and_no_more_often_than_the_pause(router: Router) -> None:
    router.lifetime_s = 20
    with running(Front(router)) as front:
        front.await_published("20.0.0.1", 30304, 30303)
        front.pass_time(10)
        eventually(lambda: len(router.granted) == 4)
        router.lifetime_s = 1
        front.pass_time(10)
        eventually(lambda: len(router.granted) == 6)
        front.pass_time(MIN_PAUSE_S - 0.1)
        assert len(router.granted) == 6


def test_mappings_are_renewed_after_a_sleep_of_the_machine(front: Front) -> None:
    front.await_published("20.0.0.1", 30304, 30303)
    front.pass_time(CHECK_S)
    assert len(front.router.granted) == 2
    front.router.mappings.clear()  # their time is over, but ours stood still
    front.clock.sleep(LIFETIME_S)
    front.pass_time(CHECK_S)
    eventually(lambda: len(front.router.mappings) == 2)
    front.clock.sleep(-2 * LIFETIME_S)  # a wall clock that is set
    for _ in range(2):
        front.pass_time(CHECK_S)
    assert len(front.router.granted) == 4


def test_port_that_changes_is_published(front: Front) -> None:
    front.await_published("20.0.0.1", 30304, 30303)
    front.router.mappings[("tcp", 30303)] = 40000
    front.pass_time(LIFETIME_S / 2)
    front.await_published("20.0.0.1", 30304, 40000)


def test_mappings_are_deleted_at_the_end(router: Router) -> None:
    with running(Front(router)) as front:
        front.await_published("20.0.0.1", 30304, 30303)
    assert router.mappings == {}
    assert sorted(router.deleted) == [("tcp", 30303), ("udp", 30304)]


def test_refused_mapping_is_asked_for_again(front: Front, caplog: pytest.LogCaptureFixture) -> None:
    front.await_published("20.0.0.1", 30304, 30303)
    front.router.result = 2
    for _ in range(2):
        front.pass_time(LIFETIME_S / 2)
    front.await_published("20.0.0.1", None, None)
    refused = [line for line in lines(caplog) if "does not map" in line]
    assert len(refused) == 2
    assert "tcp port 30303: NAT-PMP: not authorized" in refused[0]
    assert any("is not mapped any more" in line for line in lines(caplog))
    front.router.result = 0
    front.pass_time(RETRY_S)
    front.await_published("20.0.0.1", 30304, 30303)


def test_address_is_published_without_ports_if_none_is_mapped(router: Router) -> None:
    router.result = 2
    with running(Front(router)) as front:
        front.await_published("20.0.0.1", None, None)


# the status


def test_status_has_each_port_with_its_time_and_nothing_after_the_end(router: Router) -> None:
    router.port_shift = 100
    with running(Front(router)) as front:
        front.await_published("20.0.0.1", 30404, 30403)
        front.pass_time(10.0)
        status = front.mappings.status()
        assert status.router.startswith("NAT-PMP") and str(status.external_ip) == "20.0.0.1"
        assert status.error == ""
        left_s = LIFETIME_S - 10.0
        assert status.ports == (
            MappedPort("tcp", 30303, 30403, left_s),
            MappedPort("udp", 30304, 30404, left_s),
        )
    status = front.mappings.status()
    assert (status.router, status.external_ip) == ("", None)
    assert status.ports == (MappedPort("tcp", 30303), MappedPort("udp", 30304))


def test_status_has_the_error_of_a_port_until_it_is_mapped(router: Router) -> None:
    router.result = 2
    with running(Front(router)) as front:
        front.await_published("20.0.0.1", None, None)
        for port in front.mappings.status().ports:
            assert port.external_port is None and port.expires_in_s is None
            assert "does not map" in port.error and "not authorized" in port.error
        router.result = 0
        front.pass_time(RETRY_S)
        front.await_published("20.0.0.1", 30304, 30303)
        assert [port.error for port in front.mappings.status().ports] == ["", ""]


@pytest.mark.usefixtures("short_waits")
def test_status_has_the_error_of_a_search(router: Router) -> None:
    router.is_silent = True
    with running(Front(router)) as front:
        eventually(lambda: front.mappings.status().error)
        status = front.mappings.status()
        assert "no router answers (pmp)" in status.error and status.router == ""
        assert [port.error for port in status.ports] == ["", ""]
        front.await_end_of_search()
        router.is_silent = False
        front.pass_time(FIND_AGAIN_S)
        front.await_published("20.0.0.1", 30304, 30303)
        assert front.mappings.status().error == ""


# the external address


def test_changed_address_is_published_within_a_minute(front: Front) -> None:
    front.await_published("20.0.0.1", 30304, 30303)
    front.router.external_ip = "20.0.0.2"
    front.pass_time(CHECK_S)
    front.await_published("20.0.0.2", 30304, 30303)
    assert CHECK_S + 2 * REQUEST_S <= 61
    eventually(lambda: len(front.router.granted) == 4)  # the mappings may be lost


def test_changed_address_is_published_when_the_ports_are_mapped_again(front: Front) -> None:
    front.await_published("20.0.0.1", 30304, 30303)
    router = front.router
    router.external_ip = "20.0.0.2"
    router.mappings.clear()
    mapped: list[int] = []
    publish = front.published.publish

    def look(*endpoint: Any) -> None:
        mapped.append(len(router.mappings))
        publish(*endpoint)

    front.published.publish = look  # type: ignore[method-assign]
    front.pass_time(CHECK_S)
    front.await_published("20.0.0.2", 30304, 30303)
    assert mapped == [2]


def test_changed_address_of_a_router_with_pcp_is_published(router: Router) -> None:
    router.speaks = {"pcp"}
    with running(Front(router)) as front:
        front.await_published("20.0.0.1", 30304, 30303)
        router.external_ip = "20.0.0.2"
        front.pass_time(CHECK_S)
        front.await_published("20.0.0.2", 30304, 30303)


def test_address_of_the_other_version_takes_the_place_of_the_first(router: Router) -> None:
    router.speaks, router.external_ip = {"pcp"}, "2a01:4f8::7"
    with running(Front(router)) as front:
        front.await_published("2a01:4f8::7", 30304, 30303)
        router.external_ip = "20.0.0.1"
        front.pass_time(CHECK_S)
        front.await_published("20.0.0.1", 30304, 30303)
        assert front.published.changes == 3  # published, retracted, published


def test_restarted_router_is_asked_for_the_mappings_at_once(front: Front) -> None:
    front.await_published("20.0.0.1", 30304, 30303)
    front.router.restart()
    front.pass_time(CHECK_S)
    eventually(lambda: len(front.router.mappings) == 2)


def test_router_that_pretends_to_restart_with_each_answer_is_not_asked_in_a_loop(
    front: Front,
) -> None:
    front.await_published("20.0.0.1", 30304, 30303)
    router = front.router
    router.epoch_s = 2**31

    def script(request: bytes) -> None:
        router.epoch_s -= 1000

    router.script = script
    for _ in range(2):
        front.pass_time(CHECK_S)
    for _ in range(10):
        before = len(router.requests)
        front.pass_time(MIN_PAUSE_S)
        for _ in range(20):
            front.settle()
        # Two mappings and the address, each once for the pause and once for a restart.
        assert 1 <= len(router.requests) - before <= 6


@pytest.mark.parametrize("ip", ["192.168.9.9", "100.64.0.1", "127.0.0.1", "203.0.113.7"])
def test_address_behind_another_router_is_not_published(
    router: Router, caplog: pytest.LogCaptureFixture, ip: str
) -> None:
    router.external_ip = ip
    with running(Front(router)) as front:
        eventually(lambda: f"external address {ip} is not public" in "\n".join(lines(caplog)))
        assert front.published.now is None
        router.external_ip = "20.0.0.1"
        front.pass_time(CHECK_S)
        front.await_published("20.0.0.1", 30304, 30303)
        router.external_ip = ip
        front.pass_time(CHECK_S)
        eventually(lambda: front.published.now is None)


def test_address_of_a_network_of_the_user_is_published(router: Router) -> None:
    router.external_ip = "10.7.7.7"
    with running(Front(router)) as front:
        front.await_published("10.7.7.7", 30304, 30303)


def test_address_that_is_not_confirmed_any_more_is_retracted(front: Front) -> None:
    front.await_published("20.0.0.1", 30304, 30303)
    front.router.address_result = 3  # its ports are still mapped
    front.pass_time(LIFETIME_S - 1)
    assert front.published.now == ("20.0.0.1", 30304, 30303)
    for _ in range(3):
        front.pass_time(CHECK_S)
    eventually(lambda: front.published.now is None)
    front.router.address_result = 0
    front.pass_time(RETRY_S)
    front.await_published("20.0.0.1", 30304, 30303)


def test_router_without_an_address_is_asked_again(
    router: Router, caplog: pytest.LogCaptureFixture
) -> None:
    router.address_result = 3
    with running(Front(router)) as front:
        eventually(lambda: any("tells no external address" in line for line in lines(caplog)))
        router.address_result = 0
        front.pass_time(CHECK_S)
        front.await_published("20.0.0.1", 30304, 30303)


# the search


@pytest.mark.usefixtures("short_waits")
def test_router_that_is_not_there_is_told_once_and_looked_for_again(
    router: Router, caplog: pytest.LogCaptureFixture
) -> None:
    router.is_silent = True
    with running(Front(router)) as front:
        eventually(lambda: lines(caplog))
        assert "no router answers (pmp)" in lines(caplog)[0]
        asked = len(router.requests)
        front.pass_time(FIND_AGAIN_S)
        eventually(lambda: len(router.requests) > asked)
        front.await_end_of_search()
        assert len(lines(caplog)) == 1
        router.is_silent = False
        front.pass_time(FIND_AGAIN_S)
        front.await_published("20.0.0.1", 30304, 30303)


@pytest.mark.usefixtures("short_waits")
def test_router_that_falls_silent_is_looked_for_again(
    front: Front, caplog: pytest.LogCaptureFixture
) -> None:
    front.await_published("20.0.0.1", 30304, 30303)
    front.router.is_silent = True
    for _ in range(MAX_FAILURES):
        front.pass_time(CHECK_S)
    assert front.published.now == ("20.0.0.1", 30304, 30303)
    front.await_end_of_search()
    front.router.mappings.clear()  # it has restarted, which its times do not tell
    front.router.is_silent = False
    front.pass_time(RETRY_S)
    eventually(lambda: len(front.router.mappings) == 2)


class Silent:
    """A kind of router of which none answers before the interruption."""

    def __init__(self) -> None:
        self.begun, self.ended = threading.Event(), threading.Event()

    def find(self, deadline: Deadline, stop: Stop) -> Gateway | None:
        self.begun.set()
        try:
            stop.wait(None, PATIENCE_S)
        finally:
            self.ended.set()
        return None


def test_first_router_that_answers_is_used(router: Router) -> None:
    silent = Silent()
    at = [router.endpoint]
    with running(Front(router, upnp=silent.find, pmp=partial(portmap.find, at=at))) as front:
        front.await_published("20.0.0.1", 30304, 30303)
        assert not silent.ended.is_set()
    assert silent.ended.is_set()


@pytest.mark.parametrize("error", [NatError("no way"), OSError("no way")])
def test_search_that_fails_leaves_the_other(router: Router, error: Exception) -> None:
    def fail(deadline: Deadline, stop: Stop) -> Gateway | None:
        raise error

    at = [router.endpoint]
    with running(Front(router, upnp=fail, pmp=partial(portmap.find, at=at))) as front:
        front.await_published("20.0.0.1", 30304, 30303)


def test_search_that_breaks_is_an_error_and_leaves_the_other(
    router: Router, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(deadline: Deadline, stop: Stop) -> Gateway | None:
        raise ValueError("broken")

    at = [router.endpoint]
    with running(Front(router, upnp=fail, pmp=partial(portmap.find, at=at))) as front:
        front.await_published("20.0.0.1", 30304, 30303)
        eventually(lambda: "search for upnp failed" in lines(caplog, logging.ERROR))
        front.await_end_of_search()


def test_changes_are_told_five_times_a_minute_at_most(
    front: Front, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    front.await_published("20.0.0.1", 30304, 30303)
    router = front.router
    router.lifetime_s = 10
    caplog.clear()
    front.pass_time(LIFETIME_S / 2)
    for number in range(11):
        router.mappings.clear()
        router.port_shift = number
        front.pass_time(MIN_PAUSE_S)
    eventually(lambda: len(router.granted) > 20)
    assert 1 <= len(lines(caplog, logging.INFO)) <= LINES_PER_MINUTE


def test_warnings_about_a_router_that_changes_its_mind_are_limited(
    front: Front, caplog: pytest.LogCaptureFixture
) -> None:
    front.await_published("20.0.0.1", 30304, 30303)
    router = front.router
    router.lifetime_s = 10
    front.pass_time(LIFETIME_S / 2)
    for number in range(12):
        router.result = 2 * (number % 2)
        front.pass_time(MIN_PAUSE_S)
    eventually(lambda: len(router.requests) > 20)
    assert 1 <= len(lines(caplog)) <= LINES_PER_MINUTE


def test_reasons_of_a_failed_search_are_told(
    router: Router, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(deadline: Deadline, stop: Stop) -> Gateway | None:
        raise NatError("\x1b[2J" + 1000 * "x")

    with running(Front(router, upnp=fail, pmp=lambda deadline, stop: None)):
        eventually(lambda: lines(caplog))
    (line,) = lines(caplog)
    assert line.startswith("no router answers (pmp; upnp: \\x1b[2Jxxx")
    assert len(line) < 500


# start and stop


def test_start_does_not_wait_for_a_router(router: Router) -> None:
    silent = Silent()
    with running(Front(router, upnp=silent.find)):
        assert silent.begun.wait(PATIENCE_S)
        assert not silent.ended.is_set()


def test_stop_does_not_wait_for_a_silent_router(
    router: Router, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("p2p.nat.routersearch.FIND_S", 10 * PATIENCE_S)
    router.is_silent = True
    with running(Front(router)):
        eventually(lambda: router.requests)
    assert lines(caplog) == []


def test_stop_interrupts_a_request(router: Router, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2p.nat.front.REQUEST_S", 10 * PATIENCE_S)
    with running(Front(router)) as front:
        front.await_published("20.0.0.1", 30304, 30303)
        router.is_silent = True
        asked = router.count(0)
        front.clock.advance(CHECK_S)
        eventually(lambda: router.count(0) > asked)
        router.is_silent = False
    assert router.mappings == {}


def test_mapping_that_the_router_made_without_an_answer_is_deleted(
    router: Router, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("p2p.nat.front.REQUEST_S", 10 * PATIENCE_S)

    def script(request: bytes) -> Any:
        if len(request) != 12 or request[8:] == bytes(4):
            return None
        router._natpmp(request)
        return ()

    router.script = script
    with running(Front(router)):
        eventually(lambda: router.mappings)
    assert router.mappings == {}


def test_stop_waits_for_a_deletion_until_the_deadline_only(
    router: Router, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("p2p.nat.front.DELETE_S", 0.02)
    with running(Front(router)) as front:
        front.await_published("20.0.0.1", 30304, 30303)
        router.is_silent = True
    assert len(router.mappings) == 2
    assert DELETE_S <= 2


def test_stop_is_idempotent_and_possible_without_a_start(router: Router) -> None:
    front = Front(router)
    assert front.mappings.stop(0) == []
    front = Front(router)
    with running(front):
        pass
    assert front.mappings.stop(0) == []


def test_search_that_does_not_end_is_named(router: Router) -> None:
    begun, hold = threading.Event(), threading.Event()

    def hang(deadline: Deadline, stop: Stop) -> Gateway | None:
        begun.set()
        hold.wait(PATIENCE_S)
        return None

    front = Front(router, upnp=hang)
    front.mappings.start()
    assert begun.wait(PATIENCE_S)
    assert "p2p-nat-upnp" in front.mappings.stop(0.01)
    hold.set()
    assert front.mappings.stop(PATIENCE_S) == []


def test_second_stop_does_not_interrupt_the_deletions(router: Router) -> None:
    lost: list[bytes] = []
    deleting = threading.Event()

    def script(request: bytes) -> Any:
        if len(request) != 12 or request[8:] != bytes(4) or request in lost:
            return None
        lost.append(request)  # so that it must be repeated
        deleting.set()
        return ()

    router.script = script
    with running(Front(router)) as front:
        front.await_published("20.0.0.1", 30304, 30303)
        first = threading.Thread(target=front.mappings.stop, args=(PATIENCE_S,))
        first.start()
        assert deleting.wait(PATIENCE_S)
        front.mappings.stop(0)
        first.join()
    assert router.mappings == {}


class FailingLog(logging.Handler):
    """A log of the program that raises."""

    def emit(self, record: logging.LogRecord) -> None:
        raise ValueError("the disk is full")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_search_that_breaks_ends_even_if_the_log_fails(
    router: Router, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(deadline: Deadline, stop: Stop) -> Gateway | None:
        LOG.getChild("nat").addHandler(handler)
        raise ValueError("broken")

    handler = FailingLog(logging.ERROR)
    try:
        with running(Front(router, upnp=fail)) as front:
            front.await_end_of_search()
    finally:
        LOG.getChild("nat").removeHandler(handler)


def test_leases_shorter_than_the_pause_change_nothing_that_is_published(
    router: Router, caplog: pytest.LogCaptureFixture
) -> None:
    router.lifetime_s, router.port_shift = 1, 100
    with running(Front(router)) as front:
        front.await_published("20.0.0.1", 30404, 30403)
        for _ in range(3 * int(MIN_PAUSE_S)):
            front.pass_time(1)
        eventually(lambda: len(router.granted) >= 8)
        assert front.published.changes == 1
    assert lines(caplog) == []


def test_address_of_a_router_with_pcp_that_maps_one_port_only(
    router: Router, caplog: pytest.LogCaptureFixture
) -> None:
    def script(request: bytes) -> Any:
        if len(request) < 60 or request[36] != UDP:
            return None
        return [request[:1] + b"\x81\0\2" + bytes(20) + request[24:]]  # not authorized

    router.speaks, router.script = {"pcp"}, script
    with running(Front(router)) as front:
        front.await_published("20.0.0.1", None, 30303)
        router.external_ip = "20.0.0.2"
        front.pass_time(CHECK_S)
        front.await_published("20.0.0.2", None, 30303)
    assert not any("tells no external address" in line for line in lines(caplog))


@pytest.mark.parametrize("is_late", [True, False], ids=["after", "before"])
def test_ctrl_c_during_the_start_leaves_nothing_behind(
    router: Router,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    is_late: bool,
) -> None:
    front = Front(router)
    begin = front.mappings._loop.start

    def start() -> None:
        if is_late:
            begin()
            front.await_published("20.0.0.1", 30304, 30303)
        raise KeyboardInterrupt

    monkeypatch.setattr(front.mappings._loop, "start", start)
    with pytest.raises(KeyboardInterrupt):
        front.mappings.start()
    assert front.mappings.stop(PATIENCE_S) == []
    assert router.mappings == {}
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
    stop = front.mappings._stop
    assert stop is not None and stop._wakeup._writer is None, "it is open"
