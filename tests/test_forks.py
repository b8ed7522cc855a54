"""The process of an object, and the descriptors that a child closes."""

from __future__ import annotations

import os
import threading

import pytest

import p2p
from p2p import forks
from p2p.net.wakeup import WakeUp
from tests.faults.forked import outcome_in_child

pytestmark = pytest.mark.slow


class Closable:
    """It counts how often it was closed."""

    closed = 0

    def close(self) -> None:
        self.closed += 1


def test_process_is_another_one_in_a_child() -> None:
    process = forks.here
    assert process.is_here
    assert outcome_in_child(lambda: (process.is_here, forks.here.is_here)) == "(False, True)"


def test_error_names_the_thing_the_process_and_what_to_do() -> None:
    process = forks.here
    error = outcome_in_child(lambda: process.check("server"))
    assert isinstance(error, p2p.errors.WrongProcess)
    text = f"this server belongs to process {os.getpid()}, of which this one is a fork; "
    assert str(error) == text + "make a new Server here"


def test_condition_of_another_process_is_not_waited_for() -> None:
    condition = forks.Condition("thing", "make another")

    def use() -> None:
        with condition:
            pass

    use()
    with condition:
        assert isinstance(outcome_in_child(use, among_locks=False), p2p.errors.WrongProcess)


def test_child_closes_what_it_was_told_of_and_the_parent_does_not() -> None:
    thing = Closable()
    forks.in_child(thing)
    assert outcome_in_child(lambda: thing.closed) == "1"
    assert thing.closed == 0


def test_child_closes_what_fails_and_the_rest_as_well() -> None:
    class Failing(Closable):
        def close(self) -> None:
            raise OSError("closed already")

    things = [Failing(), Closable(), Failing()]
    for thing in things:
        forks.in_child(thing)
    assert outcome_in_child(lambda: things[1].closed) == "1"


def test_child_of_a_child_closes_nothing_twice() -> None:
    thing = Closable()
    forks.in_child(thing)
    assert outcome_in_child(lambda: outcome_in_child(lambda: thing.closed)) == repr("1")


def test_what_is_gone_is_not_remembered() -> None:
    thing = Closable()
    forks.in_child(thing)
    before = len(forks._in_child)
    del thing
    assert len(forks._in_child) == before - 1


def test_wake_up_that_another_thread_was_sending_closes_in_a_child() -> None:
    wake_up = WakeUp()
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with wake_up._lock:
            held.set()
            release.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()

    def is_open() -> bool:
        try:
            os.fstat(wake_up.fd)
        except OSError:
            return False
        return True

    assert outcome_in_child(is_open, among_locks=False) == "False"
    release.set()
    holder.join()
    assert is_open()
    wake_up.close()
