"""The launcher: starts threads for others, remembers those that run, and nothing else."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from queue import SimpleQueue

import pytest

from p2p import threads as worker
from p2p.clock import Deadline
from p2p.threads import IDLE_NAME, MAX_IDLE_THREADS, Launcher, join_threads
from tests.kit.waiting import PATIENCE_S, eventually

pytestmark = pytest.mark.slow


@pytest.fixture
def launcher() -> Iterator[Launcher]:
    launcher = Launcher()
    launcher.start()
    yield launcher
    launcher.stop()
    assert launcher.join(Deadline(PATIENCE_S)) == []


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


def thread_of_a_job(launcher: Launcher, name: str = "p2p-job") -> threading.Thread:
    """Have a job done, and return the thread that has done it, which is idle or has ended."""
    threads: SimpleQueue[threading.Thread] = SimpleQueue()
    launcher.run(name, lambda: threads.put(threading.current_thread()), unexpected)
    thread = threads.get(timeout=PATIENCE_S)
    eventually(lambda: is_idle(launcher, thread) or not thread.is_alive())
    return thread


def is_idle(launcher: Launcher, thread: threading.Thread) -> bool:
    """Whether it waits for a job. It has its name before it can be given one."""
    with launcher._lock:
        return thread in [worker.thread for worker in launcher._idle]


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Idle threads wait for longer than any test takes."""
    monkeypatch.setattr(worker, "IDLE_S", 10 * PATIENCE_S)


def test_job_runs_in_a_daemon_thread_of_this_name(launcher: Launcher) -> None:
    seen: SimpleQueue[tuple[str, bool]] = SimpleQueue()

    def job() -> None:
        thread = threading.current_thread()
        seen.put((thread.name, thread.daemon))

    launcher.run("p2p-job", job, unexpected)
    assert seen.get(timeout=PATIENCE_S) == ("p2p-job", True)


def test_job_without_a_thread_is_reported_and_the_next_one_runs(launcher: Launcher) -> None:
    outcomes: SimpleQueue[object] = SimpleQueue()
    with no_more_threads():
        launcher.run("p2p-job", lambda: outcomes.put("ran"), outcomes.put)
        assert isinstance(outcomes.get(timeout=PATIENCE_S), RuntimeError)
    launcher.run("p2p-job", lambda: outcomes.put("ran"), outcomes.put)
    assert outcomes.get(timeout=PATIENCE_S) == "ran"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_report_that_fails_does_not_keep_others_from_their_threads(launcher: Launcher) -> None:
    """It is the program's: its log may be on a disk that is full."""
    reported, ran = threading.Event(), threading.Event()

    def report(error: RuntimeError) -> None:
        reported.set()
        raise OSError("disk full")

    with no_more_threads():
        launcher.run("p2p-job", lambda: None, report)
        assert reported.wait(PATIENCE_S)
    launcher.run("p2p-job", ran.set, unexpected)
    assert ran.wait(PATIENCE_S)


def test_join_names_what_goes_on_and_waits_for_it(launcher: Launcher) -> None:
    running, over = threading.Event(), threading.Event()

    def job() -> None:
        running.set()
        over.wait(PATIENCE_S)

    launcher.run("p2p-job", job, unexpected)
    assert running.wait(PATIENCE_S)
    launcher.stop()
    launcher._thread.join(PATIENCE_S)  # it has nothing more to do
    assert launcher.join(Deadline(0.05)) == ["p2p-job"]
    over.set()
    assert launcher.join(Deadline(PATIENCE_S)) == []


def test_what_was_asked_for_before_the_stop_is_started_and_joined(launcher: Launcher) -> None:
    ran: list[int] = []
    for number in range(5):
        launcher.run(f"p2p-job-{number}", lambda number=number: ran.append(number), unexpected)  # type: ignore[misc]
    launcher.stop()
    assert launcher.join(Deadline(PATIENCE_S)) == []
    assert sorted(ran) == [0, 1, 2, 3, 4]


def test_job_knows_that_it_was_launched_and_is_not_joined_by_itself(launcher: Launcher) -> None:
    seen: SimpleQueue[object] = SimpleQueue()

    def job() -> None:
        seen.put(launcher.is_current())
        launcher.stop()
        seen.put(launcher.join(Deadline(PATIENCE_S)))

    assert not launcher.is_current()
    launcher.run("p2p-job", job, unexpected)
    assert [seen.get(timeout=PATIENCE_S), seen.get(timeout=PATIENCE_S)] == [True, []]


def test_job_that_has_ended_is_forgotten(launcher: Launcher) -> None:
    class Job:
        def __call__(self) -> None:
            ran.set()

    ran = threading.Event()
    job = Job()
    forgotten = weakref.ref(job)
    launcher.run("p2p-job", job, unexpected)
    del job
    assert ran.wait(PATIENCE_S)
    eventually(lambda: gc.collect() >= 0 and forgotten() is None)


def test_launcher_that_was_never_started_has_nothing_to_join() -> None:
    launcher = Launcher()
    launcher.stop()
    assert launcher.join(Deadline(PATIENCE_S)) == []


def test_thread_that_is_not_started_yet_is_not_joined() -> None:
    assert join_threads([threading.Thread(target=int)], Deadline(PATIENCE_S)) == []


# threads that wait for another job


_topic: ContextVar[str] = ContextVar("_topic", default="none")


@pytest.mark.usefixtures("patient")
def test_thread_whose_job_is_over_does_the_next_one_under_its_name(launcher: Launcher) -> None:
    first = thread_of_a_job(launcher)
    names: SimpleQueue[str] = SimpleQueue()
    launcher.run("p2p-other", lambda: names.put(threading.current_thread().name), unexpected)
    assert names.get(timeout=PATIENCE_S) == "p2p-other"
    eventually(lambda: is_idle(launcher, first))
    assert first.name == IDLE_NAME
    assert thread_of_a_job(launcher) is first


@pytest.mark.usefixtures("patient")
def test_stop_ends_the_threads_that_are_idle(launcher: Launcher) -> None:
    thread = thread_of_a_job(launcher)
    assert thread.is_alive()
    launcher.stop()
    assert launcher.join(Deadline(PATIENCE_S)) == []
    assert not thread.is_alive()


@pytest.mark.usefixtures("patient")
def test_thread_whose_job_ends_after_the_stop_ends_with_it(launcher: Launcher) -> None:
    running, over = threading.Event(), threading.Event()

    def job() -> None:
        running.set()
        over.wait(PATIENCE_S)

    launcher.run("p2p-job", job, unexpected)
    assert running.wait(PATIENCE_S)
    launcher.stop()
    over.set()
    assert launcher.join(Deadline(PATIENCE_S)) == []


def test_thread_that_is_idle_for_too_long_ends(
    launcher: Launcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "IDLE_S", 0.01)
    thread = thread_of_a_job(launcher)
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    assert thread_of_a_job(launcher) is not thread


@pytest.mark.usefixtures("patient")
def test_no_more_threads_are_idle_than_the_limit(launcher: Launcher) -> None:
    threads: SimpleQueue[threading.Thread] = SimpleQueue()
    over = threading.Event()

    def job() -> None:
        threads.put(threading.current_thread())
        over.wait(PATIENCE_S)

    for _ in range(MAX_IDLE_THREADS + 5):
        launcher.run("p2p-job", job, unexpected)
    all_threads = [threads.get(timeout=PATIENCE_S) for _ in range(MAX_IDLE_THREADS + 5)]
    over.set()
    eventually(lambda: sum(thread.is_alive() for thread in all_threads) == MAX_IDLE_THREADS)


@pytest.mark.usefixtures("patient")
def test_job_does_not_see_what_the_one_before_has_set_in_its_context(launcher: Launcher) -> None:
    topics: SimpleQueue[str] = SimpleQueue()

    def job() -> None:
        topics.put(_topic.get())
        _topic.set("of the job before")

    for _ in range(3):
        launcher.run("p2p-job", job, unexpected)
        assert topics.get(timeout=PATIENCE_S) == "none"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.usefixtures("patient")
def test_job_that_ends_its_thread_harms_no_other(launcher: Launcher) -> None:
    seen: SimpleQueue[threading.Thread] = SimpleQueue()

    def leave() -> None:
        seen.put(threading.current_thread())
        raise SystemExit

    launcher.run("p2p-job", leave, unexpected)
    thread = seen.get(timeout=PATIENCE_S)
    thread.join(PATIENCE_S)
    assert thread_of_a_job(launcher) is not thread


def test_no_job_is_lost_to_a_thread_that_has_just_waited_long_enough(
    launcher: Launcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Jobs come about as far apart as the threads wait, so that many meet one that gives up."""
    monkeypatch.setattr(worker, "IDLE_S", 0.0002)
    done: SimpleQueue[int] = SimpleQueue()
    for number in range(500):
        launcher.run("p2p-job", lambda number=number: done.put(number), unexpected)  # type: ignore[misc]
        assert done.get(timeout=PATIENCE_S) == number
        threading.Event().wait(0.0002)


def test_job_that_raises_is_forgotten_like_any_other(
    launcher: Launcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda failure: None)  # pytest's would keep it

    class Kept:
        pass

    def fail(kept: Kept) -> None:
        raise ValueError(kept)

    kept = Kept()
    gone = weakref.ref(kept)
    launcher.run("p2p-job", partial(fail, kept), unexpected)
    del kept
    eventually(lambda: gc.collect() >= 0 and gone() is None)
