"""Real servers and datagrams over loopback, with links."""

from __future__ import annotations

import select
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

import p2p
from p2p.lab import Link, LoopbackHost, LoopbackNetwork
from p2p.lab.underlay.links import IDEAL
from tests.kit.waiting import PATIENCE_S, eventually

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="127.0.0.0/8 is not all loopback"),
]


@pytest.fixture
def network() -> Iterator[LoopbackNetwork]:
    with LoopbackNetwork() as network:
        yield network


class Echo:
    """A server that echoes; ``answers`` has what came back to it."""

    def __init__(self, host: LoopbackHost, stack: ExitStack) -> None:
        self.host = host
        self.answers: list[bytes] = []
        self.peer: p2p.MsgReadWriter | None = None
        self.server = stack.enter_context(
            p2p.Server(
                private_key=p2p.generate_key(),
                name="echo",
                max_peers=5,
                protocols=[p2p.Protocol("echo", 1, 2, self._run)],
                listen_addr=":0",
                no_discovery=True,
                underlay=host,
            )
        )

    def ask(self, question: bytes) -> None:
        eventually(lambda: self.peer)
        assert self.peer is not None
        self.peer.write_msg(p2p.Msg(0, question))

    def _run(self, peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        self.peer = rw
        for msg in rw:
            if msg.code == 0:
                rw.write_msg(p2p.Msg(1, msg.payload))
            else:
                self.answers.append(bytes(msg.payload))


@pytest.fixture
def pair(network: LoopbackNetwork) -> Iterator[tuple[Echo, Echo]]:
    with ExitStack() as stack:
        pair = Echo(network.host(), stack), Echo(network.host(), stack)
        pair[0].server.connect(pair[1].server.self)
        yield pair
        network.heal()
        network.link = IDEAL


def test_servers_are_on_hosts_of_their_own(pair: tuple[Echo, Echo]) -> None:
    one, other = pair
    assert [str(echo.host.ip) for echo in pair] == ["127.1.1.1", "127.1.2.1"]
    assert other.server.self.ip == other.host.ip
    eventually(lambda: other.server.peers)
    assert str(other.server.peers[0].remote_addr).startswith("127.1.1.1:")
    one.ask(b"question")
    eventually(lambda: one.answers == [b"question"])


def test_messages_wait_for_the_end_of_a_partition(
    pair: tuple[Echo, Echo], network: LoopbackNetwork
) -> None:
    one, other = pair
    network.partition([one.host])
    one.ask(b"one")
    one.ask(b"two" * 200_000)
    with pytest.raises(p2p.ConnectError):
        third = network.host()
        with ExitStack() as stack:
            Echo(third, stack).server.connect(one.server.self, timeout=0.1)
    assert one.answers == []
    network.heal()
    eventually(lambda: one.answers == [b"one", b"two" * 200_000])


def test_large_messages_pass_a_link_both_ways(
    pair: tuple[Echo, Echo], network: LoopbackNetwork
) -> None:
    network.link = Link(0.001, jitter=3.0, loss=0.001)
    data = [bytes([number]) * 500_000 for number in range(10)]
    for part in data:
        for echo in pair:
            echo.ask(part)
    eventually(lambda: all(echo.answers == data for echo in pair))


def test_datagrams_take_their_link(network: LoopbackNetwork) -> None:
    one, other = network.host(), network.host()
    here, there = one._bind_udp(None, 0), other._bind_udp(None, 0)
    with here, there:
        here.sendto(b"ideal", there.getsockname())
        assert select.select([there], [], [], PATIENCE_S)[0]
        assert there.recvfrom(10) == (b"ideal", here.getsockname())
        network.partition([one])
        here.sendto(b"lost", there.getsockname())
        network.heal()
        network.set_link(one, other, duplication=1.0, latency_s=0.001)
        here.sendto(b"double", there.getsockname())
        for _ in range(2):
            assert select.select([there], [], [], PATIENCE_S)[0]
            assert there.recvfrom(10)[0] == b"double"


def test_host_of_another_address_is_refused(network: LoopbackNetwork) -> None:
    for ip in ("20.0.1.1", "::1"):
        with pytest.raises(p2p.ArgumentError, match="127.0.0.0/8"):
            network.host(ip)
    assert "p2p-lab-net" not in [thread.name for thread in threading.enumerate()]
