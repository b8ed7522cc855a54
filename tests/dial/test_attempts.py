"""What became of the attempts to connect is kept, bounded, and without the frames of its errors."""

from __future__ import annotations

import weakref
from ipaddress import IPv4Address

import pytest

from p2p.dial.attempts import AttemptLog, DialAttempt
from p2p.errors import ConnectError, DialRefused, DialStep, DialTimeout, RecentlyDialed
from p2p.netutil import Endpoint

ADDRESS = Endpoint(IPv4Address("127.0.0.1"), 1)


def node_id(number: int) -> bytes:
    return number.to_bytes(32, "big")


def test_attempts_are_kept_oldest_first_and_bounded_by_node() -> None:
    log = AttemptLog(per_node=2)
    attempts = [DialAttempt(float(n), ADDRESS, DialStep.TCP) for n in range(3)]
    for attempt in attempts:
        log.add(node_id(1), attempt)
    assert log.of(node_id(1)) == attempts[1:]
    assert log.of(node_id(2)) == []


def test_attempts_of_the_node_not_dialed_for_longest_are_forgotten_first() -> None:
    log = AttemptLog(max_nodes=2)
    attempt = DialAttempt(0.0, ADDRESS, DialStep.TCP)
    for number in (1, 2, 1, 3):
        log.add(node_id(number), attempt)
    assert [len(log.of(node_id(number))) for number in (1, 2, 3)] == [2, 0, 1]


def test_list_of_attempts_is_a_copy() -> None:
    log = AttemptLog()
    log.add(node_id(1), DialAttempt(0.0, ADDRESS, DialStep.TCP))
    log.of(node_id(1)).clear()
    assert len(log.of(node_id(1))) == 1


def test_outcome_names_the_step_and_the_error() -> None:
    failed = DialAttempt(0.0, ADDRESS, DialStep.TCP, DialRefused("nothing listens"))
    assert failed.outcome == "tcp: DialRefused: nothing listens"
    assert DialAttempt(0.0, ADDRESS, DialStep.CONNECTED).outcome == "connected"


def raised(error: ConnectError) -> ConnectError:
    try:
        try:
            raise ConnectionRefusedError(111, "refused")
        except OSError as cause:
            raise error from cause
    except ConnectError as caught:
        return caught


@pytest.mark.parametrize(
    "error",
    [
        DialRefused("nothing listens"),
        RecentlyDialed("wait", 3.5),
        DialTimeout("late", DialStep.ACK),
    ],
)
def test_attempt_log_keeps_errors_whole_but_no_frames(error: ConnectError) -> None:
    log = AttemptLog()
    log.add(node_id(1), DialAttempt(0.0, ADDRESS, DialStep.TCP, raised(error)))
    kept = log.of(node_id(1))[0].error
    assert kept is not None
    assert (type(kept), str(kept), vars(kept)) == (type(error), str(error), vars(error))
    assert kept.__traceback__ is None
    assert kept.__cause__ is not None
    assert (type(kept.__cause__), kept.__cause__.__traceback__) == (ConnectionRefusedError, None)
    assert str(kept.__cause__) == "[Errno 111] refused"
    assert error.__traceback__ is not None


class OfTheProgram(OSError):
    """An error of a dialer, whose constructor is the program's own."""

    def __new__(cls, text: str, *, held: object) -> OfTheProgram:
        return super().__new__(cls, 111, text)

    def __init__(self, text: str, *, held: object) -> None:
        super().__init__(111, text, held)
        self.held = held


class Held:
    pass


@pytest.mark.parametrize("kind", [OfTheProgram, OSError])
def test_of_a_dialer_s_error_number_and_text_are_kept_and_no_code_of_it_runs(
    kind: type[OSError],
) -> None:
    log, held = AttemptLog(), Held()
    error = DialRefused("no")
    if kind is OfTheProgram:
        error.__cause__ = OfTheProgram("the proxy is down", held=held)
    else:
        error.__cause__ = OSError(111, "the proxy is down", held)
    log.add(node_id(1), DialAttempt(0.0, ADDRESS, DialStep.TCP, error))
    kept = log.of(node_id(1))[0].error
    assert kept is not None
    assert (type(kept.__cause__), str(kept.__cause__)) == (
        ConnectionRefusedError,
        "[Errno 111] the proxy is down",
    )
    gone = weakref.ref(held)
    del held, error
    assert gone() is None


def test_cause_that_is_no_error_of_ours_or_the_system_s_is_not_kept() -> None:
    log = AttemptLog()
    error = DialRefused("no")
    error.__cause__ = ValueError(Held())
    log.add(node_id(1), DialAttempt(0.0, ADDRESS, DialStep.TCP, error))
    kept = log.of(node_id(1))[0].error
    assert kept is not None and kept.__cause__ is None
