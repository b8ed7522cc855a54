"""Pages of tests, closed at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

import p2p
from p2p.monitor import front, serversource, stalls
from tests.kit.monitorpage import Page


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Updates come five times as often, so that tests wait less."""
    monkeypatch.setattr(front, "TICK_S", 0.1)
    monkeypatch.setattr(serversource, "TABLE_S", 0.2)
    monkeypatch.setattr(stalls, "STALL_S", 0.3)


@pytest.fixture
def page_of() -> Iterator[Callable[[p2p.Server], Page]]:
    """A function that opens the page of a server."""
    with ExitStack() as stack:
        yield lambda server: stack.enter_context(Page(server.monitor_url))
