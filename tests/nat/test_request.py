"""The retransmissions of a request."""

from __future__ import annotations

import math
import random
from itertools import islice

from p2p.nat import natpmp, pcp, stun
from p2p.nat.request import Request


def sending_times(request: Request[object], now: float) -> list[float]:
    """The times at which the packet is sent, and that of the end."""
    times = []
    while not request.is_over:
        now = max(now, request.deadline)
        if request.poll_datagram(now) is not None:
            times.append(now)
    return [*times, now]


def test_packet_is_sent_at_once_and_after_each_pause() -> None:
    request: Request[bytes] = Request(b"x", [1.0, 2.0], lambda data: None, 10.0)
    assert request.poll_datagram(10.0) == b"x"
    assert request.poll_datagram(10.9) is None
    assert request.deadline == 11.0
    assert request.poll_datagram(11.0) == b"x"
    assert (request.poll_datagram(13.0), request.is_over) == (None, True)
    assert request.deadline == math.inf


def test_answer_is_what_the_reader_takes_for_one() -> None:
    request = Request(b"x", [1.0], lambda data: data or None, 0.0)
    assert request.receive(b"") is None
    assert request.receive(b"answer") == b"answer"


def test_natpmp_is_sent_nine_times_in_a_minute() -> None:
    times = sending_times(natpmp.address_request(0.0), 0.0)
    assert times == [0, 0.25, 0.75, 1.75, 3.75, 7.75, 15.75, 31.75, 63.75, 127.75]


def test_stun_is_sent_seven_times_in_forty_seconds() -> None:
    times = sending_times(stun.binding_request(bytes(12), 0.0), 0.0)
    assert times == [0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5, 39.5]


def test_pauses_of_pcp_double_from_three_seconds_to_17_minutes_with_a_random_part() -> None:
    waits = list(islice(pcp._waits(random.Random(1)), 30))
    assert 2.7 <= waits[0] <= 3.3
    for before, after in zip(waits, waits[1:], strict=False):
        assert 0.9 * min(2 * before, 1024) <= after <= 1.1 * min(2 * before, 1024)
    assert len(set(waits)) == len(waits)
