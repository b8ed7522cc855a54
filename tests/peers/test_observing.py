"""The observers of a server learn of peers that come and go; one that fails is not called again."""

from __future__ import annotations

import logging
from queue import SimpleQueue

import pytest

import p2p
from tests.kit.nodes import Nodes
from tests.kit.waiting import PATIENCE_S


class Events(p2p.observe.Observer):
    """Observer that keeps the events of peers; each may raise an error."""

    def __init__(self, error: Exception | None = None) -> None:
        self.found: SimpleQueue[p2p.PeerEvent] = SimpleQueue()
        self.error = error

    def peer_event(self, event: p2p.PeerEvent) -> None:
        self.found.put(event)
        if self.error is not None:
            raise self.error


def test_an_observer_learns_of_peers_as_a_subscriber_does(nodes: Nodes) -> None:
    observer = Events()
    server = nodes.start(observer=[p2p.observe.Observer(), observer])
    other = nodes.start()
    with server.subscribe_events() as events:
        peer = server.connect(other.self, PATIENCE_S)
        peer.disconnect()
        told = [events.get(PATIENCE_S) for _ in range(2)]
    assert [observer.found.get(timeout=PATIENCE_S) for _ in range(2)] == told
    assert [event.type for event in told] == ["add", "drop"]
    assert told[1].error


def test_an_observer_that_fails_is_called_no_more(
    nodes: Nodes, caplog: pytest.LogCaptureFixture
) -> None:
    failing, other = Events(ValueError("broken")), Events()
    server = nodes.start(observer=[failing, other])
    with caplog.at_level(logging.ERROR, "p2p"):
        server.connect(nodes.start().self, PATIENCE_S).disconnect()
        types = [other.found.get(timeout=PATIENCE_S).type for _ in range(2)]
    assert types == ["add", "drop"] and failing.found.qsize() == 1
    assert "Events failed in peer_event, and is not called again" in caplog.text
