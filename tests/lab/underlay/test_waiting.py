"""Threads of the library that wait are told from those that have work."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from p2p.clock import Deadline
from p2p.lab.underlay.waiting import busy_threads
from p2p.mailbox import Mailbox
from p2p.threads import Launcher
from tests.kit.waiting import PATIENCE_S, eventually

NAME = "p2p-test-waiting"


@pytest.fixture
def launcher() -> Iterator[Launcher]:
    launcher = Launcher()
    launcher.start()
    yield launcher
    launcher.stop()
    assert launcher.join(Deadline(PATIENCE_S)) == []


def run(launcher: Launcher, job: Callable[[], object]) -> None:
    launcher.run(NAME, lambda: job() and None, print)


def is_busy() -> bool:
    return NAME in busy_threads()


def test_reader_of_an_empty_mailbox_waits(launcher: Launcher) -> None:
    box, gate = Mailbox(), threading.Lock()
    gate.acquire()
    run(launcher, lambda: (box.get(), gate.acquire()))
    eventually(lambda: box._readers and not is_busy())
    box.offer([(0, b"x")])
    assert is_busy()  # whether it has run or not
    gate.release()
    eventually(lambda: not is_busy())


def test_waiter_of_an_event_waits(launcher: Launcher) -> None:
    event, gate = threading.Event(), threading.Lock()
    gate.acquire()
    run(launcher, lambda: (event.wait(), gate.acquire()))
    eventually(lambda: event._cond._waiters and not is_busy())  # type: ignore[attr-defined]
    event.set()
    assert is_busy()
    gate.release()
    eventually(lambda: not is_busy())


def test_thread_that_joins_another_one_waits(launcher: Launcher) -> None:
    event = threading.Event()
    other = threading.Thread(target=event.wait)
    other.start()
    run(launcher, other.join)
    eventually(lambda: any(thread.name == NAME for thread in threading.enumerate()))
    eventually(lambda: not is_busy())
    event.set()
    other.join()


def test_handler_that_waits_for_something_of_its_own_has_work(launcher: Launcher) -> None:
    gate = threading.Lock()
    gate.acquire()
    run(launcher, gate.acquire)
    eventually(is_busy)
    gate.release()
    eventually(lambda: not is_busy())


def test_thread_that_asks_and_loops_do_not_count(launcher: Launcher) -> None:
    seen: list[list[str]] = []
    done, gate = threading.Event(), threading.Lock()
    run(launcher, lambda: (seen.append(busy_threads()), done.set()))
    assert done.wait(PATIENCE_S)
    assert NAME not in seen[0]
    gate.acquire()
    thread = threading.Thread(target=gate.acquire, name="p2p-test-loop")
    thread.start()
    assert "p2p-test-loop" in busy_threads()
    assert "p2p-test-loop" not in busy_threads([thread.ident])
    gate.release()
    thread.join()
