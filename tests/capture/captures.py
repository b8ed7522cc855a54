"""Captures made by hand: a conversation of two machines as packets, and files of packets."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path

from p2p import rlp
from p2p.capture.decoder import CaptureDecoder
from p2p.capture.event import Event, MessageSeen
from p2p.capture.keys import KeyRing
from p2p.keylog.lines import ConnectionKeys, Keys, connection_id
from p2p.netutil import Endpoint
from p2p.observe import ConnectionObserver, Secrets
from tests.rlpx.pair import PROTOCOLS, Pair, Protocols

FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10
ALICE_END = Endpoint(ip_address("192.0.2.1"), 50_000)
BOB_END = Endpoint(ip_address("198.51.100.2"), 30_303)
#: Sequence numbers that wrap soon.
ISNS = (2**32 - 300, 77)
ETHERNET, LOOPBACK, RAW, LOOP, SLL, SLL2 = 1, 0, 12, 108, 113, 276


class Tape(ConnectionObserver):
    """Observer that keeps the secrets of an end, and its data in a list of both ends."""

    def __init__(self, side: int, said: list[tuple[int, bytes]]) -> None:
        self.side = side
        self.said = said
        self.found: list[Secrets] = []

    def data_out(self, buffers: Sequence[bytes]) -> None:
        self.said += [(self.side, bytes(buffer)) for buffer in buffers]

    def secrets(self, secrets: Secrets) -> None:
        self.found.append(secrets)


@dataclass
class Conversation:
    """Data of both ends, in order: 0 is the end that dialed."""

    said: list[tuple[int, bytes]]
    keys: ConnectionKeys


def converse(
    *messages: tuple[int, int, bytes],
    versions: tuple[int, int] = (5, 5),
    ends: bool = False,
    protocols: Protocols = PROTOCOLS,
) -> Conversation:
    """Two machines that say ``messages``, (side, wire code, payload), and then part if ``ends``."""
    said: list[tuple[int, bytes]] = []
    tapes = Tape(0, said), Tape(1, said)
    pair = Pair(observers=tapes, versions=versions, alice=protocols, bob=protocols).drive()
    for side, code, payload in messages:
        (pair.alice, pair.bob)[side].machine.send_messages([(code, payload)])
        pair.drive()
    if ends:
        pair.alice.machine.disconnect(8)
        pair.drive()
    (secrets,) = tapes[0].found
    connection = connection_id(secrets.packets[0])
    keys = ConnectionKeys(connection, secrets.aes, secrets.mac, *secrets.nonces)
    return Conversation(said, keys)


@dataclass(frozen=True)
class Seg:
    """A TCP segment; ``at`` is the offset in the stream of its side, -1 for a SYN."""

    side: int
    at: int
    data: bytes = b""
    flags: int = ACK
    ack: int = 0

    def cut(self, start: int, end: int | None = None) -> Seg:
        """A part of it."""
        return replace(self, at=self.at + start, data=self.data[start:end])


def segments(conversation: Conversation, size: int = 1400) -> list[Seg]:
    """The segments of a conversation, with those that begin and end it."""
    found = [Seg(0, -1, flags=SYN), Seg(1, -1, flags=SYN | ACK)]
    sent = [0, 0]
    for side, data in conversation.said:
        for start in range(0, len(data), size):
            part = data[start : start + size]
            found.append(Seg(side, sent[side], part, ack=sent[1 - side]))
            sent[side] += len(part)
    for side in (0, 1):
        found.append(Seg(side, sent[side], flags=FIN | ACK, ack=sent[1 - side] + side))
    return found


def tcp(segment: Seg, ends: tuple[Endpoint, Endpoint] = (ALICE_END, BOB_END)) -> bytes:
    """The IP packet of a segment."""
    source, destination = ends if segment.side == 0 else ends[::-1]
    seq = (ISNS[segment.side] + 1 + segment.at) % 2**32
    ack = (ISNS[1 - segment.side] + 1 + segment.ack) % 2**32
    ports = source.port, destination.port
    head = struct.pack(">HHIIBBHHH", *ports, seq, ack, 8 << 4, segment.flags, 65535, 0, 0)
    head += bytes([1, 1, 8, 10]) + bytes(8)  # options
    return ip(6, source, destination, head + segment.data)


def udp(source: Endpoint, destination: Endpoint, data: bytes) -> bytes:
    """The IP packet of a datagram."""
    head = struct.pack(">HHHH", source.port, destination.port, 8 + len(data), 0)
    return ip(17, source, destination, head + data)


def ip(protocol: int, source: Endpoint, destination: Endpoint, body: bytes) -> bytes:
    addresses = source.ip.packed + destination.ip.packed
    if source.ip.version == 4:
        size = 20 + len(body)
        return struct.pack(">BxHHHBBH", 0x45, size, 0, 0x4000, 64, protocol, 0) + addresses + body
    return struct.pack(">IHBB", 6 << 28, len(body), protocol, 64) + addresses + body


def framed(link_type: int, packet: bytes) -> bytes:
    """An IP packet with the header of a link layer."""
    is_v4 = packet[0] >> 4 == 4
    kind = struct.pack(">H", 0x0800 if is_v4 else 0x86DD)
    if link_type == ETHERNET:
        return bytes(12) + kind + packet
    if link_type == SLL:
        return bytes(14) + kind + packet
    if link_type == SLL2:
        return kind + bytes(18) + packet
    if link_type in (LOOPBACK, LOOP):
        order = "<" if link_type == LOOPBACK else ">"
        return struct.pack(f"{order}I", 2 if is_v4 else 10) + packet
    return packet


def decode(
    packets: Iterable[bytes], *keys: Keys, decoders: Sequence[object] = (), link_type: int = RAW
) -> list[Event]:
    """The events of packets, one each millisecond."""
    decoder = CaptureDecoder(link_type, KeyRing(keys), decoders)  # type: ignore[arg-type]
    found: list[Event] = []
    for number, packet in enumerate(packets):
        found += decoder.receive(framed(link_type, packet), number / 1000)
    return found + list(decoder.end())


def messages(events: Iterable[Event]) -> list[tuple[int, int, bytes]]:
    """The messages beyond the base protocol: side, wire code and payload."""
    return [
        (int(event.source.port == BOB_END.port), event.wire_code, event.payload)
        for event in events
        if isinstance(event, MessageSeen) and event.wire_code >= 16
    ]


def write_pcap(
    path: Path,
    packets: Iterable[bytes],
    *,
    link_type: int = RAW,
    snaplen: int = 262_144,
    order: str = "<",
    nanoseconds: bool = False,
) -> None:
    """A file of tcpdump, with one packet each millisecond."""
    magic = 0xA1B23C4D if nanoseconds else 0xA1B2C3D4
    number = {RAW: 101}.get(link_type, link_type)  # files have numbers of their own
    data = struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, snaplen, number)
    for count, packet in enumerate(packets):
        whole = framed(link_type, packet)
        kept = whole[:snaplen]
        parts = count * (1_000_000 if nanoseconds else 1000)
        data += struct.pack(f"{order}IIII", 1_700_000_000, parts, len(kept), len(whole)) + kept
    path.write_bytes(data)


def write_pcapng(
    path: Path,
    packets: Iterable[bytes],
    links: Sequence[int] = (ETHERNET,),
    start_us: int = 1_700_000_000_000_000,
) -> None:
    """A file of Wireshark; each packet is of the first interface, one each millisecond."""
    data = _block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
    for link_type in links:
        data += _block(1, struct.pack("<HHI", link_type, 0, 262_144))
    for count, packet in enumerate(packets):
        whole = framed(links[0], packet)
        stamp = start_us + count * 1000
        sizes = len(whole), len(whole)
        head = struct.pack("<IIIII", 0, stamp >> 32, stamp % 2**32, *sizes)
        data += _block(6, head + whole)
        data += _block(5, bytes(12))  # interface statistics
    path.write_bytes(data)


def _block(kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    size = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + size + body + size


#: A conversation with a text that decodes, one that does not, and an unknown code; its packets.
TALK = converse(
    (0, 17, rlp.encode(["alice", "hello \x1b[31m"])),
    (1, 17, b"\xff"),
    (1, 19, b"\x01\x02"),
    ends=True,
)
PACKETS = [tcp(segment) for segment in segments(TALK)]
