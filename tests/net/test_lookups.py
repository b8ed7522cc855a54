"""Look-ups on threads of their own: nobody waits for a resolver, and a stop gives it up."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from ipaddress import ip_address

import pytest

from p2p.errors import ServerStopped
from p2p.net import NameLookups
from p2p.net.lookups import MAX_NAMES, MAX_THREADS
from tests.kit.names import Names
from tests.kit.threadcalls import Call
from tests.kit.waiting import PATIENCE_S, eventually

NAME, SILENT = "a.example", "silent.example"
HOME = ip_address("127.0.0.9")


def running() -> int:
    return sum(thread.name == "p2p-names" for thread in threading.enumerate())


def test_addresses_come_on_another_thread_which_then_ends(names: Names) -> None:
    names.records[NAME] = ["127.0.0.9"]
    assert NameLookups().begin(NAME).result(PATIENCE_S) == [HOME]
    eventually(lambda: not running())


def test_failure_is_that_of_the_resolver(names: Names) -> None:
    names.records[NAME] = []
    error = NameLookups().begin(NAME).exception(PATIENCE_S)
    assert isinstance(error, OSError) and NAME in str(error.strerror)


def test_name_is_looked_up_once_for_all_who_want_it_at_a_time(names: Names) -> None:
    names.records[SILENT] = None
    lookups = NameLookups()
    futures = [lookups.begin(SILENT) for _ in range(5)]
    names.release()
    assert all(future.exception(PATIENCE_S) is not None for future in futures)
    assert names.asked == [SILENT]


def test_silent_names_hold_up_others_only_when_they_have_all_threads(names: Names) -> None:
    names.records |= {f"silent{number}": None for number in range(MAX_THREADS)}
    names.records[NAME] = ["127.0.0.9"]
    lookups = NameLookups()
    for number in range(MAX_THREADS - 1):
        lookups.begin(f"silent{number}")
    assert lookups.begin(NAME).result(PATIENCE_S) == [HOME]
    lookups.begin(f"silent{MAX_THREADS - 1}")
    eventually(lambda: len(names.asked) == MAX_THREADS + 1)
    late = lookups.begin(NAME)
    assert running() == MAX_THREADS
    names.release()
    assert late.result(PATIENCE_S) == [HOME]


def test_names_that_wait_are_limited(names: Names) -> None:
    names.records |= {f"silent{number}": None for number in range(MAX_NAMES)}
    lookups = NameLookups()
    for number in range(MAX_NAMES):
        assert not lookups.begin(f"silent{number}").done()
    error = lookups.begin(NAME).exception(0)
    assert isinstance(error, OSError) and "too many" in str(error)
    lookups.stop()


def test_stop_does_not_wait_and_ends_all_waits(names: Names) -> None:
    names.records[SILENT] = None
    lookups = NameLookups()
    future, wait = lookups.begin(SILENT), Call(lookups.wait, SILENT, PATIENCE_S)
    eventually(lambda: len(lookups._asked[SILENT]) == 2)
    lookups.stop()
    assert isinstance(future.exception(0), ServerStopped)
    assert isinstance(wait.outcome(), ServerStopped)
    assert running() == 1, "the look-up has not ended"
    names.release()
    eventually(lambda: not running())


def test_nothing_is_looked_up_after_the_stop(names: Names) -> None:
    names.records[NAME] = ["127.0.0.9"]
    lookups = NameLookups()
    lookups.stop()
    lookups.stop()
    assert isinstance(lookups.begin(NAME).exception(0), ServerStopped)
    assert names.asked == []


def test_wait_has_an_end(names: Names) -> None:
    names.records[SILENT] = None
    with pytest.raises(OSError, match="cannot look up silent.example: no answer within 0 s"):
        NameLookups().wait(SILENT, 0.0)


def test_without_threads_the_look_up_fails_and_the_next_one_may_succeed(
    names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    names.records[NAME] = ["127.0.0.9"]
    lookups = NameLookups()

    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        error = lookups.begin(NAME).exception(0)
    assert isinstance(error, RuntimeError)
    future: Future[object] = lookups.begin(NAME)
    assert future.result(PATIENCE_S) == [HOME]


def test_those_who_gave_up_are_not_kept_while_the_resolver_is_silent(names: Names) -> None:
    names.records[SILENT] = None
    lookups = NameLookups()
    for _ in range(20):
        with pytest.raises(OSError, match="no answer"):
            lookups.wait(SILENT, 0.0)
    assert len(lookups._asked[SILENT]) <= 1
    kept = lookups.begin(SILENT)
    assert lookups._asked[SILENT] == [kept]
    lookups.begin(SILENT).cancel()
    names.release()
    assert kept.exception(PATIENCE_S) is not None
    eventually(lambda: not running())
    assert lookups._threads == 0
    lookups.begin(NAME).cancel()
    lookups.stop()
