"""Who may connect and who may stay."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest

from p2p.errors import DiscReason
from p2p.netutil import Netlist, OwnNetworks
from p2p.peers.admission import (
    InboundThrottle,
    check_peer,
    is_allowed_address,
)

US, ALICE, BOB = bytes(32), b"a" * 32, b"b" * 32
STRANGER = ip_address("8.8.8.8")


def verdict(node_id: bytes = ALICE, **changes: Any) -> DiscReason | None:
    """The verdict on an inbound node that nothing speaks against, but for ``changes``."""
    facts: dict[str, Any] = {
        "self_id": US,
        "inbound": True,
        "trusted": False,
        "connected": {BOB},
        "peer_count": 1,
        "inbound_count": 1,
        "max_peers": 3,
        "max_inbound": 2,
    }
    return check_peer(node_id, **{**facts, **changes})


def test_peer_is_admitted_while_there_is_room() -> None:
    assert verdict() is None


def test_peer_is_refused_when_max_peers_is_reached() -> None:
    assert verdict(peer_count=3) is DiscReason.TOO_MANY_PEERS


def test_dialed_peer_is_refused_when_max_peers_is_reached() -> None:
    assert verdict(inbound=False, peer_count=3) is DiscReason.TOO_MANY_PEERS


def test_inbound_peer_is_refused_when_the_inbound_slots_are_taken() -> None:
    assert verdict(inbound_count=2) is DiscReason.TOO_MANY_PEERS


def test_dialed_peer_does_not_need_an_inbound_slot() -> None:
    assert verdict(inbound=False, inbound_count=2) is None


def test_trusted_peer_is_admitted_above_both_limits() -> None:
    assert verdict(trusted=True, peer_count=3, inbound_count=2) is None


@pytest.mark.parametrize("trusted", [False, True])
def test_connected_peer_is_refused_even_if_trusted(trusted: bool) -> None:
    assert verdict(BOB, trusted=trusted) is DiscReason.ALREADY_CONNECTED


@pytest.mark.parametrize("trusted", [False, True])
def test_own_identity_is_refused_even_if_trusted(trusted: bool) -> None:
    assert verdict(US, trusted=trusted) is DiscReason.SELF


def test_too_many_peers_is_said_before_already_connected() -> None:
    assert verdict(BOB, peer_count=3) is DiscReason.TOO_MANY_PEERS


def test_already_connected_is_said_before_self() -> None:
    assert verdict(US, connected={US}) is DiscReason.ALREADY_CONNECTED


def test_every_address_is_allowed_without_net_restrict() -> None:
    assert is_allowed_address(STRANGER, None)


def test_only_listed_addresses_are_allowed_with_net_restrict() -> None:
    netlist = Netlist.parse("10.0.0.0/8")
    assert is_allowed_address(ip_address("10.1.2.3"), netlist)
    assert not is_allowed_address(STRANGER, netlist)


def test_address_may_connect_once_in_the_window() -> None:
    throttle = InboundThrottle(window_s=30)
    assert throttle.check(STRANGER, 1000.0)
    assert not throttle.check(STRANGER, 1029.9)
    assert throttle.check(STRANGER, 1030.0)


def test_refused_attempt_does_not_lengthen_the_wait() -> None:
    throttle = InboundThrottle(window_s=30)
    assert [throttle.check(STRANGER, now) for now in (0.0, 20.0, 30.0)] == [True, False, True]


def test_addresses_do_not_throttle_each_other() -> None:
    throttle = InboundThrottle()
    assert throttle.check(STRANGER, 0.0)
    assert throttle.check(ip_address("8.8.4.4"), 0.0)


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "192.168.1.7", "10.0.0.1", "100.64.0.1", "::1", "fe80::1"]
)
def test_lan_address_is_not_throttled(address: str) -> None:
    throttle = InboundThrottle()
    assert [throttle.check(ip_address(address), 0.0) for _ in range(3)] == [True] * 3
    assert len(throttle) == 0


def test_own_network_is_not_throttled() -> None:
    throttle = InboundThrottle(own=OwnNetworks(Netlist.parse("8.8.8.0/24")))
    assert [throttle.check(STRANGER, 0.0) for _ in range(3)] == [True] * 3
    assert [throttle.check(ip_address("8.8.4.4"), 0.0) for _ in range(2)] == [True, False]


def test_ipv4_address_written_as_ipv6_is_the_same_address() -> None:
    throttle = InboundThrottle()
    assert throttle.check(STRANGER, 0.0)
    assert not throttle.check(ip_address("::ffff:8.8.8.8"), 0.0)
    assert throttle.check(ip_address("::ffff:127.0.0.1"), 0.0)
    assert throttle.check(ip_address("::ffff:127.0.0.1"), 0.0)


def test_addresses_of_one_ipv6_network_of_64_bits_are_one_address() -> None:
    """Whoever has one has all of them, and would come with another each time."""
    throttle = InboundThrottle()
    assert throttle.check(ip_address("2a00:1:2:3::1"), 0.0)
    assert not throttle.check(ip_address("2a00:1:2:3:ffff::2"), 0.0)
    assert throttle.check(ip_address("2a00:1:2:4::1"), 0.0)
    assert len(throttle) == 2


def test_throttle_forgets_addresses_when_their_window_has_passed() -> None:
    throttle = InboundThrottle(window_s=30)
    for number in range(100):
        throttle.check(ip_address(f"8.8.8.{number}"), float(number))
    assert len(throttle) == 30


def test_throttle_forgets_the_oldest_address_when_it_is_full() -> None:
    throttle = InboundThrottle(max_addresses=2)
    first, second, third = (ip_address(f"8.8.8.{number}") for number in range(3))
    for ip in (first, second, third):
        assert throttle.check(ip, 0.0)
    assert len(throttle) == 2
    assert not throttle.check(second, 1.0)
    assert throttle.check(first, 1.0)
