"""A restart is what the rule of the protocol says of the times since the last answer."""

from __future__ import annotations

from p2p.nat.epoch import RestartDetector


def test_first_answer_is_no_restart() -> None:
    assert not RestartDetector(lambda router_s, our_s: True).has_restarted(0, 50.0)


def test_rule_gets_the_times_since_the_last_answer() -> None:
    times: list[tuple[float, float]] = []

    def is_restart(router_s: float, our_s: float) -> bool:
        times.append((router_s, our_s))
        return router_s < 0

    seen = RestartDetector(is_restart)
    outcomes = [seen.has_restarted(*answer) for answer in ((1000, 50.0), (1010, 60.0), (3, 61.0))]
    assert outcomes == [False, False, True]
    assert times == [(10, 10.0), (-1007, 1.0)]
