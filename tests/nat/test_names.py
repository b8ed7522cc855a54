"""The addresses of a host name, whatever the resolver of the system does."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager

import pytest

from p2p.clock import Deadline
from p2p.nat.errors import Interrupted, NatError
from p2p.nat.gateway import Stop
from p2p.nat.names import addresses_of
from p2p.net import NameLookups
from p2p.netutil import ip_of
from tests.kit.waiting import PATIENCE_S, eventually


def patience() -> Deadline:
    return Deadline(PATIENCE_S)


@pytest.mark.parametrize("host", ["20.0.0.1", "2001:db8::7"])
def test_address_is_not_looked_up(host: str, stop: Stop) -> None:
    lookups = NameLookups()
    lookups.stop()
    assert addresses_of(host, patience(), stop, lookups) == [ip_of(host)]


def test_all_addresses_of_a_name_are_found(stop: Stop, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [ip_of("20.0.0.1"), ip_of("2001:db8::7")]
    monkeypatch.setattr("p2p.net.lookups.look_up", {"host": found}.__getitem__)
    assert addresses_of("host", patience(), stop, NameLookups()) == found


def test_resolver_of_the_system_is_asked(stop: Stop) -> None:
    assert ip_of("127.0.0.1") in addresses_of("localhost", patience(), stop, NameLookups())


def test_text_that_is_no_address_is_an_error(stop: Stop) -> None:
    with pytest.raises(NatError, match=r"127\.0\.0\.256"):
        addresses_of("127.0.0.256", patience(), stop, NameLookups())


def test_name_without_an_address_is_an_error(stop: Stop, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> object:
        raise OSError(1, f"cannot look up {name}")

    monkeypatch.setattr("p2p.net.lookups.look_up", fail)
    with pytest.raises(NatError, match="cannot look up host"):
        addresses_of("host", patience(), stop, NameLookups())


@contextmanager
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """A resolver that does not answer; the event tells that it was asked."""
    begun, hold = threading.Event(), threading.Event()

    def hang(name: str) -> object:
        begun.set()
        hold.wait(PATIENCE_S)
        return [ip_of("20.0.0.1")]

    monkeypatch.setattr("p2p.net.lookups.look_up", hang)
    yield begun
    hold.set()


def test_silent_resolver_is_an_error_at_the_deadline(
    stop: Stop, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hanging(monkeypatch), pytest.raises(NatError, match="cannot look up host: no answer"):
        addresses_of("host", Deadline(0.01), stop, NameLookups())


def test_wait_for_a_silent_resolver_can_be_interrupted(
    stop: Stop, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome: Future[object] = Future()

    def run() -> None:
        try:
            outcome.set_result(addresses_of("host", Deadline(None), stop, NameLookups()))
        except NatError as error:
            outcome.set_exception(error)

    with hanging(monkeypatch) as begun:
        thread = threading.Thread(target=run)
        thread.start()
        assert begun.wait(PATIENCE_S)
        stop.set()
        assert isinstance(outcome.exception(PATIENCE_S), Interrupted)
        thread.join()
    eventually(lambda: "p2p-names" not in [thread.name for thread in threading.enumerate()])


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc")
def test_silent_resolver_costs_no_descriptor_and_one_thread(
    stop: Stop, monkeypatch: pytest.MonkeyPatch
) -> None:
    lookups, before = NameLookups(), open_descriptors()
    with hanging(monkeypatch):
        for _ in range(10):
            with pytest.raises(NatError, match="no answer"):
                addresses_of("host", Deadline(0.0), stop, lookups)
        assert open_descriptors() == before
        assert [thread.name for thread in threading.enumerate()].count("p2p-names") == 1
    eventually(lambda: "p2p-names" not in [thread.name for thread in threading.enumerate()])
