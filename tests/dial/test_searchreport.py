"""The log line "looking for peers": its counts, its interval, and its end."""

from __future__ import annotations

import logging

import pytest

import p2p
import p2p.testing
from tests.kit import inspect
from tests.kit.candidates import Closable, naming, refused, stranger
from tests.kit.nodes import HOST, Nodes, listening, node_at
from tests.kit.waiting import eventually


def test_refused_candidates_are_counted_and_logged_while_few_are_dialed(
    nodes: Nodes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "p2p.server")
    clock, key, talks = p2p.testing.SimulatedClock(), p2p.generate_key(), nodes.talks()
    there = nodes.start().self
    source = Closable()
    here = nodes.start(
        private_key=key,
        protocols=[talks.protocol(dial_candidates=source)],
        clock=clock,
        net_restrict="127.0.0.0/8",
        max_peers=12,
    )
    here.connect(there)
    clock.advance(9.0)
    with listening() as silent:
        pending = node_at(silent)
        for node in (
            p2p.Node.from_parts(key.public_key, HOST, 1),
            *(there, pending, pending),
            *(stranger("10.0.0.1"), stranger("10.0.0.2"), stranger(None), stranger(HOST, 0)),
        ):
            source.give(node)
        expected = {
            **{"IsSelf": 1, "AlreadyConnected": 1, "AlreadyDialing": 1},
            **{"NetRestricted": 2, "NoEndpoint": 2},
        }
        eventually(lambda: refused(here) == expected)
        clock.advance(1.0)
        eventually(lambda: "looking for peers" in caplog.text)
    (line,) = [text for text in caplog.messages if "looking for peers" in text]
    assert line == (
        "looking for peers: 1 connected, 1 tried, 0 static; candidates refused: AlreadyConnected 1,"
        " AlreadyDialing 1, IsSelf 1, NetRestricted 2, NoEndpoint 2"
    )
    assert refused(here) == {}


def reports(server: p2p.Server, clock: p2p.testing.SimulatedClock, seconds: int) -> None:
    """Let seconds pass, each seen by the I/O thread."""
    for _ in range(seconds):
        clock.advance(1.0)
        inspect.settle(server)
        inspect.settle(server)


def test_search_is_logged_with_growing_pauses_while_nothing_is_new(
    nodes: Nodes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "p2p.server")
    clock = p2p.testing.SimulatedClock()
    here = nodes.start(protocols=[naming(())], clock=clock)
    inspect.settle(here)
    logged_at = []
    for seconds in range(10, 200, 10):
        before = searches(caplog)
        reports(here, clock, 10)
        logged_at += [seconds] * (len(searches(caplog)) - len(before))
    assert logged_at == [10, 30, 70, 150]
    assert searches(caplog)[-1].endswith("0 connected, 0 tried, 0 static; candidates refused: none")


def test_news_of_a_search_are_logged_after_ten_seconds(
    nodes: Nodes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "p2p.server")
    clock = p2p.testing.SimulatedClock()
    here = nodes.start(protocols=[naming(())], clock=clock, max_peers=12)
    inspect.settle(here)
    reports(here, clock, 40)
    assert len(searches(caplog)) == 2  # at 10 and at 30 s
    here.connect(nodes.start().self)
    reports(here, clock, 10)
    assert "1 connected, 1 tried" in searches(caplog)[-1] and len(searches(caplog)) == 3
    reports(here, clock, 10)
    assert len(searches(caplog)) == 3


def searches(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [text for text in caplog.messages if "looking for peers" in text]


@pytest.mark.parametrize(
    ("max_peers", "dialed_peers"), [(0, 0), (3, 1), (6, 2), (30, 3)], ids=str
)
def test_search_is_not_logged_when_enough_are_dialed(
    nodes: Nodes, caplog: pytest.LogCaptureFixture, max_peers: int, dialed_peers: int
) -> None:
    caplog.set_level(logging.INFO, "p2p.server")
    clock = p2p.testing.SimulatedClock()
    here = nodes.start(protocols=[naming(())], clock=clock, max_peers=max_peers)
    for _ in range(dialed_peers):
        here.connect(nodes.start().self)
    reports(here, clock, 25)
    assert "looking for peers" not in caplog.text


def test_search_is_not_logged_without_sources(
    nodes: Nodes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "p2p.server")
    clock = p2p.testing.SimulatedClock()
    reports(nodes.start(clock=clock), clock, 25)
    assert "looking for peers" not in caplog.text
