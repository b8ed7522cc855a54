"""Feeds tell every subscriber and wait for none."""

from __future__ import annotations

import pytest

from p2p.errors import ArgumentError, Closed, LoopCrashed, ServerStopped, Timeout
from p2p.feed import Feed, Subscription
from tests.kit.threadcalls import in_thread

ID = bytes(range(32))


def test_every_subscription_gets_every_item_in_order() -> None:
    feed: Feed[int] = Feed()
    first, second = feed.subscribe(), feed.subscribe()
    for number in range(3):
        feed.publish(number)
    assert [first.get(), first.get(), first.get()] == [0, 1, 2]
    assert [second.get(), second.get(), second.get()] == [0, 1, 2]


def test_what_was_published_before_subscribing_is_not_told() -> None:
    feed: Feed[int] = Feed()
    feed.publish(1)
    subscription = feed.subscribe()
    feed.publish(2)
    assert subscription.get() == 2


def test_full_subscription_loses_the_oldest_and_counts_it() -> None:
    feed: Feed[int] = Feed()
    subscription = feed.subscribe(capacity=2)
    for number in range(5):
        feed.publish(number)
    assert subscription.lost == 3
    assert [subscription.get(), subscription.get()] == [3, 4]


def test_full_subscription_costs_the_others_nothing() -> None:
    feed: Feed[int] = Feed()
    feed.subscribe(capacity=1)
    other = feed.subscribe(capacity=3)
    for number in range(3):
        feed.publish(number)
    assert other.lost == 0
    assert [other.get() for _ in range(3)] == [0, 1, 2]


@pytest.mark.parametrize("capacity", [0, -1, True, 1.5, None])
def test_capacity_must_be_a_positive_int(capacity: int) -> None:
    with pytest.raises(ArgumentError, match="capacity"):
        Feed[int]().subscribe(capacity)


@pytest.mark.parametrize("timeout", [0, 0.001])
def test_get_raises_read_timeout_when_nothing_comes(timeout: float) -> None:
    with pytest.raises(Timeout):
        Feed[int]().subscribe().get(timeout=timeout)


def test_get_with_timeout_zero_returns_what_is_there() -> None:
    feed: Feed[int] = Feed()
    subscription = feed.subscribe()
    feed.publish(7)
    assert subscription.get(timeout=0) == 7


def test_get_waits_for_an_item_of_another_thread() -> None:
    feed: Feed[int] = Feed()
    subscription = feed.subscribe()
    got: list[int] = []
    reader = in_thread(lambda: got.append(subscription.get(timeout=10)))
    feed.publish(1)
    reader.join(10)
    assert got == [1]


def test_items_of_many_threads_all_arrive() -> None:
    feed: Feed[int] = Feed()
    subscription = feed.subscribe(capacity=4000)

    def publish() -> None:
        for number in range(500):
            feed.publish(number)

    publishers = [in_thread(publish) for _ in range(8)]
    for publisher in publishers:
        publisher.join(10)
    feed.close()
    assert sorted(subscription) == sorted(list(range(500)) * 8)
    assert subscription.lost == 0


def test_closed_feed_is_read_to_its_end_and_then_stops() -> None:
    feed: Feed[int] = Feed()
    subscription = feed.subscribe()
    feed.publish(1)
    feed.close()
    assert subscription.get() == 1
    with pytest.raises(ServerStopped):
        subscription.get(timeout=0)


def test_iteration_ends_when_the_feed_is_closed() -> None:
    feed: Feed[int] = Feed()
    subscription = feed.subscribe()
    feed.publish(1)
    feed.publish(2)
    feed.close()
    assert list(subscription) == [1, 2]
    assert list(subscription) == []


def test_fault_that_closes_a_feed_is_the_cause_of_the_end() -> None:
    feed: Feed[int] = Feed()
    subscription = feed.subscribe()
    crash = LoopCrashed("boom")
    feed.close(crash)
    with pytest.raises(ServerStopped) as raised:
        subscription.get()
    assert raised.value.__cause__ is crash


def test_fault_that_closes_a_feed_is_not_hidden_from_iteration() -> None:
    feed: Feed[int] = Feed()
    subscription = feed.subscribe()
    feed.publish(1)
    feed.close(LoopCrashed("boom"))
    assert next(subscription) == 1
    with pytest.raises(ServerStopped):
        next(subscription)


def test_subscription_that_is_closed_is_no_stopped_server() -> None:
    subscription: Subscription[int] = Feed[int]().subscribe()
    subscription.close()
    with pytest.raises(Closed, match="the subscription is closed") as raised:
        subscription.get()
    assert type(raised.value) is Closed


def test_feed_that_ends_after_the_subscription_was_closed_changes_nothing() -> None:
    feed: Feed[int] = Feed()
    subscription = feed.subscribe()
    subscription.close()
    feed.close(LoopCrashed("boom"))
    assert list(subscription) == []


@pytest.mark.parametrize("closer", ["feed", "subscription"])
def test_close_wakes_readers_that_wait(closer: str) -> None:
    feed: Feed[int] = Feed()
    subscription = feed.subscribe()
    ended: list[list[int]] = []
    readers = [in_thread(lambda: ended.append(list(subscription))) for _ in range(3)]
    (feed if closer == "feed" else subscription).close()
    for reader in readers:
        reader.join(10)
    assert ended == [[], [], []]


def test_feed_closes_once_and_keeps_its_first_cause() -> None:
    feed: Feed[int] = Feed()
    feed.close()
    feed.close(LoopCrashed("boom"))
    assert list(feed.subscribe()) == []


def test_subscription_to_a_closed_feed_is_closed() -> None:
    feed: Feed[int] = Feed()
    feed.close()
    subscription = feed.subscribe()
    feed.publish(1)
    with pytest.raises(ServerStopped):
        subscription.get(timeout=0)


def test_closed_subscription_forgets_what_was_unread() -> None:
    feed: Feed[int] = Feed()
    with feed.subscribe() as subscription:
        feed.publish(1)
    feed.publish(2)
    assert list(subscription) == []
    subscription.close()
