"""When discovery is asked again for a node."""

from __future__ import annotations

from p2p.backoff import INITIAL_RESOLVE_DELAY_S, MAX_RESOLVE_DELAY_S, ResolveBackoff

T0 = 1000.0
ONE, OTHER = bytes(31) + b"\1", bytes(31) + b"\2"


def waits(backoff: ResolveBackoff, now: float) -> float:
    """How long, in whole seconds, until the network may be asked for the node."""
    return next(s for s in range(4000) if backoff.may_ask(ONE, now + s))


def test_discovery_is_asked_at_once_for_a_node_never_asked_for() -> None:
    assert ResolveBackoff().may_ask(ONE, T0)


def test_pause_begins_at_a_minute_and_doubles_up_to_an_hour() -> None:
    backoff, now, pauses = ResolveBackoff(), T0, []
    for _ in range(9):
        backoff.asked(ONE, False, now)
        pauses.append(waits(backoff, now))
        now += pauses[-1]
    assert pauses == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]
    assert (pauses[0], pauses[-1]) == (INITIAL_RESOLVE_DELAY_S, MAX_RESOLVE_DELAY_S)


def test_pause_after_a_node_was_found_is_a_minute_again() -> None:
    backoff = ResolveBackoff()
    for _ in range(5):
        backoff.asked(ONE, False, T0)
    backoff.asked(ONE, True, T0)
    assert waits(backoff, T0) == 60
    backoff.asked(ONE, False, T0 + 60)
    assert waits(backoff, T0 + 60) == 60


def test_pause_is_of_one_node_only() -> None:
    backoff = ResolveBackoff()
    backoff.asked(ONE, False, T0)
    assert not backoff.may_ask(ONE, T0)
    assert backoff.may_ask(OTHER, T0)


def test_forgotten_node_is_asked_for_at_once() -> None:
    backoff = ResolveBackoff()
    backoff.forget(ONE)
    backoff.asked(ONE, False, T0)
    backoff.forget(ONE)
    assert backoff.may_ask(ONE, T0)
