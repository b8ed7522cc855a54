"""A stranger's word about addresses: no datagram goes where it may not send us."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_network

import pytest

from p2p.discover.v4.wire import FindNode, NeighborNode, Neighbors
from p2p.netutil import IPAddress
from tests.kit.link import PORT, Address, Link, Packet, key_of


class Watched(Link):
    """A network that notes where datagrams go."""

    def __init__(self) -> None:
        super().__init__(plain=True)
        self.targets: list[IPAddress] = []

    def send(self, source: Address, target: Address, data: bytes) -> None:
        self.targets.append(target[0])
        super().send(source, target, data)


# Sent on a stranger's word before 100.64.0.0/10 was anybody's: hundreds in three minutes.
@pytest.mark.parametrize("block", ["100.64.0.0/10", "240.0.0.0/4", "198.18.0.0/15"])
def test_stranger_sends_us_to_no_special_block(block: str) -> None:
    link = Watched()
    stranger = link.remote(2)
    engine = link.node(1, bootnodes=[stranger.node])
    stranger.to(engine)
    first = int(ip_network(block)[0])

    def answer(packet: Packet, packet_hash: bytes) -> None:
        if isinstance(packet, FindNode):
            told = [
                NeighborNode(
                    IPv4Address(first + n * 1000), PORT, PORT, key_of(n).public_key.to_bytes()
                )
                for n in range(100, 112)
            ]
            stranger.send(Neighbors(told, stranger.expiration))

    stranger.on_packet = answer
    stranger.bond()
    for _ in range(18):
        engine.operations.random_lookup(link.now)
        link.run(10.0)
    assert stranger.got(FindNode)
    assert [ip for ip in link.targets if ip in ip_network(block)] == []
    assert stranger.address[0] in link.targets
