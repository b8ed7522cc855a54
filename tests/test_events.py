"""Feeds tell every subscriber and wait for none."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from p2p.errors import ConfigError, LoopCrashed, ReadTimeout, ServerStopped
from p2p.events import Feed, PeerEvent

ID = bytes(range(32))


def in_thread(target: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=target)
    thread.start()
    return thread


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
    with pytest.raises(ConfigError, match="capacity"):
        Feed[int]().subscribe(capacity)


@pytest.mark.parametrize("timeout", [0, 0.001])
def test_get_raises_read_timeout_when_nothing_comes(timeout: float) -> None:
    with pytest.raises(ReadTimeout):
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


def test_peer_event_has_the_keys_of_go_ethereum() -> None:
    event = PeerEvent(
        type="msgrecv",
        peer=ID,
        error="e",
        protocol="foo",
        msg_code=1,
        msg_size=2,
        local="127.0.0.1:1",
        remote="[::1]:2",
    )
    assert event.to_json() == {
        "type": "msgrecv",
        "peer": "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
        "error": "e",
        "protocol": "foo",
        "msg_code": 1,
        "msg_size": 2,
        "local": "127.0.0.1:1",
        "remote": "[::1]:2",
    }


def test_peer_event_leaves_out_what_is_empty() -> None:
    assert PeerEvent(type="add", peer=ID).to_json() == {"type": "add", "peer": ID.hex()}


def test_peer_event_keeps_a_message_code_and_size_of_zero() -> None:
    event = PeerEvent(type="msgsend", peer=ID, protocol="foo", msg_code=0, msg_size=0).to_json()
    assert (event["msg_code"], event["msg_size"]) == (0, 0)
