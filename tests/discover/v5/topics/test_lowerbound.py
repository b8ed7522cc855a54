"""Lower bounds of waiting times (discv5-theory, "Waiting-Time Lower Bound")."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from p2p.discover.v5.topics.lowerbound import NO_BOUND, LowerBound

times = st.floats(0, 1e6)


def test_bound_falls_at_half_the_speed_of_time() -> None:
    bound = LowerBound(100.0, since=50.0)
    assert bound.at(50.0) == 100.0
    assert bound.at(90.0) == 80.0
    assert bound.at(250.0) == 0.0


def test_bound_is_raised_by_more_than_is_left_of_it() -> None:
    bound = LowerBound(100.0, since=0.0)
    assert bound.raised(79.0, 40.0) is bound
    assert bound.raised(81.0, 40.0) == LowerBound(81.0, 40.0)


def test_without_a_request_there_is_no_bound() -> None:
    assert NO_BOUND.at(0.0) <= 0.0
    assert NO_BOUND.raised(1.0, 0.0) == LowerBound(1.0, 0.0)


@given(st.lists(st.tuples(times, times, times), min_size=2))
def test_sum_of_two_components_never_falls_faster_than_time(
    steps: list[tuple[float, float, float]],
) -> None:
    service, address, now = NO_BOUND, NO_BOUND, 0.0
    last = 0.0
    for service_s, address_s, passed_s in steps:
        now += passed_s
        total = max(service_s, service.at(now)) + max(address_s, address.at(now))
        assert total >= last - passed_s - 1e-6
        service, address = service.raised(service_s, now), address.raised(address_s, now)
        last = total
