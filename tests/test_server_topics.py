"""Topics of protocols: servers that find each other on a network of others."""

from __future__ import annotations

from typing import Any

import pytest

import p2p
from tests.kit.nodes import Nodes
from tests.kit.swarm import Swarm

pytestmark = pytest.mark.slow


@pytest.fixture
def swarm(nodes: Nodes) -> Swarm:
    return Swarm(nodes)


def start(swarm: Swarm, *bootnodes: p2p.Server, **options: Any) -> p2p.Server:
    """A server with discovery v5 and topics, on a network with ``bootnodes``."""
    chosen: dict[str, Any] = {"discovery_v4": False, "discovery_v5": True}
    chosen |= {"discovery_topics": True, "protocols": []}
    return swarm.start(*bootnodes, **{**chosen, **options})


@pytest.mark.parametrize(
    "more", [{}, {"dial_candidates": ()}], ids=["beside discovery", "beside dial_candidates"]
)
def test_servers_of_a_topic_find_and_dial_each_other(
    swarm: Swarm, nodes: Nodes, more: dict[str, Any]
) -> None:
    boot = start(swarm, no_dial=True)
    protocol = nodes.talks().protocol("chat", topic="chat of the test", **more)
    waiting = start(swarm, boot, protocols=[protocol], no_dial=True)
    seeking = start(swarm, boot, protocols=[protocol])
    swarm.until(lambda: waiting.peer_count and seeking.peer_count, step_s=0.5)
    assert [peer.id for peer in seeking.peers] == [waiting.self.id]
    registrar = boot.discovery_v5
    assert registrar is not None
    swarm.until(lambda: registrar.counters().topics["admitted"] >= 1)


def test_topics_of_protocols_wait_for_the_option(swarm: Swarm, nodes: Nodes) -> None:
    protocol = nodes.talks().protocol(topic="a topic")
    server = start(swarm, protocols=[protocol], discovery_topics=False)
    assert server.self.record is not None
    assert server.self.record.get("topic-discovery") is None
    assert server.discovery_v5 is not None
    with pytest.raises(p2p.errors.ServerStateError, match="discovery_topics"):
        server.discovery_v5.find("a topic")


def test_server_that_does_not_listen_searches_only(swarm: Swarm, nodes: Nodes) -> None:
    boot = start(swarm, no_dial=True)
    protocol = nodes.talks().protocol("chat", topic="chat of the test")
    start(swarm, boot, protocols=[protocol], no_dial=True)
    silent = start(swarm, boot, protocols=[protocol], listen_addr=None, disc_addr=":0")
    swarm.until(lambda: silent.peer_count, step_s=0.5)
    assert silent.discovery_v5 is not None
    ad = silent.discovery_v5.advertise("chat of the test")  # the first one who wants it
    ad.stop()
    engine: Any = silent.discovery_v5._runner.engine
    assert silent.discovery_v5._service.call(lambda: engine.topics.advertised) == []
