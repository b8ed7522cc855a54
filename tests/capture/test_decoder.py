"""Captures that go well, and captures with everything that a network and tcpdump do to them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import ip_address
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis.strategies import (
    DataObject,
    binary,
    data,
    integers,
    lists,
    permutations,
    sampled_from,
    sets,
)

import p2p
from p2p.capture import connection, frames, keys
from p2p.capture.decoder import MAX_CONNECTIONS, CaptureDecoder
from p2p.capture.event import (
    ConnectionEnded,
    ConnectionSeen,
    Event,
    MessageSeen,
    MessagesLost,
    Remark,
)
from p2p.capture.keys import KeyRing
from p2p.capture.packets import LINK_TYPES, parse_packet
from p2p.discreason import DiscReason
from p2p.errors import DecodeError
from p2p.keylog.lines import ConnectionKeys, Keys
from p2p.netutil import Endpoint
from p2p.rlpx import Cap
from tests.capture import captures
from tests.capture.captures import (
    ACK,
    ALICE_END,
    BOB_END,
    ETHERNET,
    LOOP,
    LOOPBACK,
    RAW,
    RST,
    SLL,
    SLL2,
    SYN,
    Conversation,
    Seg,
    converse,
    decode,
    framed,
    messages,
    segments,
    tcp,
    udp,
)

RANDOM = random.Random(7)
#: Messages of both ends: small ones, some that compress well, a large one.
SAID = [
    (0, 16, b"first"),
    (1, 19, RANDOM.randbytes(3000)),
    (0, 18, bytes(2000)),
    (1, 17, b""),
    (0, 23, RANDOM.randbytes(40_000)),
    *((number % 2, 16 + number % 8, b"%d" % number) for number in range(20)),
]
TALK = converse(*SAID, ends=True)
SEGMENTS = segments(TALK)
PACKETS = [tcp(segment) for segment in SEGMENTS]


class Texts:
    """A protocol whose messages are texts."""

    def __init__(self, name: str, version: int, length: int) -> None:
        self.name, self.version, self.length = name, version, length

    def name_of(self, code: int) -> str:
        return f"Text{code}"

    def decode(self, code: int, payload: bytes) -> object:
        if code == 1:
            raise DecodeError("no text")
        return payload.decode("latin-1")


ALPHA, BETA = Texts("alpha", 1, 3), Texts("beta", 2, 5)


def lost(events: list[Event]) -> list[tuple[int, int | None]]:
    """Of each side's losses the side and the number of messages."""
    return [
        (int(event.source == BOB_END), event.count)
        for event in events
        if isinstance(event, MessagesLost)
    ]


def of_side(side: int, said: list[tuple[int, int, bytes]]) -> list[tuple[int, int, bytes]]:
    return [one for one in said if one[0] == side]


def are_in_order(got: list[tuple[int, int, bytes]]) -> bool:
    """Whether what each side said is a part of SAID, in its order."""
    for side in (0, 1):
        rest = iter(of_side(side, SAID))
        if not all(one in rest for one in of_side(side, got)):
            return False
    return True


def seen_of(side: int, events: list[Event]) -> list[MessageSeen]:
    ends = (ALICE_END, BOB_END)
    return [e for e in events if isinstance(e, MessageSeen) and e.source == ends[side]]


# captures without a fault


def test_whole_conversation_is_read() -> None:
    events = decode(PACKETS, TALK.keys)
    assert messages(events) == SAID
    first, *rest, last = events
    assert first == ConnectionSeen(first.time, 1, ALICE_END, BOB_END, True, True)
    assert isinstance(last, ConnectionEnded) and last.how == "FIN"
    seen = [event for event in rest if isinstance(event, MessageSeen)]
    assert len(seen) == len(rest) == len(SAID) + 3
    assert all(event.is_authentic for event in seen)
    assert [event.name for event in seen if event.cap is None and event.wire_code < 16] == [
        *("Hello", "Hello", "Disconnect")
    ]
    assert seen[-1].value is DiscReason.QUITTING
    assert sum(event.size for event in seen) == sum(
        len(data) for _, data in TALK.said[2:]
    )  # all but auth and ack


def test_messages_are_decoded_by_their_protocol() -> None:
    events = decode(PACKETS, TALK.keys, decoders=[BETA, ALPHA])
    seen = [event for event in events if isinstance(event, MessageSeen) and event.cap]
    for event, (_, wire_code, payload) in zip(seen, SAID, strict=True):
        cap, offset = (Cap("alpha", 1), 16) if wire_code < 19 else (Cap("beta", 2), 19)
        assert (event.cap, event.code) == (cap, wire_code - offset)
        assert event.name == f"Text{event.code}"
        if event.code == 1:
            assert (event.value, event.error) == (None, "no text")
        else:
            assert (event.value, event.error) == (payload.decode("latin-1"), "")


def test_codes_after_a_protocol_of_unknown_length_have_no_protocol() -> None:
    caps = [
        event.cap
        for decoders in ([BETA], [ALPHA])
        for event in decode(PACKETS, TALK.keys, decoders=decoders)
        if isinstance(event, MessageSeen) and event.wire_code >= 16
    ]
    assert set(caps[: len(SAID)]) == {Cap("alpha", 1)}  # of unknown length
    assert set(caps[len(SAID) :]) == {Cap("alpha", 1), Cap("beta", 2)}


@pytest.mark.parametrize("versions", [(5, 4), (4, 5), (4, 4)])
def test_conversation_without_compression(versions: tuple[int, int]) -> None:
    talk = converse(*SAID, versions=versions, ends=True)
    assert messages(decode(map(tcp, segments(talk)), talk.keys)) == SAID


@pytest.mark.parametrize("link_type", [ETHERNET, LOOPBACK, LOOP, RAW, SLL, SLL2])
@pytest.mark.parametrize("version", [4, 6])
def test_each_link_layer_and_version(link_type: int, version: int) -> None:
    assert link_type in LINK_TYPES
    ends = ALICE_END, BOB_END
    if version == 6:
        ends = (
            Endpoint(ip_address("2001:db8::1"), ALICE_END.port),
            Endpoint(ip_address("2001:db8::2"), BOB_END.port),
        )
    packets = [tcp(segment, ends) for segment in SEGMENTS]
    events = decode(packets, TALK.keys, link_type=link_type)
    assert messages(events) == SAID
    assert isinstance(events[0], ConnectionSeen)
    assert (events[0].source, events[0].destination) == ends


def test_vlan_tags_and_extension_headers_are_passed_over() -> None:
    packet = tcp(SEGMENTS[2])
    plain = parse_packet(RAW, packet)
    whole = framed(ETHERNET, packet)
    tagged = whole[:12] + bytes.fromhex("88a80001 81000002") + whole[12:]
    assert parse_packet(ETHERNET, tagged) == plain is not None
    ends = Endpoint(ip_address("2001:db8::1"), 1), Endpoint(ip_address("2001:db8::2"), 2)
    longer = bytearray(udp(*ends, b"data"))
    longer[4:6] = (12 + 8 + 16).to_bytes(2, "big")
    longer[6] = 0  # hop-by-hop, 8 bytes, then destination options, 16 bytes
    longer[40:40] = bytes([60, 0, *bytes(6), 17, 1, *bytes(14)])
    found = parse_packet(RAW, bytes(longer))
    assert found is not None and found.payload == b"data"


def test_fragments_and_other_protocols_are_left_out() -> None:
    packet = bytearray(PACKETS[2])
    packet[6] = 0x20  # more fragments
    assert parse_packet(RAW, bytes(packet)) is None
    packet[6], packet[9] = 0x40, 1  # ICMP
    assert parse_packet(RAW, bytes(packet)) is None
    assert parse_packet(ETHERNET, bytes(12) + b"\x08\x06" + bytes(40)) is None  # ARP


def test_connection_without_secrets_is_reported_once() -> None:
    events = decode(PACKETS)
    seen, ended = events
    assert isinstance(seen, ConnectionSeen) and not seen.has_keys
    assert isinstance(ended, ConnectionEnded)


@pytest.mark.parametrize("late", [3, 4, 5, len(PACKETS)])
def test_secrets_may_be_logged_after_the_handshake(late: int) -> None:
    """A capture under way: the end of the handshake is captured before it is logged."""
    arrived: list[Keys] = []
    decoder = CaptureDecoder(RAW, KeyRing(more=lambda: [arrived.pop()] if arrived else []), [])
    events: list[Event] = []
    for number, packet in enumerate(PACKETS):
        if number == late:
            arrived.append(TALK.keys)
        events += decoder.receive(packet, float(number))
    if late == len(PACKETS):
        assert [event.has_keys for event in events if isinstance(event, ConnectionSeen)] == [False]
    else:
        assert messages(events) == SAID and isinstance(events[0], ConnectionSeen)


def test_other_traffic_gives_no_events() -> None:
    talk = Conversation([(0, b"GET / HTTP/1.1\r\n" * 9), (1, bytes(100_000))], TALK.keys)
    greeting = Conversation([(1, b"220 ready\r\n" * 9000), (0, b"QUIT" * 20)], TALK.keys)
    for other in (talk, greeting):
        events = decode(map(tcp, segments(other)), TALK.keys)
        assert [type(event) for event in events] == []


def test_second_connection_between_the_same_ports() -> None:
    other = converse((0, 16, b"again"))
    packets = PACKETS + [tcp(segment) for segment in segments(other)]
    events = decode(packets, TALK.keys, other.keys)
    assert messages(events) == [*SAID, (0, 16, b"again")]
    assert [event.connection for event in events if isinstance(event, ConnectionSeen)] == [1, 2]


def test_connections_at_the_same_time_are_told_apart() -> None:
    other = converse((0, 16, b"other"), (1, 16, b"answer"))
    there = Endpoint(ip_address("203.0.113.9"), 40_000)
    packets = [tcp(segment, (there, BOB_END)) for segment in segments(other)]
    mixed = [packet for both in zip(packets, PACKETS, strict=False) for packet in both]
    events = decode(mixed + PACKETS[len(packets) :], TALK.keys, other.keys)
    assert sorted(messages(events)) == sorted([*SAID, (0, 16, b"other"), (1, 16, b"answer")])


def test_reset_ends_a_connection() -> None:
    packets = PACKETS[:-2] + [tcp(Seg(1, 0, flags=RST))] + PACKETS[-3:]
    events = decode(packets, TALK.keys)
    ends = [event for event in events if isinstance(event, ConnectionEnded)]
    assert [(end.how, end.source) for end in ends] == [("RST", BOB_END)]
    assert messages(events) == SAID


def test_messages_that_were_changed_are_marked() -> None:
    packets = list(PACKETS)
    changed = SEGMENTS[-3]  # the end of the last message
    assert changed.data
    packets[-3] = tcp(replace(changed, data=changed.data[:-20] + bytes(20)))
    seen = [e for e in decode(packets, TALK.keys) if isinstance(e, MessageSeen)]
    assert [event.is_authentic for event in seen] == [True] * (len(seen) - 1) + [False]


# retransmissions and reordering


def test_retransmissions_are_dropped() -> None:
    twice = [packet for packet in PACKETS for _ in range(2)]
    assert decode(twice, TALK.keys)[1].time > 0
    assert messages(decode(twice, TALK.keys)) == SAID
    assert lost(decode(PACKETS + PACKETS[3:], TALK.keys)) == []


@settings(max_examples=30)
@given(lists(integers(1, 1399), max_size=30), integers(0, 2**32))
def test_retransmissions_cut_elsewhere(cuts: list[int], seed: int) -> None:
    source = random.Random(seed)
    packets = []
    for segment in SEGMENTS:
        packets.append(tcp(segment))
        if segment.data and cuts:
            cut = source.choice(cuts) % len(segment.data)
            earlier = [one for one in SEGMENTS if one.side == segment.side and one.data]
            packets += [tcp(source.choice(earlier[: earlier.index(segment) + 1]).cut(cut))]
    assert messages(decode(packets, TALK.keys)) == SAID


@settings(max_examples=30)
@given(integers(0, 2**32))
def test_reordered_segments_are_put_in_order(seed: int) -> None:
    """Within each direction: the answers come after what they answer."""
    source = random.Random(seed)
    packets: list[Seg] = []
    run: list[Seg] = []
    for segment in [*SEGMENTS, Seg(2, 0)]:
        if run and (segment.side != run[0].side or segment.flags != ACK):
            source.shuffle(run)
            packets += run
            run = []
        run.append(segment)
    assert packets != SEGMENTS or seed
    assert messages(decode(map(tcp, packets), TALK.keys)) == SAID


# gaps


def data_segments() -> list[int]:
    """The numbers of the segments with frames."""
    handshake = [len(TALK.said[0][1]), len(TALK.said[1][1])]
    return [
        number
        for number, segment in enumerate(SEGMENTS)
        if segment.data and segment.at >= handshake[segment.side]
    ]


@pytest.mark.parametrize("number", data_segments())
def test_messages_after_a_missing_segment_are_read(number: int) -> None:
    packets = PACKETS[:number] + PACKETS[number + 1 :]
    events = decode(packets, TALK.keys, decoders=[ALPHA, BETA])
    got, side = messages(events), SEGMENTS[number].side
    assert are_in_order(got)
    assert of_side(1 - side, got) == of_side(1 - side, SAID)
    count = len(seen_of(side, events))
    whole = len(seen_of(side, decode(PACKETS, TALK.keys)))
    (loss,) = lost(events)
    is_last = number == max(n for n in data_segments() if SEGMENTS[n].side == side)
    assert loss[0] == side
    assert (loss[1] is None and is_last) or loss[1] == whole - count


@pytest.mark.parametrize("number", [0, 1, 2, 3])
def test_gap_in_the_handshake(number: int) -> None:
    """SYN, SYN of the other end, auth, ack."""
    packets = PACKETS[:number] + PACKETS[number + 1 :]
    events = decode(packets, TALK.keys, decoders=[ALPHA, BETA])
    got = messages(events)
    assert are_in_order(got) and len(got) == len(SAID)
    (seen,) = [event for event in events if isinstance(event, ConnectionSeen)]
    assert seen.has_keys and seen.from_start is (number != 2)


@settings(max_examples=40)
@given(data())
def test_any_gaps_leave_messages_in_order(draw: DataObject) -> None:
    gone = draw.draw(sets(integers(0, len(PACKETS) - 1), max_size=9))
    packets = [packet for number, packet in enumerate(PACKETS) if number not in gone]
    with short_searches():
        assert are_in_order(messages(decode(packets, TALK.keys)))


@pytest.mark.parametrize("snaplen", [96, 200, 1000])
def test_packets_cut_off_by_the_snapshot_length(snaplen: int) -> None:
    events = decode([packet[:snaplen] for packet in PACKETS], TALK.keys)
    got = messages(events)
    assert are_in_order(got)
    remark = events[-1]
    assert isinstance(remark, Remark) and "packets are cut off" in remark.text
    if snaplen == 1000:
        assert len(got) > len(SAID) // 2 and lost(events)


@pytest.mark.parametrize("first", [4, 6, 10, 20, len(PACKETS) - 14])
def test_capture_that_begins_in_the_middle(first: int) -> None:
    packets = PACKETS[first:]
    foreign = ConnectionKeys(bytes(32), bytes(32), bytes(32), bytes(32), bytes(32))
    events = decode(packets, TALK.keys, foreign, decoders=[ALPHA, BETA])
    (seen,) = [event for event in events if isinstance(event, ConnectionSeen)]
    assert seen.has_keys and not seen.from_start
    got = messages(events)
    for side in (0, 1):
        read = of_side(side, got)
        assert read == of_side(side, SAID)[-len(read) :] and len(read) >= 5
    caps = {event.cap for event in events if isinstance(event, MessageSeen) and event.cap}
    assert caps == {Cap("alpha", 1), Cap("beta", 2)}


def test_secrets_are_tried_on_connections_without_a_handshake_only_so_often(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(keys, "MAX_TRIALS", 2)
    monkeypatch.setattr(keys, "TRIAL_BLOCKS", 16)
    foreign = [ConnectionKeys(bytes([n]) * 32, bytes([n]) * 32, *[bytes(32)] * 3) for n in range(9)]
    events = decode(PACKETS[10:], *foreign)
    (remark,) = events
    assert isinstance(remark, Remark) and "begin before the capture" in remark.text


# hostile captures


@contextmanager
def short_searches() -> Iterator[None]:
    """Searches of 64 KiB instead of 64 MiB: those in vain take their time."""
    with (
        mock.patch.object(frames, "MAX_BLOCKS", 4096),
        mock.patch.object(keys, "TRIAL_BLOCKS", 4096),
    ):
        yield


@settings(max_examples=200)
@given(binary(max_size=200), sampled_from([*LINK_TYPES, 999]))
def test_any_packet_is_read_or_passed_over(packet: bytes, link_type: int) -> None:
    parse_packet(link_type, packet)


@settings(max_examples=60)
@given(data())
def test_changed_packets_raise_nothing(draw: DataObject) -> None:
    packets = list(PACKETS)
    for _ in range(10):
        number = draw.draw(integers(0, len(packets) - 1))
        place = draw.draw(integers(0, min(len(packets[number]) - 1, 120)))
        changed = bytearray(packets[number])
        changed[place] ^= draw.draw(integers(1, 255))
        packets[number] = bytes(changed)
    with short_searches():
        decode(packets, TALK.keys)


@settings(max_examples=30)
@given(permutations(range(len(PACKETS))))
def test_packets_in_any_order_raise_nothing(order: list[int]) -> None:
    with short_searches():
        decode([PACKETS[number] for number in order], TALK.keys)


def test_number_of_connections_is_bounded() -> None:
    packets = (
        tcp(Seg(0, -1, flags=SYN), (Endpoint(ip_address(number), 1), BOB_END))
        for number in range(1, MAX_CONNECTIONS + 100)
    )
    assert decode(packets) == []


def test_bytes_of_an_unknown_connection_are_bounded() -> None:
    data = bytes(1000)
    said = [(1, data)] * (2 * connection.MAX_UNKNOWN_SIZE // len(data))
    talk = Conversation([*said, (0, data)], TALK.keys)
    assert decode(map(tcp, segments(talk)), TALK.keys) == []


def test_bytes_of_a_foreign_connection_are_not_kept() -> None:
    """They were kept until it ended, 64 KiB for each of ten thousand."""
    late = Seg(0, 30_000, bytes(1400))  # waits for the one before, which does not come
    other = [Seg(0, -1, flags=SYN), late, Seg(0, 0, b"GET / HTTP/1.1\r\n" * 9)]
    decoder = CaptureDecoder(RAW, KeyRing(), [])
    for segment in other:
        assert list(decoder.receive(tcp(segment), 0.0)) == []
    (foreign,) = decoder._connections.values()
    assert foreign.kept_bytes == 0


def test_syn_that_is_sent_again_with_the_last_sequence_number() -> None:
    """It began another connection: numbers wrap."""
    with mock.patch.object(captures, "ISNS", (2**32 - 1, 77)):
        packets = [tcp(segment) for segment in segments(TALK)]
    events = decode([*packets[:9], packets[0], *packets[9:]], TALK.keys)
    assert [event.connection for event in events if isinstance(event, ConnectionSeen)] == [1]
    assert messages(events) == SAID


def test_messages_of_eth_are_decoded_without_being_given() -> None:
    hello = p2p.eth.BlockRangeUpdate(1, 2, b"\x05" * 32)
    code, payload = p2p.eth.ETH69.encode(hello)
    protocols = [(Cap("eth", 69), p2p.eth.ETH69.length), (Cap("snap", 1), p2p.eth.SNAP1.length)]
    request = p2p.eth.GetByteCodes(7, [bytes(32)], 1000)
    other, data = p2p.eth.SNAP1.encode(request)
    snap = 16 + p2p.eth.ETH69.length
    talk = converse((0, 16 + code, payload), (1, snap + other, data), protocols=protocols)
    seen = [e for e in decode(map(tcp, segments(talk)), talk.keys) if isinstance(e, MessageSeen)]
    assert [event.value for event in seen if event.cap] == [hello, request]
    assert [event.name for event in seen if event.cap] == ["BlockRangeUpdate", "GetByteCodes"]
