"""Discovery v4 by script, against a real server."""

from __future__ import annotations

import select
from collections.abc import Iterator

import pytest

import p2p
from p2p import testing
from p2p.testing import DiscoveryRemote, Neighbors, Ping, Pong


@pytest.fixture
def server() -> Iterator[p2p.Server]:
    with testing.connected_servers(count=1, no_discovery=False) as (server,):
        yield server


def test_ping_is_answered(server: p2p.Server) -> None:
    with DiscoveryRemote(server) as remote:
        ping_hash = remote.ping()
        assert remote.expect(Pong).ping_hash == ping_hash
        remote.expect(Ping)
        assert remote.last is not None
        assert remote.last.public_key == server.self.public_key


def test_bonded_remote_may_ask(server: p2p.Server) -> None:
    with DiscoveryRemote(server.self) as remote:
        remote.bond()
        remote.request_record()
        assert remote.expect_record() == server.self.record.to_rlp()


def test_bonded_remote_is_told_of_the_other(server: p2p.Server) -> None:
    with DiscoveryRemote(server) as known, DiscoveryRemote(server) as asking:
        known.bond()
        asking.bond()
        asking.find_node(known.key.public_key)
        told = [node.public_key for node in asking.expect(Neighbors).nodes]
        assert known.key.public_key.to_bytes() in told


def test_packets_without_an_answer_are_named(server: p2p.Server) -> None:
    with DiscoveryRemote(server) as remote:
        remote.send_raw(b"noise")
        remote.ping(expiration=1)
        remote.find_node(remote.key.public_key)  # by somebody without a proof
        with pytest.raises(AssertionError, match="Neighbors did not come within 0 s"):
            remote.expect(Neighbors, timeout=0)
        remote.ping()
        select.select([remote.sock], [], [], testing.PATIENCE_S)
        with pytest.raises(AssertionError, match=r"come within 0 s; got \[Pong"):
            remote.expect(Neighbors, timeout=0)


def test_server_on_a_simulated_clock_takes_its_packets() -> None:
    clock = testing.SimulatedClock()
    with testing.connected_servers(count=1, no_discovery=False, clock=clock) as (server,):
        with DiscoveryRemote(server) as remote:
            remote.bond()


def test_node_without_an_address_cannot_be_asked() -> None:
    with pytest.raises(p2p.ArgumentError, match="a UDP port"):
        DiscoveryRemote(p2p.Node.from_parts(p2p.generate_key().public_key))
