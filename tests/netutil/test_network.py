"""Hosts and networks, and counting addresses by network."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from p2p.netutil import DistinctNetSet, host_of, network_of


def test_a_network_takes_no_more_than_its_limit() -> None:
    addresses = DistinctNetSet(limit=2)
    results = [addresses.add(ip_address(f"10.0.0.{n}")) for n in range(4)]
    assert results == [True, True, False, False]
    assert len(addresses) == 2


def test_a_full_network_leaves_room_in_the_next() -> None:
    addresses = DistinctNetSet(1)
    assert addresses.add(ip_address("10.0.0.255"))
    assert addresses.add(ip_address("10.0.1.0"))


def test_an_address_counts_as_often_as_it_is_added() -> None:
    addresses = DistinctNetSet(2)
    assert [addresses.add(ip_address("10.0.0.1")) for _ in range(3)] == [True, True, False]


def test_removing_makes_room() -> None:
    addresses = DistinctNetSet(1)
    addresses.add(ip_address("10.0.0.1"))
    addresses.remove(ip_address("10.0.0.1"))
    assert len(addresses) == 0
    assert addresses.add(ip_address("10.0.0.2"))


def test_removing_one_of_two_leaves_one() -> None:
    addresses = DistinctNetSet(2)
    addresses.add(ip_address("10.0.0.1"))
    addresses.add(ip_address("10.0.0.2"))
    addresses.remove(ip_address("10.0.0.1"))
    assert len(addresses) == 1
    assert addresses.contains(ip_address("10.0.0.1"))


def test_removing_from_an_empty_network_does_nothing() -> None:
    addresses = DistinctNetSet(1)
    addresses.remove(ip_address("10.0.0.1"))
    assert len(addresses) == 0
    assert [addresses.add(ip_address("10.0.0.1")) for _ in range(2)] == [True, False]


def test_contains_asks_for_the_network() -> None:
    addresses = DistinctNetSet(5)
    addresses.add(ip_address("10.0.0.1"))
    assert addresses.contains(ip_address("10.0.0.200"))
    assert not addresses.contains(ip_address("10.0.1.1"))


def test_families_are_counted_apart() -> None:
    # 0a00:00.. begins as 10.0.0.0/24 does.
    addresses = DistinctNetSet(1)
    assert addresses.add(ip_address("10.0.0.1"))
    assert addresses.add(ip_address("a00::1"))


def test_a_mapped_address_counts_as_the_ipv4_address() -> None:
    addresses = DistinctNetSet(1)
    addresses.add(ip_address("10.0.0.1"))
    assert not addresses.add(ip_address("::ffff:10.0.0.2"))


def test_a_limit_of_zero_admits_nothing() -> None:
    assert not DistinctNetSet(0).add(ip_address("10.0.0.1"))


def test_a_negative_limit_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 0"):
        DistinctNetSet(-1)


@pytest.mark.parametrize(
    ("one", "other", "same_host", "same_network"),
    [
        ("10.0.0.1", "10.0.0.1", True, True),
        ("10.0.0.1", "10.0.0.255", False, True),
        ("10.0.0.1", "10.0.1.1", False, False),
        ("10.0.0.1", "::ffff:10.0.0.1", True, True),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::1", True, True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False, True),
        ("2001:db8:1::1", "2001:db8:2::1", False, False),
    ],
)
def test_a_host_is_a_64_and_a_network_a_24_or_48(
    one: str, other: str, same_host: bool, same_network: bool
) -> None:
    a, b = ip_address(one), ip_address(other)
    assert (host_of(a) == host_of(b)) is same_host
    assert (network_of(a) == network_of(b)) is same_network
