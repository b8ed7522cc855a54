"""Requests under way: ids, ends, late and unasked replies, counts."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p.requests.pending import MAX_OVERDUE, CodeCounters, Pending

NEVER = math.inf


def begin(pending: Pending[str], owner: str = "", code: int = 1, now: float = 0.0,
          deadline: float = NEVER) -> int:  # fmt: skip
    request_id = pending.next_id()
    pending.begin(request_id, owner, code, now, deadline)
    return request_id


def test_ids_count_from_one() -> None:
    pending: Pending[str] = Pending()
    assert [begin(pending) for _ in range(3)] == [1, 2, 3]


def test_reply_ends_its_request_in_any_order() -> None:
    pending: Pending[str] = Pending()
    first, second = begin(pending, "first", now=1.0), begin(pending, "second", code=2, now=1.5)
    for request_id, owner, at in ((second, "second", 2.0), (first, "first", 4.0)):
        entry = pending.answer(request_id, at)
        assert entry is not None and entry.owner == owner
    counters = pending.counters()
    assert (counters.started, counters.answered, counters.pending) == (2, 2, 0)
    assert counters.by_code[1].mean_round_trip_s == counters.by_code[1].max_round_trip_s == 3.0
    assert counters.by_code[2].mean_round_trip_s == 0.5


def test_round_trips_are_averaged() -> None:
    pending: Pending[str] = Pending()
    for took in (1.0, 3.0):
        pending.answer(begin(pending), took)
    counters = pending.counters().by_code[1]
    assert (counters.mean_round_trip_s, counters.max_round_trip_s) == (2.0, 3.0)


def test_only_requests_whose_deadline_has_passed_expire() -> None:
    pending: Pending[str] = Pending()
    begin(pending, "late", deadline=2.0)
    begin(pending, "early", deadline=1.0)
    begin(pending, "never")
    assert pending.expire(0.9) == []
    assert [entry.owner for entry in pending.expire(2.0)] == ["early", "late"]
    assert pending.expire(1e9) == []
    assert pending.counters().by_code == {1: CodeCounters(started=3, timed_out=2)}


def test_answered_request_does_not_expire() -> None:
    pending: Pending[str] = Pending()
    pending.answer(begin(pending, deadline=1.0), 0.5)
    assert pending.expire(2.0) == []


@pytest.mark.parametrize("how", ["timed out", "cancelled"])
def test_reply_to_an_ended_request_is_late_once_then_unasked(how: str) -> None:
    pending: Pending[str] = Pending()
    request_id = begin(pending, deadline=1.0)
    if how == "cancelled":
        assert pending.cancel(request_id)
    else:
        pending.expire(1.0)
    for late, unasked in ((1, 0), (1, 1)):
        assert pending.answer(request_id, 2.0) is None
        counters = pending.counters()
        assert (counters.late, counters.unasked) == (late, unasked)


def test_reply_without_a_request_and_second_reply_are_unasked() -> None:
    pending: Pending[str] = Pending()
    request_id = begin(pending)
    assert pending.answer(request_id, 1.0) is not None
    assert pending.answer(request_id, 1.0) is None
    assert pending.answer(77, 1.0) is None
    assert (pending.counters().late, pending.counters().unasked) == (0, 2)


def test_cancel_is_once() -> None:
    pending: Pending[str] = Pending()
    request_id = begin(pending)
    assert pending.cancel(request_id)
    assert not pending.cancel(request_id)
    assert pending.counters().cancelled == 1


def test_request_that_was_not_sent_does_not_count() -> None:
    pending: Pending[str] = Pending()
    request_id = begin(pending, deadline=1.0)
    pending.withdraw(request_id)
    pending.withdraw(request_id)
    assert pending.expire(2.0) == []
    assert pending.counters().started == 0


def test_end_of_the_connection_loses_what_is_under_way() -> None:
    pending: Pending[str] = Pending()
    pending.answer(begin(pending), 1.0)
    begin(pending, "waiting", deadline=1.0)
    assert [entry.owner for entry in pending.end()] == ["waiting"]
    assert pending.expire(2.0) == []
    assert (pending.counters().lost, pending.counters().pending) == (1, 0)


def test_memory_of_ended_requests_is_bounded() -> None:
    pending: Pending[str] = Pending()
    ids = [begin(pending, deadline=1.0) for _ in range(MAX_OVERDUE + 1)]
    pending.expire(1.0)
    assert pending.answer(ids[0], 2.0) is None  # the one too many, which has gone
    assert pending.answer(ids[1], 2.0) is None
    assert (pending.counters().late, pending.counters().unasked) == (1, 1)


def test_deadlines_of_answered_requests_do_not_pile_up() -> None:
    pending: Pending[str] = Pending()
    for _ in range(1000):
        pending.answer(begin(pending, deadline=1e6), 0.0)
    assert len(pending._deadlines) < 20


@given(st.lists(st.tuples(st.sampled_from("bacxe"), st.integers(1, 6))))
def test_each_request_ends_once(steps: list[tuple[str, int]]) -> None:
    pending: Pending[str] = Pending()
    now = 0.0
    for step, number in steps:
        if step == "b":
            begin(pending, code=number, now=now, deadline=now + number)
        elif step == "a":
            pending.answer(number, now)
        elif step == "c":
            pending.cancel(number)
        elif step == "x":
            now += number
            pending.expire(now)
        else:
            pending.end()
        counters = pending.counters()
        assert counters.pending == len(pending.entries)
        ended = counters.answered + counters.timed_out + counters.cancelled + counters.lost
        assert counters.started == ended + counters.pending
