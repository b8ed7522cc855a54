"""Captured datagrams of two real nodes, against what their observers were told."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

import p2p
from p2p.capture.event import Event, PacketSeen
from p2p.crypto import PrivateKey
from p2p.discover.v4 import wire
from p2p.discover.v5.packet import MAX_PACKET_SIZE, mask, message_head
from p2p.enode import NodeID, Now
from p2p.keylog.lines import SessionKeys
from p2p.netutil import Endpoint
from p2p.observe import DiscoveryObserver
from tests.capture.captures import ALICE_END, BOB_END, decode, udp
from tests.kit.waiting import PATIENCE_S

KEY = PrivateKey.from_bytes(b"\x05" * 32)


class Tape(DiscoveryObserver):
    """The datagrams that a node receives, with their sources, and the names of its packets."""

    def __init__(self, own: Endpoint) -> None:
        self.own = own
        self.packets: list[bytes] = []
        self.kinds: list[str] = []
        self.keys: list[SessionKeys] = []
        self.ids: tuple[NodeID, NodeID] = (NodeID(bytes(32)), NodeID(bytes(32)))

    def data_in(self, data: bytes, addr: Endpoint, now: Now) -> None:
        self.packets.append(udp(addr, self.own, data))

    def data_out(self, datagrams: Sequence[tuple[bytes, Endpoint]], now: Now) -> None:
        self.packets += [udp(self.own, to, data) for data, to in datagrams]

    def packet_in(self, kind: str, packet: object, sender: NodeID, addr: Endpoint) -> None:
        self.kinds.append(kind)

    def packet_out(self, kind: str, packet: object, addr: Endpoint) -> None:
        self.kinds.append(kind)


    def secrets(
        self,
        node_id: NodeID,
        addr: Endpoint,
        initiator: bool,
        initiator_key: bytes,
        recipient_key: bytes,
    ) -> None:
        ends = self.ids if initiator else self.ids[::-1]
        self.keys.append(SessionKeys(*ends, initiator_key, recipient_key))


def kinds(events: list[Event]) -> list[str]:
    return [event.kind for event in events if isinstance(event, PacketSeen)]


@pytest.fixture
def tape() -> Tape:
    """The packets of two v5 nodes that talk, with their keys."""
    tape = Tape(ALICE_END)
    here = p2p.discover.UDPv5(p2p.generate_key(), "127.0.0.1:0", observer=tape)
    there = p2p.discover.UDPv5(p2p.generate_key(), "127.0.0.1:0")
    tape.own, tape.ids = here.address, (here.self.id, there.self.id)
    there.on_talk("upper", lambda node_id, address, request: request.upper())
    with here, there:
        here.ping(there.self, PATIENCE_S)
        assert here.talk(there.self, "upper", b"text", PATIENCE_S) == b"TEXT"
        here.find_node(there.self, [256], PATIENCE_S)
    return tape


def test_packets_of_v5_are_those_of_the_node(tape: Tape) -> None:
    events = decode(tape.packets, *tape.keys)
    seen = [event for event in events if isinstance(event, PacketSeen)]
    assert len(seen) == len(tape.packets)
    assert seen[0].kind == "message" and "random" in seen[0].error
    assert [event.error for event in seen[1:]] == [""] * (len(seen) - 1)
    names = [kind.removeprefix("handshake, ") for kind in kinds(events)]
    assert {"whoareyou", "ping", "pong", "talkreq", "talkresp", "findnode", "nodes"} <= set(names)
    assert "handshake, ping" in kinds(events)
    assert set(names[1:]) == set(tape.kinds)
    assert {event.sender for event in seen} == {*tape.ids, None}


def test_packets_of_v5_without_their_keys(tape: Tape) -> None:
    assert decode(tape.packets) == []
    wrong = SessionKeys(*tape.ids, bytes(16), bytes(16))
    assert set(kinds(decode(tape.packets, wrong))) == {"message", "whoareyou", "handshake"}


def test_node_ids_of_v5_are_learned_from_v4() -> None:
    key = p2p.generate_key()
    packet, _ = wire.encode(key, wire.FindNode(bytes(64), 1))
    head = message_head(bytes(16), bytes(12), NodeID.from_public_key(KEY.public_key))
    masked = mask(head, NodeID.from_public_key(key.public_key)) + bytes(40)
    found = kinds(decode([udp(ALICE_END, BOB_END, data) for data in (masked, packet, masked)]))
    assert found == ["findnode", "message"]


def test_packets_of_v4() -> None:
    made = [wire.FindNode(bytes(64), 1), wire.ENRRequest(1)]
    packets = [udp(ALICE_END, BOB_END, wire.encode(KEY, one)[0]) for one in made]
    events = decode(packets)
    assert [e.packet for e in events if isinstance(e, PacketSeen)] == made
    assert kinds(events) == [str(one.kind) for one in made]
    first = events[0]
    assert isinstance(first, PacketSeen)
    assert first.sender == NodeID.from_public_key(KEY.public_key)
    assert (first.source, first.destination, first.protocol) == (ALICE_END, BOB_END, "v4")


def test_changed_and_foreign_datagrams_give_no_event() -> None:
    data = bytearray(wire.encode(KEY, wire.ENRRequest(1))[0])
    data[-1] ^= 1
    for one in (bytes(data), b"", bytes(100), bytes(MAX_PACKET_SIZE + 1)):
        assert decode([udp(ALICE_END, BOB_END, one)]) == []
