"""Every scenario at short scale: all figures that do not depend on the machine's speed are within
their limits."""

from __future__ import annotations

import importlib

import pytest

from tests.stress import SCENARIOS
from tests.stress.figure import Scale


@pytest.mark.timeout(180)
@pytest.mark.parametrize("name", SCENARIOS)
def test_figures_are_within_their_limits(name: str) -> None:
    figures = list(importlib.import_module(f"tests.stress.{name}").run(Scale.SHORT))
    assert any(figure.limit and not figure.timed for figure in figures)
    assert not [figure for figure in figures if not figure.ok and not figure.timed]
