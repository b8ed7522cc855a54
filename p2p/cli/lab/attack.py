"""A simulated network with an attacker that wants to be all that one node knows.

It owns the nodes, honest ones and the attacker's, and counts what the attacker has. All are
engines of :mod:`p2p.sim`, so a run is the same each time. Main thread.

The identities of the attacker talk to each other and to the victim only (``net_restrict``), so
their answers name no other node. They have no limits for their own networks. One after the other
pings the victim, over and over, as the attacker of Marcus, Heilman and Goldberg does ("Low-Resource
Eclipse Attacks on Ethereum's Peer-to-Peer Network", 2018).
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import p2p
from p2p.enode import log_distance
from p2p.sim import Network, Operation

#: Random lookups of the victim between two samples, at equal intervals: it looks for peers.
LOOKUPS = 8
#: First address of the attacker: one of simulated hosts, far from those of honest nodes.
FIRST_IP = int(IPv4Address("240.200.0.1"))
#: Size of a /24, and its addresses for hosts.
NETWORK_SIZE, HOSTS = 256, 254
#: Most networks: those of a /16.
MAX_NETWORKS = 256
#: UDP and TCP port of the first identity at each address.
FIRST_PORT = 30303


@dataclass(frozen=True)
class Attacker:
    """Node IDs of an attacker (``identities``) at some ``addresses`` of some ``networks``.

    The identities send ``pings_per_s`` to the victim, all together, from ``attack_s`` on.
    """

    identities: int
    addresses: int
    networks: int
    pings_per_s: float
    attack_s: float

    @property
    def ranges(self) -> tuple[IPv4Network, ...]:
        """The networks, each a /24."""
        firsts = (FIRST_IP - 1 + NETWORK_SIZE * number for number in range(self.networks))
        return tuple(IPv4Network((first, 24)) for first in firsts)

    def endpoint_of(self, number: int) -> tuple[IPv4Address, int]:
        """Return the address and the port of an identity; networks and addresses take turns."""
        turn, address = divmod(number, self.addresses)
        host, network = divmod(address, self.networks)
        return IPv4Address(FIRST_IP + NETWORK_SIZE * network + host), FIRST_PORT + turn


class AttackedNetwork:
    """``nodes`` honest nodes, the last of them the victim, and the attacker of one of them.

    With ``has_limits`` the honest nodes limit the addresses of one network, as they do by default;
    without, the attacker's networks are own ones to them, which have no limits.
    """

    def __init__(self, network: Network, nodes: int, attacker: Attacker, has_limits: bool) -> None:
        self._network = network
        self._attacker = attacker
        self._random = random.Random(f"attack {network.seed}")
        ranges = p2p.Netlist(attacker.ranges)
        self.own_networks = own = p2p.Netlist() if has_limits else ranges
        boot = network.add("boot", own_networks=own)
        others = [network.add(bootnodes=[boot], own_networks=own) for _ in range(nodes - 2)]
        self.victim = network.add("victim", bootnodes=[boot], own_networks=own)
        self._identities = self._add_identities(ranges)
        #: All nodes but the victim.
        self.others = [boot, *others, *self._identities]
        self._ids = {identity.id for identity in self._identities}
        self._lookups: list[Operation] = []
        network.at(attacker.attack_s, self._begin)

    def _add_identities(self, ranges: p2p.Netlist) -> list[p2p.sim.SimNode]:
        victim = IPv4Network(str(self.victim.public_ip))
        world = p2p.Netlist((*ranges.networks, victim))
        found: list[p2p.sim.SimNode] = []
        for number in range(self._attacker.identities):
            ip, port = self._attacker.endpoint_of(number)
            found.append(
                self._network.add(
                    f"attacker {number}",
                    ip=ip,
                    port=port,
                    tcp=port,
                    bootnodes=found[:1],
                    own_networks=ranges,
                    net_restrict=world,
                    start=False,
                )
            )
        return found

    # the attack

    def _begin(self) -> None:
        for identity in self._identities:
            identity.start()
        order = self._random.sample(self._identities, len(self._identities))
        self._press(order, 0)

    def _press(self, order: list[p2p.sim.SimNode], turn: int) -> None:
        order[turn % len(order)].begin_ping(self.victim)
        self._network.after(1 / self._attacker.pings_per_s, self._press, order, turn + 1)

    # measurement

    def run_for(self, seconds: float) -> None:
        """Let time pass, with random lookups of the victim."""
        self._lookups = []
        for number in range(LOOKUPS):
            self._network.after(seconds * number / LOOKUPS, self._look_up)
        self._network.run_for(seconds)

    def _look_up(self) -> None:
        self._lookups.append(self.victim.begin_lookup())

    def found(self) -> list[p2p.Node]:
        """Return the nodes of the lookups in the last :meth:`run_for`, in the order of these.

        A lookup that has not ended, or that the restart has ended, is left out.
        """
        ended = [one for one in self._lookups if one.done and one.error is None]
        return [node for lookup in ended for node in lookup.result]

    def is_attacker(self, node_id: bytes) -> bool:
        """Whether a node ID is one of the attacker."""
        return node_id in self._ids

    def counts(self) -> dict[str, int]:
        """Return the sizes of the victim's table, of its replacements and of what it has found.

        ``found`` is the number of :meth:`found`. Each number has another one for the part of the
        attacker.
        """
        table = self.victim.table()
        replacements = [node for bucket in table.buckets for node in bucket.replacements]
        groups = {"table": table.nodes, "replacements": replacements, "found": self.found()}
        counts: dict[str, int] = {}
        for name, nodes in groups.items():
            counts[name] = len(nodes)
            counts[f"{name}_attacker"] = len(self._of_attacker(nodes))
        return counts

    def distances(self) -> dict[str, Any]:
        """Return the attacker's places in the table, by distance from the victim in bits."""
        places: dict[str, int] = {}
        for node in reversed(self._of_attacker(self.victim.known())):
            distance = str(log_distance(self.victim.id, node.id))
            places[distance] = places.get(distance, 0) + 1
        return places

    def _of_attacker(self, nodes: Iterable[p2p.Node]) -> list[p2p.Node]:
        return [node for node in nodes if self.is_attacker(node.id)]
