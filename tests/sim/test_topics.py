"""Topics on a network in which not all are honest; ``benchmarks.topicnetwork`` is the large one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from benchmarks.topicnetwork import (
    ADVERTISERS,
    ENOUGH,
    MOMENTS_S,
    SCENARIOS,
    SEARCHES,
    Finding,
    Spread,
    line,
    main,
    measure,
)

pytestmark = pytest.mark.slow


def figures(scenario: str, scaled: Callable[..., int]) -> list[tuple[Finding, Spread]]:
    size = scaled(30, 1000)
    moments_s = MOMENTS_S if size == 1000 else MOMENTS_S[:1]
    return list(measure(scenario, size, moments_s))


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_advertisers_are_found(scenario: str, scaled: Callable[..., int]) -> None:
    for finding, spread in figures(scenario, scaled):
        # In the flooded topic of a small network there are two honest nodes.
        assert finding.none <= SEARCHES // 10, line(finding, spread)
        assert finding.found >= min(finding.advertisers, ENOUGH) / 2
        assert spread.most <= max(1, spread.ads / 4)


def test_command_prints_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    main(["honest", "--nodes", "10", "--moments", "60"])
    shown = capsys.readouterr().out
    assert shown.startswith("honest, 10 nodes\nadvertisers  after  first found")
    assert len(shown.splitlines()) == 2 + len(ADVERTISERS) + 3
