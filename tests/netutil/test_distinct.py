from __future__ import annotations

from ipaddress import ip_address

import pytest

from p2p.netutil import DistinctNetSet


def test_a_network_takes_no_more_than_its_limit() -> None:
    addresses = DistinctNetSet(subnet_bits=24, limit=2)
    results = [addresses.add(ip_address(f"10.0.0.{n}")) for n in range(4)]
    assert results == [True, True, False, False]
    assert len(addresses) == 2


def test_a_full_network_leaves_room_in_the_next() -> None:
    addresses = DistinctNetSet(24, 1)
    assert addresses.add(ip_address("10.0.0.255"))
    assert addresses.add(ip_address("10.0.1.0"))


def test_an_address_counts_as_often_as_it_is_added() -> None:
    addresses = DistinctNetSet(24, 2)
    assert [addresses.add(ip_address("10.0.0.1")) for _ in range(3)] == [True, True, False]


def test_removing_makes_room() -> None:
    addresses = DistinctNetSet(24, 1)
    addresses.add(ip_address("10.0.0.1"))
    addresses.remove(ip_address("10.0.0.1"))
    assert len(addresses) == 0
    assert addresses.add(ip_address("10.0.0.2"))


def test_removing_one_of_two_leaves_one() -> None:
    addresses = DistinctNetSet(24, 2)
    addresses.add(ip_address("10.0.0.1"))
    addresses.add(ip_address("10.0.0.2"))
    addresses.remove(ip_address("10.0.0.1"))
    assert len(addresses) == 1
    assert addresses.contains(ip_address("10.0.0.1"))


def test_removing_from_an_empty_network_does_nothing() -> None:
    addresses = DistinctNetSet(24, 1)
    addresses.remove(ip_address("10.0.0.1"))
    assert len(addresses) == 0
    assert [addresses.add(ip_address("10.0.0.1")) for _ in range(2)] == [True, False]


def test_contains_asks_for_the_network() -> None:
    addresses = DistinctNetSet(24, 5)
    addresses.add(ip_address("10.0.0.1"))
    assert addresses.contains(ip_address("10.0.0.200"))
    assert not addresses.contains(ip_address("10.0.1.1"))


def test_networks_of_odd_size_are_kept_apart() -> None:
    addresses = DistinctNetSet(subnet_bits=15, limit=1)
    assert addresses.add(ip_address("127.0.0.1"))
    assert not addresses.add(ip_address("127.1.0.1"))
    assert addresses.add(ip_address("127.2.0.1"))


def test_the_bits_of_an_ipv6_address_are_its_own_first_ones() -> None:
    addresses = DistinctNetSet(24, 1)
    assert addresses.add(ip_address("2001:db8::1"))
    assert not addresses.add(ip_address("2001:dff::1"))
    assert addresses.add(ip_address("2001:ab8::1"))


def test_families_are_counted_apart() -> None:
    addresses = DistinctNetSet(0, 1)
    assert addresses.add(ip_address("10.0.0.1"))
    assert addresses.add(ip_address("2001:db8::1"))
    assert not addresses.add(ip_address("11.0.0.1"))


def test_a_mapped_address_counts_as_the_ipv4_address() -> None:
    addresses = DistinctNetSet(24, 1)
    addresses.add(ip_address("10.0.0.1"))
    assert not addresses.add(ip_address("::ffff:10.0.0.2"))


def test_more_bits_than_an_address_has_mean_the_whole_address() -> None:
    addresses = DistinctNetSet(64, 1)
    assert addresses.add(ip_address("10.0.0.1"))
    assert addresses.add(ip_address("10.0.0.2"))
    assert not addresses.add(ip_address("10.0.0.1"))


def test_a_limit_of_zero_admits_nothing() -> None:
    assert not DistinctNetSet(24, 0).add(ip_address("10.0.0.1"))


@pytest.mark.parametrize("bits, limit", [(-1, 1), (24, -1)])
def test_negative_numbers_are_refused(bits: int, limit: int) -> None:
    with pytest.raises(ValueError, match="at least 0"):
        DistinctNetSet(bits, limit)
