"""Two static nodes of each other: each round ends with one connection and one handler."""

from __future__ import annotations

import pytest

from .collisions import LIMIT_S, PAIRS, meet


@pytest.mark.parametrize("latency_s", [0.0, 0.05])
@pytest.mark.parametrize("pair", PAIRS)
def test_one_connection_stays(pair: str, latency_s: float) -> None:
    for _ in range(5):
        met = meet(pair, latency_s)
        assert met.seconds is not None and met.seconds < LIMIT_S
        assert met.extra_handlers == 0
