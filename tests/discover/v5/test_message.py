from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p.codec import encode as rlp
from p2p.discover.v5.fields import MAX_TICKET_SIZE, MAX_TOPIC_DISTANCES
from p2p.discover.v5.message import (
    FindNode,
    Message,
    MessageType,
    Nodes,
    Ping,
    Pong,
    RegConfirmation,
    RegTopic,
    TalkRequest,
    TalkResponse,
    TopicNodes,
    TopicQuery,
    decode,
    encode,
)
from p2p.discover.v5.packet import MAX_PACKET_SIZE, handshake_head
from p2p.enr import SIZE_LIMIT, Record
from p2p.errors import DecodeError, EncodeError
from p2p.netutil import Endpoint
from tests.discover.v5.vectors import VECTORS, unhex

CASES: dict[str, dict[str, Any]] = {case["name"]: case for case in VECTORS["messages"]}
#: go-ethereum reads addresses of any length; a node has none of 5 bytes.
STRICTER = {"pong-ip-5-bytes"}
HOME = Endpoint(IPv4Address("127.0.0.1"), 5000)

request_ids = st.binary(max_size=8)
seqs = st.integers(0, 2**64 - 1)
record = st.binary(max_size=30).map(lambda data: rlp([data]))
records = st.lists(record, max_size=4).map(tuple)
topics = st.binary(min_size=32, max_size=32)
tickets = st.binary(max_size=MAX_TICKET_SIZE)
distances = st.lists(st.integers(0, 256), max_size=MAX_TOPIC_DISTANCES).map(tuple)
messages: st.SearchStrategy[Message] = st.one_of(
    st.builds(Ping, request_ids, seqs),
    st.builds(
        Pong,
        request_ids,
        seqs,
        st.builds(Endpoint, st.ip_addresses(v=4), st.integers(0, 65535)),
    ),
    st.builds(FindNode, request_ids, st.lists(st.integers(0, 256)).map(tuple)),
    st.builds(Nodes, request_ids, st.integers(0, 255), records),
    st.builds(TalkRequest, request_ids, st.binary(), st.binary()),
    st.builds(TalkResponse, request_ids, st.binary()),
    st.builds(RegTopic, request_ids, topics, record, tickets, distances),
    st.builds(RegConfirmation, request_ids, st.integers(0, 255), tickets, seqs),
    st.builds(TopicQuery, request_ids, topics, distances),
    st.builds(TopicNodes, request_ids, st.integers(0, 255), records),
)

TOPIC = bytes(range(32))
RECORD = rlp([b"record"])
#: Bytes that the encryption of a message adds.
TAG_SIZE = 16


def test_no_vector_is_left_out() -> None:
    assert len(CASES) == 23


@pytest.mark.parametrize("name", CASES)
def test_vectors_are_accepted_where_go_ethereum_does(name: str) -> None:
    data = unhex(CASES[name], "encoded")
    if CASES[name]["go_ethereum_decode"].startswith("ok") and name not in STRICTER:
        assert str(decode(data).kind).upper() in CASES[name]["go_ethereum_decode"]
    else:
        with pytest.raises(DecodeError):
            decode(data)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ping", Ping(b"\x01", 1)),
        ("pong", Pong(b"\x01", 1, HOME)),
        ("findnode", FindNode(b"\x01", (256,))),
        ("nodes-empty", Nodes(b"\x01", 1, ())),
        ("talkreq", TalkRequest(b"\x01", b"echo", b"hi")),
        ("talkresp", TalkResponse(b"\x01", b"hi")),
    ],
)
def test_vectors_are_read_and_written(name: str, message: Message) -> None:
    data = unhex(CASES[name], "encoded")
    assert decode(data) == message
    assert encode(message) == data


def test_records_of_nodes_are_those_of_the_vector() -> None:
    case = CASES["nodes-two"]
    message = decode(unhex(case, "encoded"))
    assert isinstance(message, Nodes)
    assert [Record.from_rlp(record).to_text() for record in message.records] == case["records"]
    assert encode(message) == unhex(case, "encoded")


@given(message=messages)
def test_messages_come_back(message: Message) -> None:
    assert decode(encode(message)) == message


@given(data=st.binary(max_size=200) | messages.map(encode))
def test_other_bytes_are_a_decode_error(data: bytes) -> None:
    for wrong in (data, data[:-1], data + b"\x00"):
        try:
            decode(wrong)
        except DecodeError:
            continue


def test_mapped_address_is_ipv4() -> None:
    mapped = Endpoint(IPv6Address("::ffff:127.0.0.1"), 5000)
    assert decode(encode(Pong(b"\x01", 1, mapped))) == Pong(b"\x01", 1, HOME)


@pytest.mark.parametrize(
    "message",
    [
        Ping(bytes(9), 1),
        Ping(b"", 2**64),
        Pong(b"", 1, Endpoint(HOME.ip, 65536)),
        FindNode(b"", (257,)),
        Nodes(b"", 256, ()),
        Nodes(b"", 1, (b"abc",)),
        Nodes(b"", 1, (rlp([bytes(300)]),)),
        RegTopic(b"", TOPIC[1:], RECORD, b"", ()),
        RegTopic(b"", TOPIC, b"abc", b"", ()),
        RegTopic(b"", TOPIC, RECORD, bytes(MAX_TICKET_SIZE + 1), ()),
        RegTopic(b"", TOPIC, RECORD, b"", (257,)),
        RegTopic(b"", TOPIC, RECORD, b"", (1,) * (MAX_TOPIC_DISTANCES + 1)),
        RegConfirmation(b"", 256, b"", 0),
        RegConfirmation(b"", 1, bytes(MAX_TICKET_SIZE + 1), 0),
        RegConfirmation(b"", 1, b"", 2**64),
        TopicQuery(b"", TOPIC + b"\0", ()),
        TopicNodes(b"", 1, (b"abc",)),
    ],
)
def test_value_that_does_not_fit_is_an_encode_error(message: Message) -> None:
    with pytest.raises(EncodeError):
        encode(message)


def test_names_are_those_of_the_specification() -> None:
    names = ["ping", "pong", "findnode", "nodes", "talkreq", "talkresp"]
    names += ["regtopic", "regconfirmation", "topicquery", "topicnodes"]
    assert [str(kind) for kind in MessageType] == names


# Topics, by the layouts of discv5-wire.


@pytest.mark.parametrize(
    ("message", "layout"),
    [
        (
            RegTopic(b"\1", TOPIC, RECORD, b"", (256, 9)),
            (7, [b"\1", TOPIC, [b"record"], b"", [256, 9]]),
        ),
        (RegTopic(b"\1", TOPIC, RECORD, b"t", ()), (7, [b"\1", TOPIC, [b"record"], b"t", []])),
        (RegConfirmation(b"\1", 2, b"t", 1000), (8, [b"\1", 2, b"t", 1000])),
        (RegConfirmation(b"\1", 1, b"", 900_000), (8, [b"\1", 1, b"", 900_000])),
        (TopicQuery(b"\1", TOPIC, (255,)), (9, [b"\1", TOPIC, [255]])),
        (TopicNodes(b"\1", 3, (RECORD,)), (10, [b"\1", 3, [[b"record"]]])),
    ],
)
def test_layout_of_topic_messages(message: Message, layout: tuple[int, list[object]]) -> None:
    data = bytes([layout[0]]) + rlp(layout[1])
    assert encode(message) == data
    assert decode(data) == message


@pytest.mark.parametrize(
    ("kind", "items"),
    [
        (7, [b"", TOPIC, [b"record"], b""]),
        (7, [b"", TOPIC[1:], [b"record"], b"", []]),
        (7, [b"", TOPIC, b"record", b"", []]),
        (7, [b"", TOPIC, [bytes(300)], b"", []]),
        (7, [b"", TOPIC, [b"record"], bytes(MAX_TICKET_SIZE + 1), []]),
        (7, [b"", TOPIC, [b"record"], b"", b"\1"]),
        (7, [b"", TOPIC, [b"record"], b"", [b"\0\1"]]),
        (8, [b"", 256, b"", 0]),
        (8, [b"", 1, bytes(MAX_TICKET_SIZE + 1), 0]),
        (8, [b"", 1, b"", 2**64]),
        (9, [b"", TOPIC + b"\0", []]),
        (9, [b"", TOPIC]),
        (10, [b"", 256, []]),
        (10, [b"", 1, [b"record"]]),
        (10, [bytes(9), 1, []]),
    ],
)
def test_topic_message_beyond_a_bound_is_refused(kind: int, items: list[object]) -> None:
    with pytest.raises(DecodeError):
        decode(bytes([kind]) + rlp(items))


def test_distances_beyond_the_bound_are_not_read() -> None:
    data = b"\x09" + rlp([b"", TOPIC, list(range(1, 100))])
    message = decode(data)
    assert isinstance(message, TopicQuery)
    assert message.distances == tuple(range(1, MAX_TOPIC_DISTANCES + 1))


def test_largest_registration_fits_a_handshake_packet() -> None:
    record = rlp([bytes(294)])
    assert len(record) == SIZE_LIMIT
    distances = (256,) * MAX_TOPIC_DISTANCES
    request = RegTopic(bytes(8), TOPIC, record, bytes(MAX_TICKET_SIZE), distances)
    head = handshake_head(bytes(16), bytes(12), bytes(32), bytes(64), bytes(33), record)
    assert len(head) + len(encode(request)) + TAG_SIZE <= MAX_PACKET_SIZE
