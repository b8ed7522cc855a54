"""Fixtures: a router on loopback, and the interruption of waits for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from p2p.nat.gateway import Stop
from tests.nat.upnp.router import Router, running


@pytest.fixture
def stop() -> Iterator[Stop]:
    stop = Stop()
    yield stop
    stop.close()


@pytest.fixture
def router() -> Iterator[Router]:
    router = Router()
    with running(router):
        yield router
