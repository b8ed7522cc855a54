"""A router on loopback."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.nat.upnp.router import Router, running


@pytest.fixture
def router() -> Iterator[Router]:
    router = Router()
    with running(router):
        yield router
