from __future__ import annotations

import json
import pathlib
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p.codec import encode as encode_rlp
from p2p.codec import encode_list
from p2p.crypto import PrivateKey, keccak256
from p2p.discover.v4.wire import (
    MAX_NEIGHBORS,
    MAX_PACKET_SIZE,
    ENRRequest,
    ENRResponse,
    FindNode,
    NeighborNode,
    Neighbors,
    Packet,
    PacketType,
    Ping,
    Pong,
    Received,
    decode,
    encode,
    is_expired,
)
from p2p.enr import Record
from p2p.errors import DecodeError, EncodeError, PacketError
from p2p.netutil import NodeEndpoint

VECTORS: dict[str, Any] = json.loads(
    (pathlib.Path(__file__).parents[2] / "testdata" / "discv4_packets.json").read_text()
)
KEY = PrivateKey.from_bytes(bytes.fromhex(VECTORS["sender_private_key"]))
CASES: list[dict[str, Any]] = VECTORS["packets"] + VECTORS["constructed"]["cases"]
BODIES: dict[str, Any] = {
    name: body for name, body in VECTORS["rlp_bodies"].items() if name != "source"
}

#: What the entries that are no packets are refused for.
REFUSED = {
    "bad-hash": "hash",
    "recid-4": "signature",
    "signature-zero": "signature",
    "unknown-type-0x42": "type",
    "empty-body": "data",
    "ping-3-items": "data",
    "ping-expiration-9-bytes": "data",
    "findnode-target-63": "data",
    "neighbors-node-id-63": "data",
    "neighbors-entry-is-string": "data",
    "oversize-datagram": "size",
    "empty": "size",
}
#: What has items that we read past, and one that was signed with a random nonce.
NOT_AS_WE_WRITE = {
    "eip8-ping-v4-extra",
    "ping-endpoint-ip-5-bytes",
    "ping-deep-nesting-300",
    "geth-ping-v4-no-extra",
}
ACCEPTED = [case for case in CASES if case["name"] not in REFUSED]

HERE = NodeEndpoint(ip_address("127.0.0.1"), 3322, 5544)
THERE = NodeEndpoint(ip_address("::1"), 2222, 3333)
TARGET = bytes(range(64))
PING = Ping(4, HERE, THERE, 1136239445)
RECORD = Record.sign(KEY, 1, ip="127.0.0.1", udp=30303).to_rlp()


def by_name(case: dict[str, Any]) -> str:
    return str(case["name"])


def seal(kind: int, data: bytes, key: PrivateKey = KEY) -> bytes:
    """A datagram with the hash and the signature that it must have, whatever is in it."""
    signed = bytes([kind]) + data
    hashed = key.sign(keccak256(signed)) + signed
    return keccak256(hashed) + hashed


def read(kind: int, data: bytes) -> Packet:
    return decode(seal(kind, data)).packet


def refusal(datagram: bytes) -> str:
    with pytest.raises(PacketError) as caught:
        decode(datagram)
    return caught.value.reason


def expected(case: dict[str, Any]) -> Packet:
    """The packet of an entry, made of its fields."""
    fields = case["fields"]
    expiration = fields.get("expiration")
    seq = fields.get("enr_seq_per_eip868")
    match case["packet_name"]:
        case "ping":
            sender, recipient = endpoint(fields["from"]), endpoint(fields["to"])
            return Ping(fields["version"], sender, recipient, expiration, seq)
        case "pong":
            ping_hash = bytes.fromhex(fields["ping_hash"])
            return Pong(endpoint(fields["to"]), ping_hash, expiration, seq)
        case "findnode":
            return FindNode(bytes.fromhex(fields["target"]), expiration)
        case "neighbors":
            nodes = [NeighborNode(*endpoint(n), bytes.fromhex(n["id"])) for n in fields["nodes"]]
            return Neighbors(tuple(nodes), expiration)
        case "enrrequest":
            return ENRRequest(expiration)
    request_hash = bytes.fromhex(fields["request_hash"])
    return ENRResponse(request_hash, bytes.fromhex(fields["record_rlp"]))


def endpoint(fields: dict[str, Any]) -> NodeEndpoint:
    ip = ip_address(fields["ip"]) if fields["ip"] else None
    return NodeEndpoint(ip, fields["udp"], fields["tcp"])


# What others have written.


@pytest.mark.parametrize("case", ACCEPTED, ids=by_name)
def test_packet_of_another_client_is_read(case: dict[str, Any]) -> None:
    datagram = bytes.fromhex(case["packet"])
    received = decode(datagram)
    assert received.packet == expected(case)
    assert str(received.packet.kind) == case["packet_name"]
    assert received.packet_hash.hex() == case["hash"]
    assert received.public_key.to_bytes().hex() == case["sender_pubkey"]


@pytest.mark.parametrize(
    "case",
    [
        case
        for case in ACCEPTED
        if case["sender_pubkey"] == VECTORS["sender_pubkey"]
        and not case["trailing_bytes"]
        and case["name"] not in NOT_AS_WE_WRITE
    ],
    ids=by_name,
)
def test_packet_is_written_as_another_client_writes_it(case: dict[str, Any]) -> None:
    assert encode(KEY, expected(case)) == (
        bytes.fromhex(case["packet"]),
        bytes.fromhex(case["hash"]),
    )


@pytest.mark.parametrize("case", ACCEPTED, ids=by_name)
def test_what_is_read_of_any_packet_can_be_written_and_read_again(case: dict[str, Any]) -> None:
    packet = decode(bytes.fromhex(case["packet"])).packet
    assert decode(encode(KEY, packet)[0]).packet == packet


@pytest.mark.parametrize("case", [case for case in CASES if case not in ACCEPTED], ids=by_name)
def test_what_is_no_packet_is_refused_for_its_reason(case: dict[str, Any]) -> None:
    assert refusal(bytes.fromhex(case["packet"])) == REFUSED[case["name"]]


@pytest.mark.parametrize("name", ["ping", "neighbors", "enrrequest"])
def test_data_of_another_client_are_read(name: str) -> None:
    body = BODIES[name]
    packet = read(list(BODIES).index(name) + 1, bytes.fromhex(body["rlp"]))
    assert str(packet.kind) == name
    assert packet.expiration == body["expiration"]  # type: ignore[union-attr]
    if isinstance(packet, Ping):
        sender = NodeEndpoint(ip_address(body["from"][0]), *body["from"][1:])
        recipient = NodeEndpoint(ip_address(body["to"][0]), *body["to"][1:])
        assert packet == Ping(5, sender, recipient, 123, body["enr_seq"])
    if isinstance(packet, Neighbors):
        ip, udp, tcp, key = body["nodes"][0]
        assert packet.nodes == (NeighborNode(ip_address(ip), udp, tcp, bytes.fromhex(key)),)


@pytest.mark.parametrize("name", ["pong", "enrresponse"])
def test_a_reference_to_a_packet_may_have_any_length(name: str) -> None:
    body = BODIES[name]
    packet = read(list(BODIES).index(name) + 1, bytes.fromhex(body["rlp"]))
    assert isinstance(packet, Pong | ENRResponse)
    given_hash = packet.ping_hash if isinstance(packet, Pong) else packet.request_hash
    assert given_hash.hex() == "deadbeef"


def test_a_findnode_of_another_target_size_is_refused() -> None:
    assert refusal(seal(3, bytes.fromhex(BODIES["findnode"]["rlp"]))) == "data"


def test_a_packet_signed_by_a_go_client_names_its_key() -> None:
    go = VECTORS["go_signature"]
    hashed = bytes.fromhex(go["signature"] + go["body"])
    received = decode(keccak256(hashed) + hashed)
    assert received.public_key.to_bytes().hex() == go["pubkey"]
    assert encode(KEY, received.packet)[0][97:].hex() == go["body"]


# Sizes, hash, type, signature.


@pytest.mark.parametrize("size", [0, 1, 32, 97])
def test_a_datagram_without_room_for_a_type_is_refused(size: int) -> None:
    assert refusal(encode(KEY, PING)[0][:size]) == "size"


def test_the_largest_datagram_is_read_and_one_byte_more_is_not() -> None:
    data = encode_list(PING.to_items())
    room = MAX_PACKET_SIZE - 98 - len(data)
    assert read(1, data + bytes(room)) == PING
    assert refusal(seal(1, data + bytes(room + 1))) == "size"


def test_any_flipped_bit_breaks_the_hash() -> None:
    datagram = encode(KEY, PING)[0]
    for position in range(len(datagram)):
        changed = bytearray(datagram)
        changed[position] ^= 0x10
        assert refusal(bytes(changed)) == "hash"


@pytest.mark.parametrize("kind", [0, 7, 0x42, 0xFF])
def test_unknown_types_are_refused(kind: int) -> None:
    assert refusal(seal(kind, encode_list(PING.to_items()))) == "type"


@pytest.mark.parametrize("signature", [bytes(65), b"\xff" * 64 + b"\0", bytes(64) + b"\4"])
def test_impossible_signatures_are_refused(signature: bytes) -> None:
    hashed = signature + encode(KEY, PING)[0][97:]
    assert refusal(keccak256(hashed) + hashed) == "signature"


def test_data_are_read_before_the_signature() -> None:
    hashed = bytes(65) + b"\x01\xc0"
    assert refusal(keccak256(hashed) + hashed) == "data"


def test_the_error_does_not_repeat_what_the_remote_sent() -> None:
    data = encode_rlp([b"SECRET-OF-A-PEER" * 4])
    with pytest.raises(PacketError) as caught:
        decode(seal(1, data))
    assert "SECRET" not in str(caught.value) + str(caught.value.__cause__)


def test_hash_is_that_of_the_datagram() -> None:
    datagram, packet_hash = encode(KEY, PING)
    assert packet_hash == datagram[:32] == keccak256(datagram[32:])
    assert decode(datagram) == Received(PING, KEY.public_key, packet_hash)


# Leniency (EIP-8) and its limits.

ALL_PACKETS: list[Packet] = [
    replace(PING, enr_seq=7),
    Pong(HERE, bytes(32), 5, 7),
    FindNode(TARGET, 5),
    Neighbors((NeighborNode(*HERE, TARGET),), 5),
    ENRRequest(5),
    ENRResponse(bytes(32), RECORD),
]


def kind_of(packet: Packet) -> str:
    return str(packet.kind)


@pytest.mark.parametrize("packet", ALL_PACKETS, ids=kind_of)
def test_further_items_are_passed_over(packet: Packet) -> None:
    items = [*packet.to_items(), encode_rlp(b"more"), encode_rlp([[], [b"x"]])]
    assert read(packet.kind, encode_list(items)) == packet


@pytest.mark.parametrize("packet", ALL_PACKETS, ids=kind_of)
def test_bytes_after_the_data_are_passed_over(packet: Packet) -> None:
    assert read(packet.kind, encode_list(packet.to_items()) + b"\xff\xc1\x00") == packet


@pytest.mark.parametrize("packet", ALL_PACKETS, ids=kind_of)
def test_truncated_data_are_refused(packet: Packet) -> None:
    data = encode_list(packet.to_items())
    for size in range(len(data)):
        assert refusal(seal(packet.kind, data[:size])) == "data"


@pytest.mark.parametrize("packet", ALL_PACKETS, ids=kind_of)
def test_a_missing_field_is_refused(packet: Packet) -> None:
    required = [item for item in packet.to_items() if item != b"\x07"]
    for count in range(len(required)):
        assert refusal(seal(packet.kind, encode_list(required[:count]))) == "data"


@pytest.mark.parametrize("packet", ALL_PACKETS, ids=kind_of)
def test_a_further_item_that_does_not_fit_its_list_is_refused(packet: Packet) -> None:
    items = [*packet.to_items(), b"\xb8\x40"]
    assert refusal(seal(packet.kind, encode_list(items))) == "data"


@pytest.mark.parametrize("data", [b"\x80", b"\x05", b"\x85hello", b"\xc0"])
@pytest.mark.parametrize("kind", list(PacketType))
def test_data_that_are_no_list_of_fields_are_refused(kind: PacketType, data: bytes) -> None:
    assert refusal(seal(kind, data)) == "data"


ABSENT = {
    "a list": b"\xc0",
    "a list of an integer": b"\xc1\x05",
    "a deep list": encode_rlp([[[[[]]]]]),
    "nine bytes": b"\x89" + b"\x01" * 9,
    "a long string": encode_rlp(b"x" * 100),
    "a very long string": encode_rlp(b"x" * 1025),
    "an integer with a leading zero": b"\x82\x00\x01",
    "a zero byte": b"\x00",
}


@pytest.mark.parametrize("item", ABSENT.values(), ids=ABSENT)
@pytest.mark.parametrize("packet", [PING, Pong(HERE, bytes(32), 5)], ids=kind_of)
def test_a_sequence_number_that_is_none_counts_as_absent(packet: Packet, item: bytes) -> None:
    assert read(packet.kind, encode_list([*packet.to_items(), item])) == packet


def test_a_list_nested_to_the_end_of_the_packet_counts_as_absent() -> None:
    item = b"\xc0"
    while len(item) < 1000:
        item = encode_list([item])
    assert read(1, encode_list([*PING.to_items(), item])) == PING


@pytest.mark.parametrize("seq", [0, 1, 127, 128, 2**32, 2**64 - 1])
def test_a_sequence_number_of_64_bits_is_read(seq: int) -> None:
    assert decode(encode(KEY, replace(PING, enr_seq=seq))[0]).packet == replace(PING, enr_seq=seq)


@pytest.mark.parametrize("size", [1, 3, 5, 15, 17, 64])
def test_an_address_of_an_odd_size_counts_as_none(size: int) -> None:
    odd = encode_rlp([b"\x7f" * size, 1, 2])
    data = encode_list([b"\x04", odd, odd, b"\x05"])
    assert read(1, data) == Ping(4, NodeEndpoint(None, 1, 2), NodeEndpoint(None, 1, 2), 5)


def test_a_neighbor_without_address_does_not_spoil_the_others() -> None:
    nodes = (NeighborNode(None, 1, 2, TARGET), NeighborNode(*HERE, TARGET))
    assert decode(encode(KEY, Neighbors(nodes, 5))[0]).packet == Neighbors(nodes, 5)


def test_a_mapped_address_is_read_and_written_as_ipv4() -> None:
    mapped = NodeEndpoint(IPv6Address("::ffff:127.0.0.1"), 3322, 5544)
    assert encode(KEY, replace(PING, sender=mapped)) == encode(KEY, PING)
    raw = encode_rlp([mapped.ip.packed, 3322, 5544])
    data = encode_list([b"\x04", raw, raw, b"\x05"])
    assert read(1, data) == Ping(4, HERE, HERE, 5)


@pytest.mark.parametrize("items", [[b"\x7f\0\0\1", 1], [b"\x7f\0\0\1", 1, 2, 3], [[], 1, 2]])
def test_an_endpoint_of_another_form_is_refused(items: list[object]) -> None:
    data = encode_list([b"\x04", encode_rlp(items), encode_rlp([b"", 0, 0]), b"\x05"])
    assert refusal(seal(1, data)) == "data"


@pytest.mark.parametrize("udp, tcp", [(2**16, 1), (1, 2**16), (2**64, 1)])
def test_a_port_of_more_than_16_bits_is_refused(udp: int, tcp: int) -> None:
    place = encode_rlp([b"\x7f\0\0\1", udp, tcp])
    assert refusal(seal(2, encode_list([place, b"\x80", b"\x05"]))) == "data"
    node = encode_rlp([b"\x7f\0\0\1", udp, tcp, TARGET])
    assert refusal(seal(4, encode_list([encode_list([node]), b"\x05"]))) == "data"


@pytest.mark.parametrize("packet", ALL_PACKETS[:5], ids=kind_of)
@pytest.mark.parametrize("raw", [b"\x89\x01" + bytes(8), b"\x00", b"\x82\x00\x01", b"\xc0"])
def test_an_expiration_that_is_no_integer_of_64_bits_is_refused(packet: Packet, raw: bytes) -> None:
    items = [raw if item == encode_rlp(packet.expiration) else item for item in packet.to_items()]
    assert raw in items
    assert refusal(seal(packet.kind, encode_list(items))) == "data"


@pytest.mark.parametrize("record", [b"\x80", b"\x05", encode_rlp(b"x" * 300)])
def test_an_answer_whose_record_is_no_list_is_refused(record: bytes) -> None:
    assert refusal(seal(6, encode_list([encode_rlp(bytes(32)), record]))) == "data"


def test_an_answer_with_a_record_that_is_too_large_is_refused() -> None:
    allowed, too_large = encode_rlp([bytes(294)]), encode_rlp([bytes(295)])
    assert (len(allowed), len(too_large)) == (300, 301)
    head = encode_rlp(bytes(32))
    assert read(6, encode_list([head, allowed])) == ENRResponse(bytes(32), allowed)
    assert refusal(seal(6, encode_list([head, too_large]))) == "data"


def test_the_record_is_given_as_it_was_signed() -> None:
    packet = decode(encode(KEY, ENRResponse(bytes(32), RECORD))[0]).packet
    assert isinstance(packet, ENRResponse)
    assert Record.from_rlp(packet.record).public_key == KEY.public_key


# Expiration.

NOW = 1_700_000_000.5


@pytest.mark.parametrize("expiration", [1_700_000_001, 1_700_000_020, 2**40, 2**63 - 2**36])
def test_a_packet_of_the_future_is_not_expired(expiration: int) -> None:
    assert not is_expired(expiration, NOW)


@pytest.mark.parametrize("expiration", [0, 1, 1_136_239_445, 1_700_000_000])
def test_a_packet_of_the_past_is_expired(expiration: int) -> None:
    assert is_expired(expiration, NOW)


@pytest.mark.parametrize("before", [1, 20, 10**9, 2**62, 2**63])
def test_a_negative_expiration_is_in_the_past(before: int) -> None:
    assert is_expired(2**64 - before, NOW)


def test_an_expiration_beyond_the_time_of_go_is_in_the_past() -> None:
    assert is_expired(2**63 - 1, NOW)
    assert not is_expired(2**63 - 1 - 62_135_596_800, NOW)


def test_a_packet_is_valid_to_the_very_second_it_names() -> None:
    assert not is_expired(1_700_000_000, 1_700_000_000.0)
    assert is_expired(1_700_000_000, 1_700_000_000.001)


# What we write.


def neighbors(count: int, ip: str) -> Neighbors:
    node = NeighborNode(ip_address(ip), 65535, 65535, b"\xff" * 64)
    return Neighbors([node] * count, 2**64 - 1)


def test_the_most_neighbors_fit_into_a_packet_with_the_longest_addresses() -> None:
    datagram, _ = encode(KEY, neighbors(MAX_NEIGHBORS, "ffff::ffff"))
    assert len(datagram) <= MAX_PACKET_SIZE
    with pytest.raises(EncodeError, match="1280 fit"):
        encode(KEY, neighbors(MAX_NEIGHBORS + 1, "ffff::ffff"))


def test_what_would_be_larger_than_a_packet_is_refused() -> None:
    room = MAX_PACKET_SIZE - len(encode(KEY, Pong(HERE, bytes(1000), 5))[0])
    assert len(encode(KEY, Pong(HERE, bytes(1000 + room), 5))[0]) == MAX_PACKET_SIZE
    with pytest.raises(EncodeError, match="a pong packet of 1281 bytes"):
        encode(KEY, Pong(HERE, bytes(1001 + room), 5))


IMPOSSIBLE = [
    replace(PING, version=-1),
    replace(PING, version=2**64),
    replace(PING, expiration=-1),
    replace(PING, expiration=2**64),
    replace(PING, enr_seq=2**64),
    replace(PING, enr_seq=-1),
    replace(PING, sender=NodeEndpoint(None, 65536, 0)),
    replace(PING, recipient=NodeEndpoint(None, 0, -1)),
    FindNode(bytes(63), 5),
    FindNode(bytes(65), 5),
    Neighbors([NeighborNode(None, 1, 1, bytes(33))], 5),
    Neighbors([NeighborNode(None, 1, 65536, TARGET)], 5),
    ENRResponse(bytes(32), encode_rlp([bytes(300)])),
    ENRResponse(bytes(32), b"\x05"),
    ENRResponse(bytes(32), RECORD + b"\x00"),
    ENRResponse(bytes(32), b""),
]


@pytest.mark.parametrize("packet", IMPOSSIBLE, ids=lambda packet: str(packet.kind))
def test_a_value_that_does_not_fit_its_field_is_refused(packet: Packet) -> None:
    with pytest.raises(EncodeError):
        encode(KEY, packet)


# Whatever comes.

uint64s = st.integers(0, 2**64 - 1)
ports = st.integers(0, 2**16 - 1)
addresses = st.one_of(
    st.none(),
    st.builds(IPv4Address, st.integers(0, 2**32 - 1)),
    st.builds(IPv6Address, st.integers(2**48, 2**128 - 1)),
)
endpoints = st.builds(NodeEndpoint, addresses, ports, ports)
keys = st.binary(min_size=64, max_size=64)
seqs = st.none() | uint64s
packets = st.one_of(
    st.builds(Ping, uint64s, endpoints, endpoints, uint64s, seqs),
    st.builds(Pong, endpoints, st.binary(max_size=40), uint64s, seqs),
    st.builds(FindNode, keys, uint64s),
    st.builds(
        Neighbors,
        st.lists(st.builds(NeighborNode, addresses, ports, ports, keys), max_size=12).map(tuple),
        uint64s,
    ),
    st.builds(ENRRequest, uint64s),
    st.builds(
        ENRResponse,
        st.binary(max_size=40),
        st.lists(st.binary(max_size=40), max_size=6).map(encode_rlp),
    ),
)


@given(packets)
def test_what_is_written_is_read(packet: Packet) -> None:
    datagram, packet_hash = encode(KEY, packet)
    assert len(datagram) <= MAX_PACKET_SIZE
    assert decode(datagram) == Received(packet, KEY.public_key, packet_hash)


@given(st.binary(max_size=1400))
def test_noise_is_refused(datagram: bytes) -> None:
    assert refusal(datagram) in ("size", "hash")


@given(st.integers(1, 6), st.binary(max_size=1182))
def test_noise_in_a_sealed_packet_is_refused_or_read(kind: int, data: bytes) -> None:
    try:
        assert decode(seal(kind, data)).packet.kind == kind
    except PacketError as error:
        assert error.reason == "data"


@given(packets, st.data())
def test_changed_packets_with_right_hash_and_signature_are_refused_or_read(
    packet: Packet, data: st.DataObject
) -> None:
    changed = bytearray(encode(KEY, packet)[0][98:])
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(changed) - 1))
        changed[position : position + data.draw(st.integers(0, 2))] = data.draw(
            st.binary(max_size=2)
        )
        changed = changed or bytearray(1)
    try:
        received = decode(seal(data.draw(st.sampled_from(PacketType)), bytes(changed[:1182])))
    except PacketError as error:
        assert isinstance(error.__cause__, DecodeError)
    else:
        assert decode(encode(KEY, received.packet)[0]).packet == received.packet


@given(packets, st.integers(32, 96), st.integers(1, 255))
def test_a_changed_signature_is_refused_or_names_another_key(
    packet: Packet, position: int, mask: int
) -> None:
    changed = bytearray(encode(KEY, packet)[0][32:])
    changed[position - 32] ^= mask
    try:
        received = decode(keccak256(bytes(changed)) + bytes(changed))
    except PacketError as error:
        assert error.reason == "signature"
    else:
        assert received.packet == packet
        assert received.public_key != KEY.public_key
