"""Topics of protocols: servers that find each other on a network of others."""

from __future__ import annotations

from typing import Any

import pytest

import p2p
from tests.kit.nodes import Nodes
from tests.kit.waiting import eventually

pytestmark = pytest.mark.slow


def start(nodes: Nodes, boot: p2p.Server | None = None, **options: Any) -> p2p.Server:
    """A server with discovery v5 and topics, on a network with ``boot``."""
    known = [] if boot is None else [boot.self]
    chosen: dict[str, Any] = {"discovery_v4": False, "discovery_topics": True}
    chosen |= {"no_discovery": False, "bootstrap_nodes": known}
    return nodes.start(**{**chosen, **options})


@pytest.mark.parametrize(
    "more", [{}, {"dial_candidates": ()}], ids=["beside discovery", "beside dial_candidates"]
)
def test_servers_of_a_topic_find_and_dial_each_other(nodes: Nodes, more: dict[str, Any]) -> None:
    boot = start(nodes, no_dial=True)
    talks = nodes.talks()
    protocol = talks.protocol("chat", topic="chat of the test", **more)
    waiting = start(nodes, boot, protocols=[protocol], no_dial=True)
    seeking = start(nodes, boot, protocols=[protocol])
    pair = {talks.next().peer.id for _ in range(2)}
    assert pair == {waiting.self.id, seeking.self.id}
    registrar = boot.discovery_v5
    assert registrar is not None
    eventually(lambda: registrar.counters().topics["admitted"] >= 1)


def test_topics_of_protocols_wait_for_the_option(nodes: Nodes) -> None:
    protocol = nodes.talks().protocol(topic="a topic")
    server = start(nodes, protocols=[protocol], discovery_topics=False)
    assert server.self.record is not None
    assert server.self.record.get("topic-discovery") is None
    assert server.discovery_v5 is not None
    with pytest.raises(p2p.errors.ServerStateError, match="discovery_topics"):
        server.discovery_v5.find("a topic")


def test_server_that_does_not_listen_searches_only(nodes: Nodes) -> None:
    boot = start(nodes, no_dial=True)
    talks = nodes.talks()
    protocol = talks.protocol("chat", topic="chat of the test")
    start(nodes, boot, protocols=[protocol], no_dial=True)
    silent = start(
        nodes, boot, protocols=[protocol], listen_addr=None, discovery_v5=True, disc_addr=":0"
    )
    talks.next()
    assert silent.discovery_v5 is not None
    ad = silent.discovery_v5.advertise("chat of the test")  # the first one who wants it
    ad.stop()
    engine: Any = silent.discovery_v5._runner.engine
    assert silent.discovery_v5._service.call(lambda: engine.topics.advertised) == []
