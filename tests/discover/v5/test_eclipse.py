"""An eclipse attack with many identities in few networks, and real handshakes: what they get."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from ipaddress import IPv4Address

import pytest

from p2p.discover.shortlist import NETWORK_LIMIT
from p2p.discover.table.table import TABLE_IP_LIMIT
from p2p.discover.transport import Target
from p2p.discover.v5.operations import OperationsV5
from p2p.enode.distance import log_distance
from p2p.enode.node import Node
from p2p.enode.nodeid import NodeID
from p2p.inputs import Now
from p2p.netutil import Endpoint
from tests.discover.v5.net import PORT, Host, Net

pytestmark = pytest.mark.slow

NETWORKS = ("45.1.1.0", "45.2.2.0")
ATTACKERS_OF_EACH = 30
CITIZENS = 24
STEP_S = 15.0


class Attackers:
    """Nodes that tell of nobody but each other, and ask the victim all the time."""

    def __init__(self, net: Net) -> None:
        addresses = [
            Endpoint(IPv4Address(network) + number, PORT)
            for network in NETWORKS
            for number in range(1, ATTACKERS_OF_EACH + 1)
        ]
        self.hosts = [
            net.host(1000 + number, address=address) for number, address in enumerate(addresses)
        ]
        self.ids = {host.engine.id for host in self.hosts}
        for host in self.hosts:
            host.engine._records_at = (  # type: ignore[method-assign, assignment]
                lambda distances, remote, own=host.engine.id: self._records(own, distances)
            )

    def _records(self, own: NodeID, distances: Sequence[int]) -> Iterator[bytes]:
        for host in self.hosts:
            if log_distance(own, host.engine.id) in distances:
                yield host.local.record.to_rlp()

    def press(self, victim: Host) -> None:
        """Shake hands with the victim, each time as if for the first time."""
        for host in self.hosts:
            host.engine._sessions._entries.clear()
            host.begin(lambda operations, now: operations.ping(victim.node, now))

    def among(self, nodes: Iterable[Node]) -> int:
        return sum(node.id in self.ids for node in nodes)


def look_up(target: Target, operations: OperationsV5, now: Now) -> int:
    return operations.lookup(target, now)


def test_two_networks_of_attackers_take_neither_table_nor_lookups() -> None:
    net = Net()
    boot = net.host(1)
    citizens = [net.host(number, boot) for number in range(2, 2 + CITIZENS)]
    attackers = Attackers(net)
    victim = net.host(100, boot, citizens[0])
    net.start()
    net.run(STEP_S)
    for step in range(4):
        if step == 2:
            victim.restart()
            net.start(victim)
        for _ in range(3):
            attackers.press(victim)
            net.run(STEP_S / 3)
        known = victim.engine.table.nodes()
        assert attackers.among(known) <= TABLE_IP_LIMIT * len(NETWORKS)
        assert len(known) - attackers.among(known) >= CITIZENS // 2
        target = Target.random(random.Random(step).randbytes)
        found = victim.do(partial(look_up, target))
        assert attackers.among(found) <= NETWORK_LIMIT * len(NETWORKS)
        assert len(found) >= 8
    assert attackers.among(victim.engine.table.nodes()) > 0
