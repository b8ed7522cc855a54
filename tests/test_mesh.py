"""Servers of one owner: all connected to all, as docs/howto/private-network.md says."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import p2p
from tests.kit.nodes import Nodes
from tests.kit.swarm import Swarm, stay
from tests.kit.waiting import eventually

PROTOCOLS = [p2p.Protocol("test", 1, 8, stay)]


# Each has room for nine peers, and no more; the share of slots for inbound peers would be six.
def test_ten_static_nodes_of_each_other_are_a_full_mesh(nodes: Nodes) -> None:
    servers = [
        nodes.start(max_peers=9, protocols=PROTOCOLS, redial_pause_s=1.0) for _ in range(10)
    ]
    for here in servers:
        for there in servers:
            if there is not here:
                here.add_peer(there.self)
    eventually(lambda: [server.peer_count for server in servers] == [9] * 10)


def test_ten_nodes_that_find_each_other_are_a_full_mesh(nodes: Nodes) -> None:
    swarm = Swarm(nodes)
    boot = swarm.start(max_peers=30)
    servers = [boot, *(swarm.start(boot, max_peers=30) for _ in range(9))]
    swarm.until(lambda: [server.peer_count for server in servers] == [9] * 10)


# Which of two nodes dials is chance, so the only slot is for either.
def test_servers_with_one_slot_can_be_peers(nodes: Nodes) -> None:
    here, there = (nodes.start(max_peers=1, protocols=PROTOCOLS) for _ in range(2))
    assert here.connect(there.self).id == there.self.id
    eventually(lambda: there.peer_count == 1)


def test_two_static_nodes_with_one_slot_meet(nodes: Nodes) -> None:
    here, there = (
        nodes.start(max_peers=1, protocols=PROTOCOLS, redial_pause_s=0.5) for _ in range(2)
    )
    with ThreadPoolExecutor(2) as pool:
        pool.submit(here.add_peer, there.self)
        pool.submit(there.add_peer, here.self)
    eventually(lambda: here.peer_count == there.peer_count == 1)
