"""The quality of directions between hosts: times of segments and of datagrams, and partitions."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from p2p.lab.underlay.links import IDEAL, MAX_LOSSES, MIN_RETRANSMISSION_S, Links
from p2p.sim import Link

A, B, C = (IPv4Address(f"20.0.{number}.1") for number in (1, 2, 3))


def segments(links: Links, size_bytes: int = 100, count: int = 1000) -> list[float]:
    return [links.segment(A, B, size_bytes, 0.0) for _ in range(count)]


def test_ideal_links_take_no_time_and_lose_nothing() -> None:
    links = Links(1, IDEAL)
    assert links.are_ideal
    assert links.segment(A, B, 10**6, 0.0) == 0.0
    assert links.datagram(A, B, 100, 0.0) == [0.0]
    assert not links.is_cut(A, B)


def test_segment_takes_the_latency_and_its_jitter() -> None:
    times = segments(Links(1, Link(1.0, jitter=0.5)))
    assert 1.0 <= min(times) < 1.05
    assert 1.45 < max(times) <= 1.5


def test_pair_has_one_latency_in_both_directions() -> None:
    links = Links(1, Link((0.0, 1.0), jitter=0))
    there, back = links.segment(A, B, 0, 0.0), links.segment(B, A, 0, 0.0)
    assert there == back != links.segment(A, C, 0, 0.0)
    assert links.datagram(A, B, 0, 0.0) == [there]


def test_segments_and_datagrams_share_the_bandwidth_of_a_direction() -> None:
    links = Links(1, Link(0.0, jitter=0, bandwidth=1000))
    assert links.segment(A, B, 100, 0.0) == pytest.approx(0.1)
    assert links.datagram(A, B, 100, 0.0) == [pytest.approx(0.2)]
    assert links.segment(B, A, 100, 0.0) == pytest.approx(0.1)


def test_loss_costs_a_segment_the_time_of_a_retransmission() -> None:
    times = segments(Links(1, Link(0.0, jitter=0, loss=0.25)))
    assert abs(times.count(0.0) - 750) < 60
    assert sorted(set(times))[:2] == [0.0, MIN_RETRANSMISSION_S]
    assert 3 * MIN_RETRANSMISSION_S in [pytest.approx(time) for time in set(times)]


def test_retransmission_of_a_long_link_takes_two_round_trips() -> None:
    times = segments(Links(1, Link(1.0, jitter=0, loss=0.5)))
    assert sorted(set(times))[:2] == [1.0, 5.0]


def test_large_segment_is_lost_more_often() -> None:
    lossy = Link(0.0, jitter=0, loss=0.1)
    small = segments(Links(1, lossy), 100).count(0.0)
    large = segments(Links(1, lossy), 14_600).count(0.0)
    assert abs(small - 900) < 50
    assert abs(large - 1000 * 0.9**10) < 60


def test_time_of_a_segment_has_an_end() -> None:
    (time,) = segments(Links(1, Link(0.0, jitter=0, loss=1 - 1e-12)), count=1)
    assert time == pytest.approx(MIN_RETRANSMISSION_S * (2**MAX_LOSSES - 1))


def test_datagrams_are_lost_doubled_and_reordered() -> None:
    links = Links(1, Link(0.1, loss=0.25, duplication=0.25, reordering=0.5))
    outcomes = [links.datagram(A, B, 100, 0.0) for _ in range(1000)]
    assert abs(outcomes.count([]) - 250) < 60
    assert abs(sum(len(delays) == 2 for delays in outcomes) - 190) < 60
    assert any(delays[0] > 0.2 for delays in outcomes if delays)


def test_random_numbers_are_by_seed_and_direction() -> None:
    lossy = Link(0.1, loss=0.5)
    alone = segments(Links(1, lossy), count=50)
    links, mixed = Links(1, lossy), []
    for _ in range(50):
        links.segment(A, C, 100, 0.0)
        links.segment(B, A, 100, 0.0)
        mixed.append(links.segment(A, B, 100, 0.0))
    assert mixed == alone
    assert segments(Links(2, lossy), count=50) != alone


def test_change_is_of_its_directions_only() -> None:
    links = Links(1, Link(0.1, jitter=0))
    links.change([(A, B)], {"latency_s": 0.5})
    assert links.segment(A, B, 0, 0.0) == 0.5
    assert links.segment(B, A, 0, 0.0) == 0.1
    links.link = IDEAL
    assert links.between(A, B) == Link(0.5, jitter=0)
    assert not links.are_ideal
    links.change([(A, B)], {"latency_s": 0.0})
    assert links.are_ideal


def test_sides_of_a_partition_are_cut_and_the_others_are_one_side() -> None:
    links = Links(1, IDEAL)
    links.split([[A]])
    assert links.is_cut(A, B) and links.is_cut(B, A)
    assert not links.is_cut(B, C)
    links.split(())
    assert not links.is_cut(A, B)
    assert links.are_ideal


def test_link_that_loses_everything_is_cut() -> None:
    links = Links(1, IDEAL)
    links.change([(A, B)], {"loss": 1.0})
    assert links.is_cut(A, B)
    assert not links.is_cut(B, A)


def test_call_waits_for_the_end_of_the_cut_and_is_made_once() -> None:
    links, calls = Links(1, IDEAL), []

    def resume() -> None:
        calls.append(links.is_cut(A, B))

    assert not links.wait_if_cut(A, B, resume)
    links.split([[A]])
    assert links.wait_if_cut(A, B, resume)
    assert links.wait_if_cut(A, B, resume)
    links.split([[A, C]])
    assert calls == []
    links.split(())
    assert calls == [False]
    links.split([[A]])
    links.split(())
    assert calls == [False]
