"""A router on loopback, and what a thread needs to wait for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from p2p.nat.gateway import Stop
from tests.kit.router import Router, running_router


@pytest.fixture
def router() -> Iterator[Router]:
    with running_router() as router:
        yield router


@pytest.fixture
def stop() -> Iterator[Stop]:
    stop = Stop()
    yield stop
    stop.close()
