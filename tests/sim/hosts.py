"""Hosts that a test plays by hand: attackers with many identities, honest nodes that only answer.

An engine for each of ten thousand identities would take hours; these do what their part needs. They
answer pings and findnode, and ping whom they are told to.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from heapq import nsmallest
from ipaddress import IPv4Address

from p2p.crypto import PrivateKey, keccak256
from p2p.discover.v4.wire import FindNode, NeighborNode, Neighbors, Ping, Pong
from p2p.enode.node import Node
from p2p.enode.nodeid import NodeID
from p2p.netutil import Endpoint, NodeEndpoint
from p2p.sim import Network
from p2p.sim.address import HashedIPv4

PORT = 30303
#: Nodes in a neighbors packet.
PART = 12
#: How long packets are valid, in seconds.
VALID_S = 20


class Identity:
    """A key at an address."""

    def __init__(self, name: str, address: Endpoint) -> None:
        self.name = name
        self.address = address
        self.key = PrivateKey.from_bytes(keccak256(name.encode()))
        public_key = self.key.public_key
        self.id = NodeID.from_public_key(public_key)
        self.number = int.from_bytes(self.id, "big")
        self.node = Node.from_parts(public_key, address[0], PORT, address[1])
        self.told = NeighborNode(address[0], address[1], PORT, public_key.to_bytes())


class Choice:
    """The nearest of many to a target, without looking at all of them."""

    def __init__(self, identities: Sequence[Identity], at_once: int = 32) -> None:
        self._shift = 256 - max(0, (len(identities) // at_once).bit_length())
        self._all = list(identities)
        self._groups: dict[int, list[Identity]] = {}
        for identity in identities:
            self._groups.setdefault(identity.number >> self._shift, []).append(identity)

    def nearest(self, target: bytes, count: int = 16) -> list[Identity]:
        """Those nearest to the keccak256 of ``target``."""
        aim = int.from_bytes(keccak256(target), "big")
        group = self._groups.get(aim >> self._shift, [])
        near = group if len(group) >= count else self._all
        return nsmallest(count, near, key=lambda identity: identity.number ^ aim)


class Host:
    """Plays one identity: pongs, pings back, and tells whom ``choose(target)`` names."""

    def __init__(
        self,
        network: Network,
        identity: Identity,
        choose: Callable[[bytes], Iterable[Identity]],
    ) -> None:
        self.identity = identity
        self._network = network
        self._choose = choose
        self._knows_us: set[Endpoint] = set()
        network.attach(identity.name, identity.address, self._receive)

    def ping(self, to: Endpoint) -> None:
        """Ping a node."""
        here = NodeEndpoint(*self.identity.address, PORT)
        self._send(Ping(4, here, NodeEndpoint(*to, 0), self._expiration()), to)

    def _receive(self, data: bytes, source: Endpoint) -> None:
        packet, _, packet_hash = self._network.wire.decode(data)
        if isinstance(packet, Ping):
            self._send(Pong(NodeEndpoint(*source, 0), packet_hash, self._expiration()), source)
            if source not in self._knows_us:
                self._knows_us.add(source)
                self.ping(source)
        elif isinstance(packet, FindNode):
            told = [identity.told for identity in self._choose(packet.target)]
            for start in range(0, len(told), PART):
                part = told[start : start + PART]
                self._send(Neighbors(part, self._expiration()), source)

    def _expiration(self) -> int:
        return int(self._network.start_unix + self._network.time) + VALID_S

    def _send(self, packet: Ping | Pong | Neighbors, to: Endpoint) -> None:
        data, _ = self._network.wire.encode(self.identity.key, packet)
        self._network.send(self.identity.address, to, data)


class Attackers:
    """Many identities at all addresses of a few networks, of which each names only the others."""

    def __init__(self, network: Network, count: int, networks: Sequence[str]) -> None:
        self._network = network
        self._random = random.Random(f"attack {network.seed}")
        ips = [
            HashedIPv4(int(IPv4Address(first)) + host)
            for host in range(1, 255)
            for first in networks
        ]
        identities = [
            Identity(f"attacker {number}", (ips[number % len(ips)], PORT + number // len(ips)))
            for number in range(count)
        ]
        choice = Choice(identities)
        self.hosts = [Host(network, identity, choice.nearest) for identity in identities]
        self.ids = {identity.id for identity in identities}

    def press(self, victim: Endpoint, per_s: float, until: float) -> None:
        """Have one identity after another ping ``victim``, all over and over."""
        order = list(self.hosts)
        self._random.shuffle(order)
        self._press(order, 0, victim, per_s, until)

    def _press(
        self, order: list[Host], turn: int, victim: Endpoint, per_s: float, until: float
    ) -> None:
        order[turn % len(order)].ping(victim)
        if self._network.time < until:
            self._network.after(1 / per_s, self._press, order, turn + 1, victim, per_s, until)

    def among(self, nodes: Iterable[Node]) -> int:
        """Return the number of nodes that are theirs."""
        return sum(node.id in self.ids for node in nodes)


class Citizens:
    """Honest nodes that only answer, each with a table as a node comes to have it.

    Of ``strangers``, attackers say, each has as many as the limits for networks let in.
    """

    def __init__(self, network: Network, count: int, strangers: Sequence[Identity] = ()) -> None:
        chance = random.Random(f"citizens {network.seed}")
        first = int(IPv4Address("80.0.0.1"))
        identities = [
            Identity(f"citizen {number}", (HashedIPv4(first + 256 * number), PORT))
            for number in range(count)
        ]
        choice = Choice(identities)
        self.hosts = []
        for identity in identities:
            known = choice.nearest(identity.told.public_key)
            known += chance.sample(identities, min(100, count))
            known += chance.sample(strangers, min(20, len(strangers)))
            table = Choice(list(dict.fromkeys(known)), at_once=1000)
            self.hosts.append(Host(network, identity, table.nearest))

    @property
    def nodes(self) -> list[Node]:
        return [host.identity.node for host in self.hosts]
