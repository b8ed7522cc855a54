"""Limits on dials: when discovery is asked again for a node, and no network gets all dials."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from p2p.dial.limits import (
    INITIAL_RESOLVE_DELAY_S,
    MAX_DIALS,
    MAX_RESOLVE_DELAY_S,
    NETWORK_LIMIT,
    NETWORK_WINDOW_S,
    NetworkLimit,
    ResolveBackoff,
)
from p2p.netutil import Netlist, OwnNetworks

T0 = 1000.0
ONE, OTHER = bytes(31) + b"\1", bytes(31) + b"\2"


# how often discovery is asked


def waits(backoff: ResolveBackoff, now: float) -> float:
    """How long, in whole seconds, until the network may be asked for the node."""
    return next(s for s in range(4000) if backoff.may_ask(ONE, now + s))


def test_discovery_is_asked_at_once_for_a_node_never_asked_for() -> None:
    assert ResolveBackoff().may_ask(ONE, T0)


def test_pause_begins_at_a_minute_and_doubles_up_to_an_hour() -> None:
    backoff, now, pauses = ResolveBackoff(), T0, []
    for _ in range(9):
        backoff.asked(ONE, False, now)
        pauses.append(waits(backoff, now))
        now += pauses[-1]
    assert pauses == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]
    assert (pauses[0], pauses[-1]) == (INITIAL_RESOLVE_DELAY_S, MAX_RESOLVE_DELAY_S)


def test_pause_after_a_node_was_found_is_a_minute_again() -> None:
    backoff = ResolveBackoff()
    for _ in range(5):
        backoff.asked(ONE, False, T0)
    backoff.asked(ONE, True, T0)
    assert waits(backoff, T0) == 60
    backoff.asked(ONE, False, T0 + 60)
    assert waits(backoff, T0 + 60) == 60


def test_pause_is_of_one_node_only() -> None:
    backoff = ResolveBackoff()
    backoff.asked(ONE, False, T0)
    assert not backoff.may_ask(ONE, T0)
    assert backoff.may_ask(OTHER, T0)


def test_forgotten_node_is_asked_for_at_once() -> None:
    backoff = ResolveBackoff()
    backoff.drop(ONE)
    backoff.asked(ONE, False, T0)
    backoff.drop(ONE)
    assert backoff.may_ask(ONE, T0)


# how many nodes of a network


def filled(text: str = "20.0.0.") -> NetworkLimit:
    limit = NetworkLimit()
    for number in range(NETWORK_LIMIT):
        limit.add(ip_address(f"{text}{number + 1}"), 100.0)
    return limit


def test_network_is_full_after_a_few_dials() -> None:
    limit = NetworkLimit()
    for number in range(NETWORK_LIMIT):
        assert not limit.is_full(ip_address("20.0.0.200"), 100.0)
        limit.add(ip_address(f"20.0.0.{number}"), 100.0)
    assert limit.is_full(ip_address("20.0.0.200"), 100.0)


def test_other_networks_are_not_full() -> None:
    assert not filled().is_full(ip_address("20.0.1.1"), 100.0)


def test_local_networks_are_never_full() -> None:
    assert not filled("192.168.1.").is_full(ip_address("192.168.1.200"), 100.0)


def test_own_networks_are_never_full() -> None:
    limit = NetworkLimit(OwnNetworks(Netlist.parse("20.0.0.0/24")))
    for number in range(NETWORK_LIMIT + 5):
        limit.add(ip_address(f"20.0.0.{number}"), 100.0)
        limit.add(ip_address(f"20.0.1.{number}"), 100.0)
    assert not limit.is_full(ip_address("20.0.0.200"), 100.0)
    assert limit.is_full(ip_address("20.0.1.200"), 100.0)


def test_network_of_ipv6_is_a_site_not_hundreds_of_providers() -> None:
    limit = filled("2a01:4f8:1::")
    assert limit.is_full(ip_address("2a01:4f8:1:ffff::1"), 100.0)
    assert not limit.is_full(ip_address("2a01:4f8:2::1"), 100.0)


def test_mapped_address_is_of_the_same_network() -> None:
    assert filled().is_full(ip_address("::ffff:20.0.0.9"), 100.0)


@pytest.mark.parametrize(("later", "full"), [(-0.1, True), (0.0, False)])
def test_network_has_room_again_after_a_while(later: float, full: bool) -> None:
    assert filled().is_full(ip_address("20.0.0.9"), 100.0 + NETWORK_WINDOW_S + later) is full


def test_what_is_remembered_is_bounded() -> None:
    limit = NetworkLimit()
    for number in range(MAX_DIALS + 100):
        limit.add(ip_address(number << 8), 0.0)
    assert len(limit._dials) == len(limit._counts) == MAX_DIALS
