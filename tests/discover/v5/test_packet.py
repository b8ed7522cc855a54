from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p.crypto import gcm
from p2p.discover.v5 import packet
from p2p.discover.v5.message import Ping, decode
from p2p.discover.v5.packet import HandshakePacket, MessagePacket, WhoAreYou
from p2p.errors import PacketError
from tests.discover.v5.vectors import ID_A, ID_B, VECTORS, unhex

PACKETS: dict[str, dict[str, Any]] = {case["name"]: case for case in VECTORS["packets"]}
INVALID: dict[str, dict[str, Any]] = {case["name"]: case for case in VECTORS["invalid_packets"]}
LAYOUTS: dict[str, dict[str, Any]] = {
    case["name"]: case for case in VECTORS["sigp_layout_packets"]
}
REASONS = {
    "empty": "size",
    "zeros-63": "header",
    "whoareyou-header-auth-size-corrupt": "authdata",
    "wrong-protocol-id": "header",
    "flag-3": "flag",
    "message-authsize-31": "authdata",
    "authsize-65535": "authdata",
    "whoareyou-authsize-23": "size",
    "handshake-sizes-255": "authdata",
}


def head_of(case: dict[str, Any]) -> bytes:
    """The unmasked head as the vector has it."""
    parts = ("masking_iv", "static_header", "authdata")
    return b"".join(unhex(case, "unmasked", part) for part in parts)


def test_no_vector_is_left_out() -> None:
    assert (len(PACKETS), len(INVALID), len(LAYOUTS)) == (4, 11, 4)


@pytest.mark.parametrize("name", PACKETS)
def test_heads_of_the_vectors(name: str) -> None:
    case = PACKETS[name]
    datagram = unhex(case, "packet")
    read = packet.decode(datagram, ID_B)
    assert read.head == head_of(case)
    assert read.nonce == unhex(case, "unmasked", "nonce")
    sent = packet.mask(read.head, ID_B) + unhex(case, "unmasked", "message_ciphertext")
    assert sent == datagram
    assert packet.is_ours(datagram, ID_B)


def test_whoareyou_of_the_vectors() -> None:
    read = packet.decode(unhex(PACKETS["whoareyou"], "packet"), ID_B)
    assert isinstance(read, WhoAreYou)
    values = PACKETS["whoareyou"]["spec_values"]
    assert read.head.hex() == values["whoareyou.challenge-data"]
    assert read.id_nonce.hex() == values["whoareyou.id-nonce"]
    assert (read.nonce.hex(), read.enr_seq) == (values["whoareyou.request-nonce"], 0)
    written = packet.whoareyou_head(bytes(16), read.nonce, read.id_nonce, read.enr_seq)
    assert written == read.head


@pytest.mark.parametrize("name", [name for name in PACKETS if name != "whoareyou"])
def test_messages_of_the_vectors(name: str) -> None:
    case = PACKETS[name]
    read = packet.decode(unhex(case, "packet"), ID_B)
    assert isinstance(read, MessagePacket | HandshakePacket)
    assert read.source == ID_A
    cipher = gcm(unhex(case, "spec_values", "read-key"))
    plaintext = cipher.decrypt(read.nonce, read.ciphertext, read.head)
    assert plaintext == unhex(case, "message_plaintext")
    ping = Ping(b"\x00\x00\x00\x01", case["spec_values"]["ping.enr-seq"])
    assert decode(plaintext) == ping
    if isinstance(read, MessagePacket):
        assert packet.message_head(bytes(16), read.nonce, ID_A) == read.head


@pytest.mark.parametrize("name", [name for name in PACKETS if "handshake" in name])
def test_handshakes_of_the_vectors(name: str) -> None:
    case = PACKETS[name]
    read = packet.decode(unhex(case, "packet"), ID_B)
    assert isinstance(read, HandshakePacket)
    assert read.signature == unhex(case, "handshake", "id_signature")
    assert read.ephemeral_key == unhex(case, "spec_values", "ephemeral-pubkey")
    assert read.record == unhex(case, "handshake", "record")
    parts = (read.signature, read.ephemeral_key, read.record)
    assert packet.handshake_head(bytes(16), read.nonce, ID_A, *parts) == read.head


@pytest.mark.parametrize("name", INVALID)
def test_invalid_packets(name: str) -> None:
    datagram = unhex(INVALID[name], "packet")
    if name in REASONS:
        with pytest.raises(PacketError) as caught:
            packet.decode(datagram, ID_B)
        assert caught.value.reason == REASONS[name]
    else:
        assert isinstance(packet.decode(datagram, ID_B), MessagePacket)


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts_of_another_implementation(name: str) -> None:
    case = LAYOUTS[name]
    datagram, own_id = unhex(case, "packet"), unhex(case, "dest")
    unmasked = packet.mask(datagram, own_id)
    assert unmasked[:16] == unhex(case, "iv")
    assert unmasked[16:22] == b"discv5" and unmasked[24] == case["flag"]
    assert unmasked[25:37] == unhex(case, "nonce")


def test_whoareyou_with_a_message_is_refused() -> None:
    with pytest.raises(PacketError) as caught:
        packet.decode(unhex(PACKETS["whoareyou"], "packet") + b"x", ID_B)
    assert caught.value.reason == "authdata"


def test_packet_for_another_node_is_of_another_protocol() -> None:
    for case in PACKETS.values():
        datagram = unhex(case, "packet")
        assert not packet.is_ours(datagram, ID_A)
        with pytest.raises(PacketError) as caught:
            packet.decode(datagram, ID_A)
        assert caught.value.reason == "header"


@given(data=st.binary(max_size=1400), size=st.integers(0, 0xFFFF), flag=st.integers(0, 255))
def test_other_bytes_are_a_packet_error(data: bytes, size: int, flag: int) -> None:
    header = b"discv5\x00\x01" + bytes([flag]) + bytes(12) + size.to_bytes(2, "big")
    for datagram in (data, packet.mask(bytes(16) + header, ID_B) + data):
        try:
            read = packet.decode(datagram, ID_B)
        except PacketError as error:
            assert error.reason in {"size", "header", "version", "flag", "authdata"}
        else:
            assert packet.is_ours(datagram, ID_B) and len(read.nonce) == 12
