"""A thread of the launcher serves a few peers, not all there ever are."""

from __future__ import annotations

import gc
import threading
import weakref
from collections import Counter
from queue import SimpleQueue

import pytest

from p2p import threads as worker
from p2p.clock import Deadline
from p2p.threads import Launcher
from tests.kit.waiting import PATIENCE_S, eventually
from tests.test_threads import is_idle

JOBS = 40


def test_thread_ends_after_some_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's allocator keeps for each thread what it has freed, until the thread ends."""
    monkeypatch.setattr(worker, "IDLE_S", 10 * PATIENCE_S)
    threads: SimpleQueue[threading.Thread] = SimpleQueue()
    done: Counter[threading.Thread] = Counter()
    launcher = Launcher()
    launcher.start()
    for _ in range(JOBS):
        launcher.run("job", lambda: threads.put(threading.current_thread()), _unexpected)
        thread = threads.get(timeout=PATIENCE_S)
        done[thread] += 1
        eventually(lambda one=thread: is_idle(launcher, one) or not one.is_alive())
    launcher.stop()
    assert launcher.join(Deadline(PATIENCE_S)) == []
    assert 2 <= max(done.values()) <= 8


def test_thread_that_has_ended_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """When another is started: of so many nobody can look at each."""
    monkeypatch.setattr(worker, "MAX_JOBS", 1)
    threads: SimpleQueue[threading.Thread] = SimpleQueue()
    launcher = Launcher()
    launcher.start()
    seen = []
    for _ in range(JOBS):
        launcher.run("job", lambda: threads.put(threading.current_thread()), _unexpected)
        thread = threads.get(timeout=PATIENCE_S)
        eventually(lambda one=thread: not one.is_alive())
        seen.append(weakref.ref(thread))
        del thread
    launcher.stop()
    assert launcher.join(Deadline(PATIENCE_S)) == []
    gc.collect()
    assert sum(one() is not None for one in seen) <= 1


def _unexpected(error: RuntimeError) -> None:
    raise error
