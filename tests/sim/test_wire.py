"""Datagrams without signatures are as large as those with."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from p2p.crypto import PrivateKey, keccak256
from p2p.discover.v4 import wire as v4wire
from p2p.discover.v4.wire import (
    ENRRequest,
    ENRResponse,
    FindNode,
    NeighborNode,
    Neighbors,
    Packet,
    Ping,
    Pong,
)
from p2p.enr import Record
from p2p.errors import EncodeError, PacketError
from p2p.netutil import NodeEndpoint
from p2p.sim import UnsignedWire

KEY = PrivateKey.from_bytes(keccak256(b"key"))
RECORD = Record.sign(KEY, 1, {"udp": 30303}).to_rlp()
NOW = 1_700_000_000
IP4, IP6 = ip_address("20.0.0.1"), ip_address("2a00::1")
NOWHERE = NodeEndpoint(None, 0, 0)


def neighbors(count: int, *kinds: tuple[object, int, int]) -> Neighbors:
    """So many nodes, of these kinds by turns."""
    nodes = [NeighborNode(*kinds[n % len(kinds)], bytes(64)) for n in range(count)]  # type: ignore[arg-type]
    return Neighbors(nodes, NOW)


PACKETS: list[Packet] = [
    Ping(4, NodeEndpoint(IP4, 30303, 30303), NodeEndpoint(IP6, 127, 0), NOW),
    Ping(45, NOWHERE, NOWHERE, 2**64 - 1, 0),
    Ping(4, NOWHERE, NOWHERE, 5, 1_700_000_000_000),
    Pong(NodeEndpoint(IP4, 128, 255), bytes(32), NOW, 127),
    Pong(NodeEndpoint(IP6, 256, 65535), bytes(32), NOW),
    FindNode(bytes(64), NOW),
    Neighbors([], NOW),
    neighbors(1, (IP4, 1, 0)),
    neighbors(3, (IP4, 200, 0), (None, 0, 0), (IP6, 30303, 30303)),
    neighbors(12, (IP6, 30303, 30303)),
    ENRRequest(NOW),
    ENRResponse(bytes(32), RECORD),
]


@pytest.mark.parametrize("packet", PACKETS, ids=lambda packet: str(packet.kind))
def test_a_datagram_has_the_size_and_the_type_of_a_signed_one(packet: Packet) -> None:
    wire = UnsignedWire()
    data, packet_hash = wire.encode(KEY, packet)
    signed, _ = v4wire.encode(KEY, packet)
    assert len(data) == len(signed)
    assert data[97] == signed[97]
    assert wire.decode(data) == (packet, KEY.public_key, packet_hash)
    assert data.startswith(packet_hash)


def test_no_two_datagrams_have_the_same_hash() -> None:
    wire = UnsignedWire()
    assert len({wire.encode(KEY, PACKETS[0])[1] for _ in range(10)}) == 10


def test_noise_is_refused() -> None:
    wire = UnsignedWire()
    data, _ = wire.encode(KEY, PACKETS[0])
    with pytest.raises(PacketError):
        wire.decode(bytes(data))


def test_a_packet_that_is_too_large_is_refused() -> None:
    with pytest.raises(EncodeError):
        UnsignedWire().encode(KEY, neighbors(16, (IP6, 30303, 30303)))
