"""Fixtures of the simulation: the larger numbers of a long run, and one rule for all tests."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pytest

from p2p.sim import Network
from tests.sim.checks import assert_amplifies_nothing

T = TypeVar("T")

#: Set P2P_SIM_FULL=1 for the numbers of a real network; that takes some minutes for each.
IS_FULL = os.environ.get("P2P_SIM_FULL", "") not in ("", "0")
FULL_TIMEOUT_S = 7200


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if IS_FULL:
        for item in items:
            if "/sim/" in item.nodeid:
                item.add_marker(pytest.mark.timeout(FULL_TIMEOUT_S))


@pytest.fixture
def scaled() -> Callable[[T, T], T]:
    """Chooses between the number for each run and the one for a long run."""
    return lambda always, full: full if IS_FULL else always


@pytest.fixture
def new_network() -> Iterator[Callable[..., Network]]:
    """Makes networks. Whatever has happened in one, its nodes have amplified nothing.

    Meanwhile no rubbish is looked for: there is hardly any, and millions of objects to look at.
    """
    networks: list[Network] = []

    def new(**options: Any) -> Network:
        networks.append(Network(**options))
        return networks[-1]

    gc.collect()
    gc.disable()
    yield new
    gc.enable()
    for network in networks:
        assert_amplifies_nothing(network)
