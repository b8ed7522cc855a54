"""Time limits that callers give: no number is refused, and one limit is for all there is."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

import p2p
from p2p.feed import Feed
from tests.faults.parts import stranger
from tests.kit.ids import steady
from tests.kit.threadcalls import in_thread
from tests.kit.waiting import PATIENCE_S, eventually

NO_NUMBERS = [math.nan, "1", b"1", 1j, object()]


@pytest.mark.parametrize("timeout", NO_NUMBERS, ids=steady)
def test_events_are_not_waited_for_without_a_number_of_seconds(timeout: Any) -> None:
    feed: Feed[int] = Feed()
    with feed.subscribe() as events:
        with pytest.raises(p2p.errors.ArgumentError, match="timeout: wanted a number of seconds"):
            events.get(timeout)
        feed.publish(1)
        with pytest.raises(p2p.errors.ArgumentError):  # even with nothing to wait for
            events.get(timeout)
        assert events.get(0) == 1


@pytest.mark.parametrize(
    "timeout", [math.inf, 1e300, 10**400, threading.TIMEOUT_MAX * 2],
    ids=["infinite", "huge", "huge int", "more than a thread can"],
)
def test_events_may_be_waited_for_as_long_as_can_be(timeout: float) -> None:
    feed: Feed[int] = Feed()
    with feed.subscribe() as events:
        got: list[int] = []
        reader = in_thread(lambda: got.append(events.get(timeout)))
        eventually(lambda: bool(events._changed._waiters))  # type: ignore[attr-defined]
        feed.publish(7)
        reader.join(PATIENCE_S)
        assert got == [7]


@pytest.mark.parametrize("timeout", [-math.inf, -1, 0, -0.5])
def test_negative_time_for_an_event_is_no_time(timeout: float) -> None:
    with Feed[int]().subscribe() as events, pytest.raises(p2p.Timeout):
        events.get(timeout)


class Stuck:
    """A source of nodes that nothing wakes but :meth:`release`."""

    def __init__(self) -> None:
        self.reading = threading.Event()
        self._over = threading.Event()

    def __iter__(self) -> Iterator[p2p.Node]:
        return self

    def __next__(self) -> p2p.Node:
        self.reading.set()
        self._over.wait(PATIENCE_S)
        raise StopIteration

    def release(self) -> None:
        self._over.set()


def test_mix_waits_for_all_its_stuck_sources_together_no_longer_than_it_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    mix = p2p.enode.FairMix(None)
    sources = [Stuck() for _ in range(8)]
    for source in sources:
        mix.add_source(source)
    for source in sources:
        assert source.reading.wait(PATIENCE_S)
    start = time.monotonic()
    mix.close(0.5)
    assert 0.5 <= time.monotonic() - start < len(sources) * 0.5  # each for itself would take that
    assert all(f"p2p-source-{number} still waits" in caplog.text for number in range(1, 9))
    for source in sources:
        source.release()


@pytest.mark.parametrize("timeout", [*NO_NUMBERS, math.inf, None], ids=steady)
def test_mix_is_not_closed_within_what_is_no_time(timeout: Any) -> None:
    mix = p2p.enode.FairMix(None)
    with pytest.raises(p2p.errors.ArgumentError, match="timeout"):
        mix.close(timeout)
    mix.close()
    assert list(mix) == []


def test_stop_gives_stuck_sources_the_time_there_is_and_no_more() -> None:
    """Sources of a program's own, of which none can be woken."""
    sources = [Stuck() for _ in range(8)]
    protocols = [
        p2p.Protocol(f"test{number}", 1, 1, lambda peer, rw: None, dial_candidates=source)
        for number, source in enumerate(sources)
    ]
    server = p2p.Server(
        private_key=p2p.generate_key(), name="n", max_peers=5, no_discovery=True,
        protocols=protocols,
    )  # fmt: skip
    with server:
        for source in sources:
            assert source.reading.wait(PATIENCE_S)
        start = time.monotonic()
        left = server.stop(timeout=0.5)
        assert time.monotonic() - start < len(sources) * 0.5  # each for itself would take that
        assert {f"p2p-source-{number}" for number in range(1, 9)} <= set(left)
        for source in sources:
            source.release()


@pytest.mark.parametrize("timeout", NO_NUMBERS, ids=steady)
def test_discovery_is_not_asked_without_a_number_of_seconds(timeout: Any) -> None:
    server = p2p.Server(
        private_key=p2p.generate_key(), name="n", max_peers=5, listen_addr="127.0.0.1:0"
    )
    with server:
        discovery = server.discovery_v4
        assert discovery is not None
        node = stranger()
        for ask in (discovery.ping, discovery.resolve, discovery.request_enr):
            with pytest.raises(p2p.errors.ArgumentError, match="timeout"):
                ask(node, timeout)
        with pytest.raises(p2p.errors.ArgumentError, match="timeout"):
            discovery.lookup(bytes(64), timeout)
        with pytest.raises(p2p.errors.ArgumentError, match="timeout"):
            discovery.stop(timeout)
