"""History of dials: the pause of a node, its throttle, and the bound."""

from __future__ import annotations

import random
from ipaddress import ip_address

from p2p.dial.history import MAX_HISTORY, REDIAL_JITTER, REMOTE_WINDOW_S, DialHistory
from p2p.netutil import LAN

T0 = 1000.0
PAUSE_S = 60.0
LONGEST_S = PAUSE_S * (1 + REDIAL_JITTER)
ONE, OTHER = bytes(31) + b"\1", bytes(31) + b"\2"
FAR, NEAR = ip_address("203.0.113.7"), ip_address("192.168.0.7")


def new_history() -> DialHistory:
    return DialHistory(PAUSE_S, LAN, random.Random(1))


def test_without_dials_all_nodes_are_free() -> None:
    history = new_history()
    assert history.check(ONE, T0) is None
    assert history.next_free_at is None
    assert history.expire(T0) == []


def test_node_is_paused_for_the_pause_and_a_random_part() -> None:
    history = new_history()
    history.dial_begun(ONE, T0)
    error = history.check(ONE, T0)
    assert error is not None and PAUSE_S < error.retry_in_s <= LONGEST_S
    assert history.next_free_at == T0 + error.retry_in_s
    assert history.check(OTHER, T0) is None
    assert history.expire(T0 + PAUSE_S) == []
    assert history.expire(T0 + LONGEST_S) == [ONE]
    assert history.check(ONE, T0 + LONGEST_S) is None


def test_only_a_dial_that_has_opened_a_connection_is_throttled() -> None:
    history = new_history()
    history.dial_begun(ONE, T0)
    assert history.check_throttle(ONE, FAR, T0) is None
    history.connection_opened(ONE, FAR, T0)
    error = history.check_throttle(ONE, FAR, T0 + 1)
    assert error is not None and error.retry_in_s == REMOTE_WINDOW_S - 1
    assert history.check_throttle(ONE, FAR, T0 + REMOTE_WINDOW_S) is None


def test_later_dial_that_opens_none_keeps_the_throttle() -> None:
    history = new_history()
    history.connection_opened(ONE, FAR, T0)
    history.dial_begun(ONE, T0 + 1)
    history.connection_opened(ONE, NEAR, T0 + 2)
    error = history.check_throttle(ONE, FAR, T0 + 2)
    assert error is not None and error.retry_in_s == REMOTE_WINDOW_S - 2


def test_own_networks_have_no_throttle() -> None:
    history = new_history()
    history.connection_opened(ONE, NEAR, T0)
    assert history.check_throttle(ONE, NEAR, T0) is None
    assert history.check_throttle(ONE, FAR, T0) is None


def test_full_history_frees_the_oldest() -> None:
    history = new_history()
    for number in range(MAX_HISTORY):
        assert history.dial_begun(number.to_bytes(32, "big"), T0) == []
    assert history.dial_begun(MAX_HISTORY.to_bytes(32, "big"), T0) == [bytes(32)]
