"""The launcher: starts threads for others, remembers those that run, and nothing else."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue

import pytest

from p2p.worker import Launcher, join_threads
from tests.hostile.target import eventually
from tests.nodes import WAIT_S


@pytest.fixture
def launcher() -> Iterator[Launcher]:
    launcher = Launcher()
    launcher.start()
    yield launcher
    launcher.stop()
    assert launcher.join(time.monotonic() + WAIT_S) == []


@contextmanager
def no_more_threads() -> Iterator[None]:
    """No thread can be started: there is no memory for a stack of this size."""
    before = threading.stack_size(2**46)
    try:
        yield
    finally:
        threading.stack_size(before)


def unexpected(error: RuntimeError) -> None:
    raise error


def test_job_runs_in_a_daemon_thread_of_this_name(launcher: Launcher) -> None:
    threads: SimpleQueue[threading.Thread] = SimpleQueue()
    launcher.run("p2p-job", lambda: threads.put(threading.current_thread()), unexpected)
    thread = threads.get(timeout=WAIT_S)
    assert (thread.name, thread.daemon) == ("p2p-job", True)


def test_job_without_a_thread_is_reported_and_the_next_one_runs(launcher: Launcher) -> None:
    outcomes: SimpleQueue[object] = SimpleQueue()
    with no_more_threads():
        launcher.run("p2p-job", lambda: outcomes.put("ran"), outcomes.put)
        assert isinstance(outcomes.get(timeout=WAIT_S), RuntimeError)
    launcher.run("p2p-job", lambda: outcomes.put("ran"), outcomes.put)
    assert outcomes.get(timeout=WAIT_S) == "ran"


def test_join_names_what_goes_on_and_waits_for_it(launcher: Launcher) -> None:
    running, over = threading.Event(), threading.Event()

    def job() -> None:
        running.set()
        over.wait(WAIT_S)

    launcher.run("p2p-job", job, unexpected)
    assert running.wait(WAIT_S)
    launcher.stop()
    assert launcher.join(time.monotonic() + 0.05) == ["p2p-job"]
    over.set()
    assert launcher.join(time.monotonic() + WAIT_S) == []


def test_what_was_asked_for_before_the_stop_is_started_and_joined(launcher: Launcher) -> None:
    ran: list[int] = []
    for number in range(5):
        launcher.run(f"p2p-job-{number}", lambda number=number: ran.append(number), unexpected)  # type: ignore[misc]
    launcher.stop()
    assert launcher.join(time.monotonic() + WAIT_S) == []
    assert sorted(ran) == [0, 1, 2, 3, 4]


def test_job_knows_that_it_was_launched_and_is_not_joined_by_itself(launcher: Launcher) -> None:
    seen: SimpleQueue[object] = SimpleQueue()

    def job() -> None:
        seen.put(launcher.is_current())
        launcher.stop()
        seen.put(launcher.join(time.monotonic() + WAIT_S))

    assert not launcher.is_current()
    launcher.run("p2p-job", job, unexpected)
    assert [seen.get(timeout=WAIT_S), seen.get(timeout=WAIT_S)] == [True, []]


def test_job_that_has_ended_is_forgotten(launcher: Launcher) -> None:
    class Job:
        def __call__(self) -> None:
            ran.set()

    ran = threading.Event()
    job = Job()
    forgotten = weakref.ref(job)
    launcher.run("p2p-job", job, unexpected)
    del job
    assert ran.wait(WAIT_S)
    eventually(lambda: gc.collect() >= 0 and forgotten() is None)


def test_launcher_that_was_never_started_has_nothing_to_join() -> None:
    launcher = Launcher()
    launcher.stop()
    assert launcher.join(time.monotonic() + WAIT_S) == []


def test_thread_that_is_not_started_yet_is_not_joined() -> None:
    assert join_threads([threading.Thread(target=int)], time.monotonic() + WAIT_S) == []
