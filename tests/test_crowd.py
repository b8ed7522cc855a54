"""No one network gets all dials."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from p2p.crowd import CROWD_LIMIT, CROWD_WINDOW_S, MAX_REMEMBERED, Crowd


def filled(text: str = "20.0.0.") -> Crowd:
    crowd = Crowd()
    for number in range(CROWD_LIMIT):
        crowd.add(ip_address(f"{text}{number + 1}"), 100.0)
    return crowd


def test_network_is_full_after_a_few_dials() -> None:
    crowd = Crowd()
    for number in range(CROWD_LIMIT):
        assert not crowd.is_full(ip_address("20.0.0.200"), 100.0)
        crowd.add(ip_address(f"20.0.0.{number}"), 100.0)
    assert crowd.is_full(ip_address("20.0.0.200"), 100.0)


def test_other_networks_are_not_full() -> None:
    assert not filled().is_full(ip_address("20.0.1.1"), 100.0)


def test_local_networks_are_never_full() -> None:
    assert not filled("192.168.1.").is_full(ip_address("192.168.1.200"), 100.0)


def test_network_of_ipv6_is_a_site_not_hundreds_of_providers() -> None:
    crowd = filled("2a01:4f8:1::")
    assert crowd.is_full(ip_address("2a01:4f8:1:ffff::1"), 100.0)
    assert not crowd.is_full(ip_address("2a01:4f8:2::1"), 100.0)


def test_mapped_address_is_of_the_same_network() -> None:
    assert filled().is_full(ip_address("::ffff:20.0.0.9"), 100.0)


@pytest.mark.parametrize(("later", "full"), [(-0.1, True), (0.0, False)])
def test_network_has_room_again_after_a_while(later: float, full: bool) -> None:
    assert filled().is_full(ip_address("20.0.0.9"), 100.0 + CROWD_WINDOW_S + later) is full


def test_what_is_remembered_is_bounded() -> None:
    crowd = Crowd()
    for number in range(MAX_REMEMBERED + 100):
        crowd.add(ip_address(number << 8), 0.0)
    assert len(crowd._dials) == len(crowd._counts) == MAX_REMEMBERED
