"""Real servers on a network in memory, on simulated time."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

import p2p
from p2p.lab import LabClock, Link, MemoryNetwork

pytestmark = pytest.mark.slow

PORT = ":30303"


class World:
    """Servers on hosts of one network; they echo what they get."""

    def __init__(self, stack: ExitStack) -> None:
        self.clock = LabClock()
        self.network = stack.enter_context(MemoryNetwork(link=Link(0.05), clock=self.clock))
        self.servers: list[p2p.Server] = []
        self.answers: dict[bytes, list[float]] = {}
        self._stack = stack
        self._keys = 0

    def start(self, **options: Any) -> p2p.Server:
        self._keys += 1
        chosen: dict[str, Any] = {
            "private_key": p2p.PrivateKey.from_bytes(bytes(31) + bytes((self._keys,))),
            "name": f"n{self._keys}",
            "max_peers": 50,
            "protocols": [p2p.Protocol("echo", 1, 2, self._run)],
            "listen_addr": PORT,
            "no_discovery": True,
            "own_networks": "240.0.0.0/8",
            "clock": self.clock,
        }
        options.setdefault("underlay", self.network.host())
        server = self._stack.enter_context(p2p.Server(**{**chosen, **options}))
        self.servers.append(server)
        return server

    def until(self, condition: Callable[[], object], limit: float = 120) -> bool:
        return self.clock.run_until(condition, limit)

    def _run(self, peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        if not peer.inbound:
            rw.write_msg(p2p.Msg(0, b"question"))
        for msg in rw:
            if msg.code == 0:
                rw.write_msg(p2p.Msg(1, msg.payload))
            else:
                self.answers.setdefault(peer.id, []).append(self.clock.monotonic())


@pytest.fixture
def world() -> Iterator[World]:
    with ExitStack() as stack:
        world = World(stack)
        yield world
        world.network.heal()
        for server in world.servers:
            assert world.clock.call(server.stop) == []


def test_peers_exchange_messages_over_a_link(world: World) -> None:
    one, other = world.start(), world.start()
    one.add_peer(other.self)
    start = world.clock.monotonic()
    assert world.until(lambda: world.answers)
    # two of TCP, auth, ack with hello, hello with question, answer: six latencies, with jitter
    (answered,) = world.answers[other.self.id]
    assert 0.3 <= answered - start <= 0.3 * 1.1
    (peer,) = other.peers
    assert str(peer.remote_addr).startswith("240.0.1.1:")
    assert str(other.self.ip) == "240.0.2.1"
    assert other.self.tcp == 30303


def test_server_that_starts_anew_on_its_host_is_dialed_again(world: World) -> None:
    one, other = world.start(redial_pause_s=1.0), world.start()
    one.add_peer(other.self)
    assert world.until(lambda: world.answers)
    host, key = world.network.hosts[1], other.self.id
    world.clock.call(other.stop)
    assert world.until(lambda: not one.peers)
    world.answers.clear()
    again = world.start(
        underlay=host, private_key=p2p.PrivateKey.from_bytes(bytes(31) + b"\x02")
    )
    assert again.self.id == key
    assert world.until(lambda: world.answers)


def test_partition_lets_peers_time_out_and_dials_fail(world: World) -> None:
    one, other = world.start(redial_pause_s=5.0), world.start()
    one.add_peer(other.self)
    assert world.until(lambda: world.answers)
    world.network.partition([world.network.hosts[0]])
    assert world.until(lambda: not one.peers and not other.peers)
    world.clock.run_for(60)
    assert not one.peers
    assert "timed out" in str(one.dial_attempts(other.self)[-1].error)
    world.answers.clear()
    world.network.heal()
    assert world.until(lambda: world.answers)


def test_reset_is_the_end_of_a_peer(world: World) -> None:
    one, other = world.start(), world.start()
    one.add_peer(other.self)
    assert world.until(lambda: world.answers)
    hosts = world.network.hosts
    assert world.network.reset(hosts[0], hosts[1]) == 1
    world.clock.settle()
    assert not one.peers and not other.peers


@pytest.mark.parametrize("version", ["v4", "v5"])
def test_nodes_find_each_other_by_discovery(world: World, version: str) -> None:
    options: dict[str, Any] = {"no_discovery": False, f"discovery_{version}": True}
    options["discovery_v5" if version == "v4" else "discovery_v4"] = False
    boot = world.start(**options)
    for _ in range(5):
        world.start(bootstrap_nodes=[boot.self], **options)
    assert world.until(lambda: all(len(server.peers) >= 3 for server in world.servers))
    assert world.network.traffic.delivered > 50


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="no /proc")
def test_server_takes_two_descriptors_and_two_threads(world: World) -> None:
    one, other = world.start(), world.start()
    threads, descriptors = threading.active_count(), len(os.listdir("/proc/self/fd"))
    added = [world.start() for _ in range(5)]
    assert threading.active_count() - threads <= 2 * len(added)
    assert len(os.listdir("/proc/self/fd")) - descriptors == 2 * len(added)
    one.add_peer(other.self)
    assert world.until(lambda: world.answers)
    assert len(os.listdir("/proc/self/fd")) - descriptors == 2 * len(added) + 2  # the network's


def test_wrong_underlay_is_refused() -> None:
    key = p2p.generate_key()
    wrong: Any = "240.0.1.1"
    with pytest.raises(p2p.ConfigError, match=r"^underlay: wanted a host of a network of p2p.lab"):
        p2p.Server(private_key=key, name="x", max_peers=1, underlay=wrong)
