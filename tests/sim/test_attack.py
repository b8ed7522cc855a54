"""Many identities in few networks: how much of a node's world they can take."""

from __future__ import annotations

import random
from typing import Any

from p2p.dial.scheduler import DialScheduler
from p2p.enode.node import Node
from p2p.sim import Network, Operation, SimNode
from tests.sim.hosts import Attackers, Citizens

HOUR_S = 3600.0
NETWORKS = ["45.1.1.0", "45.2.2.0"]
#: Ten for each of their networks.
MAX_IN_TABLE = 20
#: Of all dials, this part may go to them.
MAX_DIALS = 0.1


class Dialing:
    """Gives what random lookups of a node find to a dial scheduler, and counts what it dials.

    No dial makes a peer, so that the slots stay free; what counts is where they lead to.
    """

    INTERVAL_S = 60.0

    def __init__(self, network: Network, node: SimNode) -> None:
        self.dialed: list[Node] = []
        self._network = network
        self._node = node
        self._scheduler: DialScheduler = DialScheduler(
            node.id, 16, 50, random=random.Random(node.name)
        )
        network.after(self.INTERVAL_S, self._look)

    def _look(self) -> None:
        self._network.after(self.INTERVAL_S, self._look)
        self._network.after(self.INTERVAL_S / 2, self._dial, self._node.begin_lookup())

    def _dial(self, lookup: Operation) -> None:
        if not lookup.done or lookup.error is not None:
            return
        for node in lookup.result:
            if self._scheduler.check_candidate(node, self._network.time) is None:
                self._scheduler.begin_candidate(node, self._network.time)
                self._scheduler.dial_done(node.id)
                self.dialed.append(node)


def test_two_networks_of_attackers_take_neither_table_nor_dials(
    new_network: Any, scaled: Any
) -> None:
    network = new_network(seed=1, signed=False)
    attackers = Attackers(network, scaled(1000, 10_000), NETWORKS)
    identities = [host.identity for host in attackers.hosts]
    victim_count = scaled(2, 5)
    citizens = Citizens(network, scaled(100, 500) - victim_count, identities)
    known = random.Random(1).sample(citizens.nodes, 3)
    victims = [network.add(bootnodes=known) for _ in range(victim_count)]
    hours = scaled(1, 24)
    for victim in victims:
        attackers.press(victim.address, per_s=0.5, until=hours * HOUR_S)
    dials = [Dialing(network, victim) for victim in victims]
    for quarter in range(hours * 4):
        if quarter == hours * 2:
            for victim in victims:
                victim.restart()
        network.run_for(HOUR_S / 4)
        assert all(attackers.among(victim.known()) <= MAX_IN_TABLE for victim in victims)
    for one in dials:
        assert len(one.dialed) > 200 * hours
        assert attackers.among(one.dialed) <= MAX_DIALS * len(one.dialed)
