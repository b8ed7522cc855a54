"""Errors as values: copies and pickles are whole, so that they cross to other processes."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from p2p import errors
from p2p.errors import (
    ConnectionLost,
    DecodeError,
    DialStep,
    Disconnect,
    DiscReason,
    HandshakeFailed,
    LoopCrashed,
    P2PError,
    PeerDisconnected,
    Timeout,
)
from p2p.rlpx import Cap
from tests.kit.copying import WAYS

ROOT = Path(__file__).resolve().parent.parent

CLASSES = [
    kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, P2PError)
]

#: A value for each argument that a constructor of ours takes.
ARGUMENTS: dict[str, Any] = {
    "failures": (),  # errors in it would be copied, and no error is equal to its copy
    "message": "the text",
    "reason": 0x42,
    "by_remote": True,
    "step": DialStep.ACK,
    "retry_in_s": 3.5,
    "ours": [Cap("eth", 68)],
    "theirs": [Cap("les", 1), Cap("eth", 67)],
}



def tree() -> dict[str, set[str]]:
    """The bases of each class, as the docstring of the module draws and tells them."""
    bases: dict[str, set[str]] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"    ((?:[│ ]   )*(?:[├└]── )?)([A-Z]\w+)", line)
        if found and (found[1] or found[2] == "P2PError"):
            path = [*path[: len(found[1]) // 4], found[2]]
            also = re.findall(r"also an? (\w+)", line)
            bases[path[-1]] = {*path[-2:-1], *also}
    return bases


def test_docstring_draws_the_tree() -> None:
    drawn = tree()
    assert drawn.pop("P2PError") == set()
    made = {kind.__name__: {base.__name__ for base in kind.__bases__} for kind in CLASSES}
    assert made.pop("P2PError") == {"Exception"}
    assert drawn == made


def test_module_exports_its_errors_and_what_they_carry() -> None:
    carried = {"DialStep", "DiscReason"}
    assert set(errors.__all__) == {kind.__name__ for kind in CLASSES} | carried
    assert len(errors.__all__) == len(set(errors.__all__))


# ``except p2p.Timeout``, and the same with Python's own names


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_error_is_what_python_calls_it(kind: type[P2PError]) -> None:
    assert issubclass(kind, TimeoutError) == issubclass(kind, errors.Timeout)
    if issubclass(kind, (TypeError, ValueError)):
        assert issubclass(kind, (errors.ArgumentError, DecodeError))
    if issubclass(kind, errors.ArgumentError):
        assert issubclass(kind, ValueError)
    assert issubclass(kind, TypeError) == issubclass(kind, errors.ArgumentTypeError)


def test_times_that_run_out() -> None:
    found = {kind.__name__ for kind in CLASSES if issubclass(kind, errors.Timeout)}
    assert found == {"Timeout", "NoResponse", "RemoteTimeout", "DialTimeout"}
    assert not issubclass(errors.NoResponse, errors.RemoteProtocolError)


each_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
each_class = pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)


def made(kind: type[P2PError]) -> P2PError:
    """An error of this class, with each argument given and an attribute of the program's own."""
    if inspect.isfunction(kind.__init__):
        names = list(inspect.signature(kind).parameters)
        error = kind(**{name: ARGUMENTS[name] for name in names})
    else:
        error = kind("the text")
    error.note = ["of the program"]  # type: ignore[attr-defined]
    return error


def facts(error: BaseException) -> tuple[object, ...]:
    """What makes two errors equal."""
    return type(error), str(error), error.args, vars(error)


@each_way
@each_class
def test_error_is_copied_whole(kind: type[P2PError], way: Callable[[Any], Any]) -> None:
    error = made(kind)
    again = way(error)
    assert again is not error
    assert facts(again) == facts(error)
    assert again.disc_reason == error.disc_reason


@each_way
def test_error_of_the_system_keeps_its_number(way: Callable[[Any], Any]) -> None:
    again = way(Timeout(110, "late"))
    assert (again.errno, str(again)) == (110, "[Errno 110] late")


class OfTheProgram(Disconnect):
    """An error of a program, with a constructor of its own."""

    def __init__(self, height: int) -> None:
        super().__init__(DiscReason.USELESS_PEER, f"chain ends at {height}")
        self.height = height


@each_way
def test_error_of_the_program_is_copied_whole(way: Callable[[Any], Any]) -> None:
    error = OfTheProgram(7)
    assert facts(way(error)) == facts(error)


@each_way
@pytest.mark.parametrize(
    "cause",
    [
        DecodeError("leading zero"),
        ConnectionResetError(104, "Connection reset by peer"),
        KeyError("no such block"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
    ],
    ids=lambda cause: type(cause).__name__,
)
def test_cause_is_copied_too(cause: BaseException, way: Callable[[Any], Any]) -> None:
    error = PeerDisconnected(DiscReason.PROTOCOL_ERROR, False)
    error.__cause__ = cause
    again = way(error)
    assert facts(again.__cause__) == facts(cause)


@each_way
def test_causes_of_causes_are_copied(way: Callable[[Any], Any]) -> None:
    error, inner = HandshakeFailed("no ack"), ConnectionLost("closed")
    inner.__cause__ = BrokenPipeError(32, "Broken pipe")
    error.__cause__ = inner
    assert facts(way(error).__cause__.__cause__) == facts(inner.__cause__)


class Unportable(OSError):
    """An error of a program that no other process can make."""

    def __init__(self, code: int, text: str, held: object) -> None:
        super().__init__(code, text)
        self.held = held


@each_way
def test_cause_that_holds_anything_does_not_break_the_copy(way: Callable[[Any], Any]) -> None:
    error = LoopCrashed("the I/O thread died")
    error.__cause__ = RuntimeError("a lock", threading.Lock())
    assert way(error).__cause__ is None
    error.__cause__ = Unportable(111, "no", threading.Lock())
    assert facts(way(error).__cause__) == facts(ConnectionRefusedError(111, "no"))


@each_way
@pytest.mark.parametrize("kind", [DiscReason, DialStep])
def test_members_of_enums_stay_themselves(kind: Any, way: Callable[[Any], Any]) -> None:
    assert all(way(member) is member for member in kind)


@each_way
def test_reason_without_a_name_is_kept(way: Callable[[Any], Any]) -> None:
    assert (way(DiscReason(0x42)), way(DiscReason(0x42)).name) == (0x42, "UNKNOWN_66")


#: A program whose workers, in other processes, raise an error each.
PROGRAM = """
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import p2p

FAILURES = [
    p2p.PeerDisconnected(p2p.DiscReason.TOO_MANY_PEERS, True),
    p2p.Disconnect(3),
    p2p.errors.PacketError("expired", "packet expired"),
    p2p.errors.NoSharedCapability("none", [p2p.Cap("eth", 68)], [p2p.Cap("les", 1)]),
    p2p.errors.RefusedByPeer(4, p2p.errors.DialStep.HELLO),
    p2p.errors.Throttled("wait", 3.5),
    p2p.errors.DialTimeout("late", p2p.errors.DialStep.ACK),
]


def fail(number):
    raise FAILURES[number]


def check(came, number):
    raised = FAILURES[number]
    assert (type(came), str(came), vars(came)) == (type(raised), str(raised), vars(raised)), came


if __name__ == "__main__":
    spawn = multiprocessing.get_context("spawn")
    numbers = range(len(FAILURES))
    with ProcessPoolExecutor(1, mp_context=spawn) as executor:
        for number, future in [(number, executor.submit(fail, number)) for number in numbers]:
            check(future.exception(timeout=30), number)
    with spawn.Pool(1) as pool:
        for number, result in [(number, pool.apply_async(fail, (number,))) for number in numbers]:
            try:
                result.get(timeout=30)
            except p2p.P2PError as error:
                check(error, number)
    print("all came back")
"""


@pytest.mark.slow
def test_errors_come_back_from_pools_of_processes(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    run = subprocess.run(
        [sys.executable, program],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert (run.stdout, run.stderr) == ("all came back\n", "")
