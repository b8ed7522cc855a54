"""When mappings are asked for, renewed and given up."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p.nat.leases import LIFETIME_S, MAX_LIFETIME_S, MIN_PAUSE_S, RETRY_S, Leases
from p2p.nat.mapping import Mapped, PortMapping

TCP = PortMapping("tcp", 30303, 30303, LIFETIME_S)
UDP = PortMapping("udp", 30304, 30304, LIFETIME_S)


def both() -> Leases:
    return Leases([("tcp", 30303), ("udp", 30304)])


def test_all_mappings_are_due_at_first() -> None:
    leases = both()
    assert leases.due(0.0) == [TCP, UDP]
    assert leases.deadline <= 0.0
    assert (leases.granted, leases.external_port("tcp")) == ([], None)


def test_no_mappings_are_never_due() -> None:
    leases = Leases([])
    assert (leases.due(0.0), leases.deadline, leases.external_port("udp")) == ([], math.inf, None)


def test_mapping_is_renewed_after_half_of_its_lifetime_at_its_port() -> None:
    leases = Leases([("tcp", 30303)])
    assert leases.grant(TCP, Mapped(40000, 300), 100.0)
    assert leases.due(249.9) == []
    assert leases.deadline == 250.0
    granted = PortMapping("tcp", 30303, 40000, LIFETIME_S)
    assert leases.due(250.0) == leases.granted == [granted]
    assert not leases.grant(granted, Mapped(40000, 300), 250.0)
    assert leases.grant(granted, Mapped(40001, 300), 250.0)
    assert leases.external_port("tcp") == 40001


@pytest.mark.parametrize(
    ("lifetime_s", "pause_s"), [(1, MIN_PAUSE_S), (2**32 - 1, MAX_LIFETIME_S / 2)]
)
def test_pause_until_the_renewal_has_limits(lifetime_s: int, pause_s: float) -> None:
    leases = Leases([("tcp", 30303)])
    leases.grant(TCP, Mapped(30303, lifetime_s), 0.0)
    assert leases.due(pause_s - 0.1) == []
    assert leases.due(pause_s) != []


def test_refused_mapping_is_asked_for_again_after_a_pause() -> None:
    leases = Leases([("tcp", 30303)])
    leases.refuse(TCP, 0.0)
    assert leases.deadline == RETRY_S
    assert leases.due(RETRY_S) == [TCP]


def test_refused_renewal_leaves_the_mapping_until_its_end() -> None:
    leases = Leases([("tcp", 30303)])
    leases.grant(TCP, Mapped(30303, 40), 0.0)
    leases.refuse(TCP, 20.0)
    assert leases.external_port("tcp") == 30303
    assert leases.deadline == 30.0
    leases.refuse(TCP, 30.0)
    leases.refuse(TCP, 36.0)
    assert leases.deadline == 40.0
    assert leases.end_old(39.9) == []
    assert leases.end_old(40.0) == [TCP]
    assert (leases.granted, leases.end_old(41.0)) == ([], [])


def test_restart_makes_all_due_at_once_but_not_again_and_again() -> None:
    leases = both()
    for mapping in (TCP, UDP):
        leases.grant(mapping, Mapped(mapping.internal_port, 600), 0.0)
    leases.restart(10.0)
    assert leases.due(10.0) == [TCP, UDP]
    leases.grant(TCP, Mapped(30303, 600), 10.0)
    leases.restart(10.0)
    assert leases.due(10.0) == [UDP]
    assert leases.due(10.0 + MIN_PAUSE_S) == [TCP, UDP]


def test_mapping_that_was_interrupted_is_deleted_as_those_granted() -> None:
    leases = both()
    assert leases.deletions == []
    leases.interrupt(UDP)
    assert (leases.granted, leases.deletions) == ([], [UDP])
    leases.grant(TCP, Mapped(30303, 600), 0.0)
    assert leases.deletions == [TCP, UDP]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["grant", "refuse", "restart"]),
            st.integers(1, 2**32 - 1),
            st.floats(0, 1000),
        )
    )
)
def test_requests_are_bounded_whatever_the_router_does(
    steps: list[tuple[str, int, float]],
) -> None:
    leases, now, asked = Leases([("tcp", 30303)]), 0.0, 0
    for kind, lifetime_s, pause_s in steps:
        now += pause_s
        leases.end_old(now)
        for mapping in leases.due(now):
            asked += 1
            if kind == "refuse":
                leases.refuse(mapping, now)
            else:
                leases.grant(mapping, Mapped(30303, lifetime_s), now)
        if kind == "restart":
            leases.restart(now)
        assert leases.deadline <= now + MAX_LIFETIME_S / 2
    assert asked <= 2 + 2 * now / MIN_PAUSE_S
