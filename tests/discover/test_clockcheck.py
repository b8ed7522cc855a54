from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator

import pytest

from p2p.clock import SimulatedClock
from p2p.discover.clockcheck import COOL_DOWN_S, ClockCheck, measure_drift
from p2p.discover.v4.udpv4 import UDPv4
from p2p.enode import generate_key
from p2p.net import NameLookups
from tests.discover.timeserver import Answer, TimeServer, answer_at
from tests.kit.names import Names
from tests.kit.nodes import closed_port
from tests.kit.waiting import PATIENCE_S, eventually

HOUR_S = 3600.0


class Log:
    """A logger of its own, whose lines a test can wait for."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self.more = threading.Semaphore(0)
        self.logger = logging.Logger("test", logging.DEBUG)
        handler = logging.Handler()
        handler.emit = self._emit  # type: ignore[method-assign]
        self.logger.addHandler(handler)

    def wait(self) -> tuple[str, str]:
        assert self.more.acquire(timeout=PATIENCE_S)
        return self.lines[-1]

    def _emit(self, record: logging.LogRecord) -> None:
        self.lines.append((record.levelname, record.getMessage()))
        self.more.release()


@pytest.fixture
def server() -> Iterator[TimeServer]:
    server = TimeServer()
    yield server
    server.close()


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock()


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def check(clock: SimulatedClock, server: TimeServer, log: Log) -> Iterator[ClockCheck]:
    check = ClockCheck(clock, log.logger, server.address)
    yield check
    check.stop()
    if check.thread is not None:
        check.thread.join(PATIENCE_S)
        assert not check.thread.is_alive()


# measure_drift


@pytest.mark.parametrize("ahead_s", [0.0, 0.25, 3600.5, -0.25, -86_400.0, 600_000_000.0])
def test_drift_is_how_far_we_are_ahead(
    server: TimeServer, clock: SimulatedClock, ahead_s: float
) -> None:
    server.answer = answer_at(clock.time_unix() - ahead_s)
    assert measure_drift(server.address, clock=clock) == pytest.approx(ahead_s, abs=1e-6)


def test_seconds_of_the_server_may_have_begun_anew_in_2036(server: TimeServer) -> None:
    in_2040 = 2_208_988_800.0
    server.answer = answer_at(in_2040)
    clock = SimulatedClock(start_unix=in_2040 + 30.0)
    assert measure_drift(server.address, clock=clock) == pytest.approx(30.0)


def test_half_of_the_time_an_answer_took_counts(server: TimeServer, clock: SimulatedClock) -> None:
    start_unix = clock.time_unix()

    def answer(request: bytes) -> list[bytes]:
        clock.advance(2.0)
        return answer_at(clock.time_unix() - 1.0)(request)

    server.answer = answer
    assert measure_drift(server.address, clock=clock) == pytest.approx(0.0)
    assert clock.time_unix() == start_unix + 10.0


def test_two_more_are_measured_and_the_extremes_left_out(
    server: TimeServer, clock: SimulatedClock
) -> None:
    times = iter([1.0, 1000.0, 2.0, -1000.0, 3.0])
    server.answer = lambda request: answer_at(clock.time_unix() - next(times))(request)
    assert measure_drift(server.address, 3, clock=clock) == pytest.approx(2.0)
    assert len(server.requests) == 5


def test_request_is_one_of_a_client_and_tells_nothing(server: TimeServer) -> None:
    server.answer = answer_at(0.0)
    measure_drift(server.address, 1)
    assert {(len(request), request[:40]) for request in server.requests} == {
        (48, b"\x1b" + bytes(39))
    }
    assert len({request[40:] for request in server.requests}) == 3


@pytest.mark.parametrize(
    "noise",
    [
        lambda request: answer_at(0.0)(bytes(48)),  # an answer to something else
        lambda request: [answer_at(0.0)(request)[0][:47]],  # cut short
        lambda request: [b""],
        answer_at(0.0, mode=3),  # a request
    ],
    ids=["other", "short", "empty", "request"],
)
def test_what_is_no_answer_is_passed_over(
    server: TimeServer, clock: SimulatedClock, noise: Answer
) -> None:
    right = answer_at(clock.time_unix())
    server.answer = lambda request: noise(request) + right(request)
    assert measure_drift(server.address, clock=clock) == pytest.approx(0.0)


def test_server_that_refuses_is_not_believed(server: TimeServer) -> None:
    server.answer = answer_at(0.0, stratum=0, code=b"RATE")
    with pytest.raises(ConnectionRefusedError, match="RATE"):
        measure_drift(server.address)


def test_silent_server_is_a_timeout(server: TimeServer) -> None:
    with pytest.raises(TimeoutError, match=r"127\.0\.0\.1"):
        measure_drift(server.address, timeout_s=0.01)


def test_dead_server_is_an_error(server: TimeServer) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        dead = sock.getsockname()
    with pytest.raises(OSError):
        measure_drift(dead, timeout_s=0.1)


# ClockCheck


def test_wrong_clock_is_a_warning_that_says_how_far_it_is_off(
    check: ClockCheck, server: TimeServer, clock: SimulatedClock, log: Log
) -> None:
    server.answer = answer_at(clock.time_unix() - HOUR_S)
    check.begin()
    level, text = log.wait()
    assert level == "WARNING"
    assert "1:00:00 (3600.0 s) ahead of that of 127.0.0.1" in text
    assert check.thread is not None and check.thread.name == "p2p-ntp"


def test_clock_that_is_behind_is_said_to_be(
    check: ClockCheck, server: TimeServer, clock: SimulatedClock, log: Log
) -> None:
    server.answer = answer_at(clock.time_unix() + 10.5)
    check.begin()
    level, text = log.wait()
    assert level == "WARNING"
    assert "(10.5 s) behind that of" in text and "others drop our packets" in text


def test_clock_that_is_hardly_wrong_is_no_warning(
    check: ClockCheck, server: TimeServer, clock: SimulatedClock, log: Log
) -> None:
    server.answer = answer_at(clock.time_unix() + 9.5)
    check.begin()
    assert log.wait()[0] == "DEBUG"


def test_next_check_waits_for_the_cool_down(
    check: ClockCheck, server: TimeServer, clock: SimulatedClock, log: Log
) -> None:
    server.answer = answer_at(clock.time_unix())
    check.begin()
    log.wait()
    first = check.thread
    assert first is not None
    first.join()
    clock.advance(COOL_DOWN_S - 1.0)
    check.begin()
    assert check.thread is first
    clock.advance(1.0)
    check.begin()
    log.wait()
    assert check.thread is not first


def test_failed_measurement_is_debug(clock: SimulatedClock, server: TimeServer, log: Log) -> None:
    check = ClockCheck(clock, log.logger, server.address, timeout_s=0.01)
    check.begin()
    level, text = log.wait()
    assert level == "DEBUG" and "no answer" in text


@pytest.mark.parametrize("host", ["x" * 100, ""])
def test_server_without_an_address_is_debug(clock: SimulatedClock, log: Log, host: str) -> None:
    check = ClockCheck(clock, log.logger, (host, 1), timeout_s=0.01)
    check.begin()
    assert log.wait()[0] == "DEBUG"


def test_without_a_server_nothing_is_checked(clock: SimulatedClock, log: Log) -> None:
    check = ClockCheck(clock, log.logger, None)
    check.begin()
    assert check.thread is None


def test_stop_ends_a_measurement_that_waits(
    clock: SimulatedClock, server: TimeServer, log: Log
) -> None:
    check = ClockCheck(clock, log.logger, server.address, timeout_s=2 * PATIENCE_S)
    check.begin()
    assert server.asked.acquire(timeout=PATIENCE_S)
    check.stop()
    assert check.thread is not None
    check.thread.join(PATIENCE_S)
    assert not check.thread.is_alive()


def test_no_check_begins_after_stop(check: ClockCheck) -> None:
    check.stop()
    check.begin()
    assert check.thread is None


# the name of the server

NAME = "time.example"


def test_address_that_does_not_answer_is_followed_by_the_next(
    server: TimeServer, clock: SimulatedClock, names: Names
) -> None:
    host, port = server.address
    names.records[NAME] = ["127.0.0.2", host]
    server.answer = answer_at(clock.time_unix() - 7.0)
    assert measure_drift((NAME, port), clock=clock, timeout_s=0.1) == pytest.approx(7.0)


def test_server_whose_addresses_are_all_dead_is_an_error(names: Names) -> None:
    names.records[NAME] = ["127.0.0.2", "127.0.0.3"]
    with pytest.raises(OSError):
        measure_drift((NAME, closed_port()), timeout_s=0.01)


def test_stop_of_the_look_ups_ends_a_check(
    clock: SimulatedClock, log: Log, names: Names
) -> None:
    names.records[NAME] = None
    lookups = NameLookups()
    check = ClockCheck(clock, log.logger, (NAME, 123), lookups=lookups)
    check.begin()
    eventually(lambda: names.asked)
    check.stop()
    lookups.stop()
    assert check.thread is not None
    check.thread.join(PATIENCE_S)
    assert not check.thread.is_alive()
    assert log.lines == []


def test_stop_of_discovery_does_not_wait_for_the_name_of_the_time_server(names: Names) -> None:
    names.records[NAME] = None
    discovery = UDPv4(generate_key(), "127.0.0.1:0", ntp_server=(NAME, 123))
    with discovery:
        discovery._service.call(discovery._service._clock_check.begin)
        eventually(lambda: names.asked)
    assert discovery.stop() == []
