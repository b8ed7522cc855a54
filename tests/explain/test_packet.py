"""Packets of discovery explained, by the vectors of the specifications."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import p2p
from p2p.crypto import gcm
from p2p.discover.v5.packet import decode
from p2p.errors import PacketError
from p2p.explain import explain_packet

TESTDATA = Path(__file__).parents[1] / "testdata"
V4 = json.loads((TESTDATA / "discv4_packets.json").read_text())
V5 = json.loads((TESTDATA / "discv5_wire.json").read_text())
ACCEPTED = [packet for packet in V4["packets"] if packet["expect"] == "accept"]
TO = p2p.NodeID(bytes.fromhex(V5["node_b_id"]))


def shown(explanation):
    return {value.name: value.shown for part in explanation.sections for value in part.values}


@pytest.mark.parametrize("packet", ACCEPTED, ids=lambda packet: packet["name"])
def test_packet_of_v4(packet):
    values = shown(explain_packet(bytes.fromhex(packet["packet"])))
    assert values["hash"] == packet["hash"]
    assert values["signature"] == packet["signature"]
    assert values["sender's public key"] == packet["sender_pubkey"]


def test_expiration_has_its_date():
    explanation = explain_packet(bytes.fromhex(ACCEPTED[0]["packet"]))
    (value,) = (v for v in explanation.sections[1].values if v.name == "expiration")
    assert value.data == 1136239445 and value.note == "2006-01-02 22:04:05 UTC"


@pytest.mark.parametrize("packet", V5["packets"], ids=lambda packet: packet["name"])
def test_packet_of_v5(packet):
    values = shown(explain_packet(bytes.fromhex(packet["packet"]), TO))
    unmasked = packet["unmasked"]
    assert values["masking-iv"] == unmasked["masking_iv"]
    assert values["nonce"] == unmasked["nonce"]
    assert int(values["authdata-size"], 16) == unmasked["authdata_size"]
    if packet["flag"] == 1:
        assert values["id-nonce"] == packet["spec_values"]["whoareyou.id-nonce"]
    else:
        assert values["src-id"] == V5["node_a_id"]
        assert values["message"] == unmasked["message_ciphertext"]


@pytest.mark.parametrize(
    "packet", [p for p in V5["packets"] if p["flag"] != 1], ids=lambda packet: packet["name"]
)
def test_message_of_v5_with_its_key(packet):
    key = bytes.fromhex(packet["spec_values"]["read-key"])
    values = shown(explain_packet(bytes.fromhex(packet["packet"]), TO, key))
    assert values["request_id"] == packet["spec_values"]["ping.req-id"]
    assert values["enr_seq"] == str(packet["spec_values"]["ping.enr-seq"])


def test_wrong_session_key_is_an_error():
    with pytest.raises(PacketError, match="does not decrypt"):
        explain_packet(bytes.fromhex(V5["packets"][0]["packet"]), TO, bytes(15) + b"\1")
    with pytest.raises(p2p.ArgumentError, match="16 bytes"):
        explain_packet(bytes.fromhex(V5["packets"][0]["packet"]), TO, b"short")


def test_message_of_v5_that_is_none_says_why():
    """It was another error than the documented one."""
    vector = V5["packets"][0]
    data, key = bytes.fromhex(vector["packet"]), bytes.fromhex(vector["spec_values"]["read-key"])
    packet = decode(data, TO)
    sealed = gcm(key).encrypt(packet.nonce, b"\x01\xc1", packet.head)
    with pytest.raises(PacketError, match="invalid message") as raised:
        explain_packet(data[: len(packet.head)] + sealed, TO, key)
    assert raised.value.reason == "data"


def test_what_is_no_packet_says_why():
    with pytest.raises(PacketError, match=r"hash.*v5 needs the node ID"):
        explain_packet(bytes.fromhex(V5["packets"][0]["packet"]) + bytes(60))
    with pytest.raises(PacketError, match="hash"):
        explain_packet(bytes(200), TO)
