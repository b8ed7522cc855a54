"""Host names: the addresses of each, or an error that names it."""

from __future__ import annotations

import pytest

from p2p.net.resolver import MAX_ADDRESSES, look_up
from tests.kit.names import Names

NAME = "a.example"


def found(names: Names, *addresses: str) -> list[str]:
    names.records[NAME] = list(addresses)
    return [str(ip) for ip in look_up(NAME)]


def test_ipv4_comes_first_and_the_families_take_turns(names: Names) -> None:
    given = ("::1", "::2", "::3", "10.0.0.1", "10.0.0.2")
    assert found(names, *given) == ["10.0.0.1", "::1", "10.0.0.2", "::2", "::3"]


def test_order_within_a_family_is_the_resolver_s(names: Names) -> None:
    assert found(names, "10.0.0.3", "10.0.0.1") == ["10.0.0.3", "10.0.0.1"]


def test_address_that_comes_twice_is_one(names: Names) -> None:
    assert found(names, "::1", "10.0.0.1", "::1", "10.0.0.1") == ["10.0.0.1", "::1"]


def test_addresses_of_a_name_are_limited(names: Names) -> None:
    assert len(found(names, *(f"10.0.0.{number}" for number in range(100)))) == MAX_ADDRESSES


def test_ipv4_mapped_address_is_one_of_ipv4(names: Names) -> None:
    given = ("::1", "::ffff:10.0.0.1", "10.0.0.1")
    assert found(names, *given) == ["10.0.0.1", "::1"]


def test_zone_is_kept(names: Names) -> None:
    assert found(names, "fe80::1%eth0") == ["fe80::1%eth0"]


def test_localhost_is_found() -> None:
    assert all(ip.is_loopback for ip in look_up("localhost"))


@pytest.mark.parametrize("name", ["nobody.invalid", "a" * 64, "a..b", "a\0b"])
def test_error_names_the_host(name: str) -> None:
    with pytest.raises(OSError, match="^.*cannot look up ") as raised:
        look_up(name)
    assert name in str(raised.value.strerror)


def test_address_with_a_zone_needs_no_resolver(names: Names) -> None:
    zoned = "fe80::1%no such"
    names.records[zoned] = []
    assert [str(ip) for ip in look_up(zoned)] == [zoned]
    assert names.asked == []
