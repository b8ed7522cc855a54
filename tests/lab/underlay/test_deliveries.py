"""What is under way arrives in the order of its time, and of its sending."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from p2p.lab import LabClock
from p2p.lab.underlay.deliveries import Deliveries


@pytest.fixture
def clock() -> LabClock:
    return LabClock()


@pytest.fixture
def deliveries(clock: LabClock) -> Iterator[Deliveries]:
    deliveries = Deliveries(clock)
    yield deliveries
    deliveries.close()


def test_what_is_due_arrives_at_once_and_without_a_thread(deliveries: Deliveries) -> None:
    seen: list[threading.Thread] = []
    deliveries.at(deliveries.now(), lambda: seen.append(threading.current_thread()))
    assert seen == [threading.current_thread()]
    assert "p2p-lab-net" not in [thread.name for thread in threading.enumerate()]


def test_arrivals_are_in_the_order_of_their_time_and_of_their_sending(
    deliveries: Deliveries, clock: LabClock
) -> None:
    seen: list[tuple[int, float]] = []
    start = clock.monotonic()
    for number, delay in enumerate((3, 1, 2, 1)):
        deliveries.at(start + delay, lambda number=number: seen.append((number, clock.monotonic())))
    clock.run_for(5)
    assert [number for number, _ in seen] == [1, 3, 2, 0]
    assert [when - start for _, when in seen] == pytest.approx([1, 1, 2, 3])


def test_arrival_may_send_again(deliveries: Deliveries, clock: LabClock) -> None:
    seen: list[float] = []

    def bounce(left: int) -> None:
        seen.append(clock.monotonic())
        if left:
            deliveries.at(clock.monotonic() + 1, bounce, left - 1)

    deliveries.at(clock.monotonic() + 1, bounce, 3)
    clock.run_for(10)
    assert seen == pytest.approx([1001, 1002, 1003, 1004])


def test_nothing_arrives_after_close(deliveries: Deliveries, clock: LabClock) -> None:
    seen: list[int] = []
    deliveries.at(clock.monotonic() + 1, seen.append, 1)
    clock.settle()
    deliveries.close()
    deliveries.at(clock.monotonic() + 2, seen.append, 2)
    clock.run_for(5)
    assert seen == []
    deliveries.close()
