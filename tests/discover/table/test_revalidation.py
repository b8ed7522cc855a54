"""Revalidation: who is pinged when, and who is dropped after how many failures."""

from __future__ import annotations

import random
from ipaddress import IPv4Address

import pytest

from p2p.crypto import PrivateKey
from p2p.discover.table.bucket import Entry
from p2p.discover.table.revalidation import FAST_INTERVAL_S, SLOW_INTERVAL_S, Revalidation
from p2p.discover.timers import NEVER
from p2p.enode.node import Node
from p2p.enode.nodeid import NodeID

NOW = 1000.0
ANY_KEY = PrivateKey.from_bytes(b"\x01" * 32).public_key


def entry_of(number: int) -> Entry:
    node_id, ip = NodeID(bytes([number]) * 32), IPv4Address("20.0.0.1")
    node = Node(node_id, ip, 30303, 30303, public_key=ANY_KEY)
    return Entry(node, number, added_to_table=NOW)


@pytest.fixture
def revalidation() -> Revalidation:
    return Revalidation(random.Random(1))


def test_with_no_node_there_is_nothing_to_do(revalidation: Revalidation) -> None:
    assert revalidation.deadline == NEVER
    assert revalidation.take_due(NOW) == []


def test_a_new_node_is_on_the_fast_list(revalidation: Revalidation) -> None:
    revalidation.add(entry_of(1), NOW)
    assert revalidation.sizes == (1, 0)
    assert NOW <= revalidation.deadline < NOW + FAST_INTERVAL_S


def test_a_node_that_answered_is_on_the_slow_list(revalidation: Revalidation) -> None:
    entry = entry_of(1)
    revalidation.add(entry, NOW)
    revalidation.passed(entry, NOW)
    assert revalidation.sizes == (0, 1)
    assert NOW <= revalidation.deadline < NOW + SLOW_INTERVAL_S
    assert (entry.checks, entry.live) == (1, True)


def test_a_node_that_failed_but_has_a_past_is_on_the_fast_list(revalidation: Revalidation) -> None:
    entry = entry_of(1)
    revalidation.add(entry, NOW)
    for _ in range(3):
        revalidation.passed(entry, NOW)
    assert not revalidation.failed(entry, NOW)
    assert revalidation.sizes == (1, 0)


def test_a_node_that_moved_is_on_the_fast_list_and_not_alive(revalidation: Revalidation) -> None:
    entry = entry_of(1)
    revalidation.add(entry, NOW)
    revalidation.passed(entry, NOW)
    revalidation.moved(entry, NOW)
    assert revalidation.sizes == (1, 0)
    assert not entry.live


@pytest.mark.parametrize(
    "answers, failures", [(0, 1), (1, 1), (2, 1), (3, 2), (8, 2), (9, 3), (26, 3), (27, 4)]
)
def test_a_node_is_dropped_when_failures_have_used_up_its_answers(
    revalidation: Revalidation, answers: int, failures: int
) -> None:
    entry = entry_of(1)
    revalidation.add(entry, NOW)
    for _ in range(answers):
        revalidation.passed(entry, NOW)
    dropped = [revalidation.failed(entry, NOW) for _ in range(failures)]
    assert dropped == [False] * (failures - 1) + [True]


def test_a_node_that_is_being_pinged_is_not_pinged_again(revalidation: Revalidation) -> None:
    entry = entry_of(1)
    revalidation.add(entry, NOW)
    assert revalidation.take_due(NOW + 10) == [entry]
    assert revalidation.take_due(NOW + 20) == []
    revalidation.passed(entry, NOW + 20)
    assert revalidation.take_due(NOW + 40) == [entry]


def test_one_node_of_each_list_is_due_at_a_time(revalidation: Revalidation) -> None:
    entries = [entry_of(number) for number in range(10)]
    for entry in entries:
        revalidation.add(entry, NOW)
    for entry in entries[:5]:
        revalidation.passed(entry, NOW)
    due = revalidation.take_due(NOW + 10)
    assert [entry in entries[5:] for entry in due] == [True, False]


def test_in_the_long_run_the_fast_list_is_pinged_three_times_as_often(
    revalidation: Revalidation,
) -> None:
    fast, slow = entry_of(1), entry_of(2)
    for entry in (fast, slow):
        revalidation.add(entry, NOW)
    revalidation.passed(slow, NOW)
    counts = {1: 0, 2: 0}
    end, now = NOW + 3000.0, NOW
    while now < end:
        now = revalidation.deadline
        for entry in revalidation.take_due(now):
            entry.being_checked = False
            counts[entry.number] += 1
    assert 1800 < counts[1] < 2200  # every 1.5 s
    assert 570 < counts[2] < 770  # every 4.5 s


def test_nodes_are_chosen_at_random(revalidation: Revalidation) -> None:
    for number in range(10):
        revalidation.add(entry_of(number), NOW)
    chosen = set()
    now = NOW
    for _ in range(100):
        now += FAST_INTERVAL_S
        (entry,) = revalidation.take_due(now)
        entry.being_checked = False
        chosen.add(entry.number)
    assert chosen == set(range(10))


def test_a_node_that_left_the_table_is_not_pinged(revalidation: Revalidation) -> None:
    entry = entry_of(1)
    revalidation.add(entry, NOW)
    revalidation.remove(entry)
    assert revalidation.deadline == NEVER
    revalidation.passed(entry, NOW)  # its last answer comes late
    assert revalidation.sizes == (0, 0)
