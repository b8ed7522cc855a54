"""Junk, and forged source addresses: what a stranger can make a node do."""

from __future__ import annotations

import random
import tracemalloc
from collections import Counter
from ipaddress import IPv4Address
from typing import Any

from p2p.crypto import PrivateKey, keccak256
from p2p.discover.v4.wire import ENRRequest, FindNode, Packet, Ping, Pong
from p2p.netutil import Endpoint, NodeEndpoint
from p2p.sim import Network
from tests.sim.checks import MAX_AMPLIFICATION, build

#: Ten times what strangers may have read in a second, so that all bounds are reached.
JUNK_PER_S = 10_000
BURST_S = 0.01
MIB = 1 << 20


def junk(network: Network, chance: random.Random) -> list[bytes]:
    """Noise, packets with wrong hash or signature, and valid packets that nobody asked for."""
    key = PrivateKey.from_bytes(keccak256(b"junk"))
    here = NodeEndpoint(IPv4Address("20.0.0.9"), 30303, 30303)
    expiration = int(network.start_unix) + 100_000
    found = [chance.randbytes(chance.randrange(1400)) for _ in range(100)]
    packets: list[Packet] = []
    for number in range(100):
        packets.append(Ping(4, here, here, expiration + number))
        packets.append(Pong(here, chance.randbytes(32), expiration))
        packets.append(FindNode(chance.randbytes(64), expiration))
    for packet in packets:
        data, _ = network.wire.encode(key, packet)
        unsigned = chance.randbytes(64) + b"\1" + data[97:]
        found += [data, data[:40] + b"x" + data[41:], keccak256(unsigned) + unsigned]
    return found


class Flood:
    """Sends junk to one address, from any address."""

    def __init__(self, network: Network, target: Endpoint) -> None:
        self.until = 0.0
        self._network = network
        self._target = target
        self._chance = random.Random("flood")
        self._junk = junk(network, self._chance)

    def start(self, seconds: float) -> None:
        """Send for so long."""
        self.until = self._network.time + seconds
        self._burst()

    def _burst(self) -> None:
        for _ in range(int(JUNK_PER_S * BURST_S)):
            source = IPv4Address(self._chance.randrange(1 << 24, 100 << 24))
            self._network.send((source, 30303), self._target, self._chance.choice(self._junk))
        if self._network.time + BURST_S < self.until:
            self._network.after(BURST_S, self._burst)


def test_a_flood_of_junk_costs_no_memory_and_ends_within_two_seconds(
    new_network: Any, scaled: Any
) -> None:
    network = new_network(seed=1, latency=0.01)
    boot, peer, *_ = nodes = build(network, 6)
    network.run_for(30)
    flood = Flood(network, boot.address)
    tracemalloc.start()
    held = []
    for _ in range(2):  # after the first time what is bounded has reached its bounds
        flood.start(scaled(2, 30))
        network.run_for(scaled(2, 30))
        held.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert held[0] < 16 * MIB
    assert held[1] - held[0] < MIB
    assert peer.ping(boot, limit=1.0) == 1
    stranger = network.add("stranger", bootnodes=[boot])
    assert network.run_until(lambda: stranger.knows(boot) and len(stranger.known()) == 6, 2.0)
    assert all(boot.knows(node) for node in nodes if node is not boot)


def test_while_junk_comes_in_peers_are_answered(new_network: Any) -> None:
    network = new_network(seed=2, latency=0.01)
    boot, peer, *_ = build(network, 4)
    network.run_for(30)
    Flood(network, boot.address).start(1.0)
    network.run_for(0.5)
    assert peer.ping(boot, limit=0.4) == 1


def test_an_address_forged_by_others_gets_at_most_three_times_their_bytes(
    new_network: Any,
) -> None:
    network = new_network(seed=3)
    nodes = build(network, 12)
    network.run_for(30)
    chance = random.Random(3)
    victim = (IPv4Address("70.0.0.1"), 30303)
    came: Counter[Endpoint] = Counter()
    network.attach("victim", victim, lambda data, source: came.update({source: len(data)}))
    went: Counter[Endpoint] = Counter()
    for number in range(300):
        key = PrivateKey.from_bytes(keccak256(b"forged %d" % (number % 20)))
        to = chance.choice(nodes).address
        expiration = int(network.start_unix + network.time) + 20
        packet: Packet = chance.choice(
            [
                Ping(4, NodeEndpoint(*victim, 0), NodeEndpoint(*to, 0), expiration),
                FindNode(chance.randbytes(64), expiration),
                ENRRequest(expiration),
            ]
        )
        data, _ = network.wire.encode(key, packet)
        network.send(victim, to, data)
        went[to] += len(data)
        network.run_for(0.1)
    network.run_for(10)
    assert sum(came.values()) > 0
    for node in nodes:
        assert came[node.address] <= MAX_AMPLIFICATION * went[node.address]
