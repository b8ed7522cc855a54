"""The decoder of a capture: packets in, events out.

Pure. It owns the table of TCP connections, which is bounded: the one longest without a packet is
ended when another one comes. :mod:`p2p.capture.file` reads the packets from a file.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from itertools import count

from p2p.capture.connection import CapturedConnection
from p2p.capture.discovery import DiscoveryReader
from p2p.capture.event import Event, MessageSeen, Remark
from p2p.capture.keys import KeyRing
from p2p.capture.messages import MessageDecoder
from p2p.capture.packets import LINK_TYPES, Datagram, Segment, parse_packet
from p2p.crypto import PublicKey
from p2p.enode.nodeid import NodeID
from p2p.errors import InvalidKey
from p2p.netutil import Endpoint
from p2p.rlpx.messages import Hello

#: TCP connections that are followed at a time.
MAX_CONNECTIONS = 10_000


class CaptureDecoder:
    """The decoder of the packets of a capture, with the secrets of a key log."""

    def __init__(self, link_type: int, keys: KeyRing, decoders: Sequence[MessageDecoder]) -> None:
        # fixed after __init__
        self._link_type = link_type
        self._keys = keys
        self._decoders = decoders
        self._numbers = count(1)
        # changed by packets
        self._discovery = DiscoveryReader(keys)
        self._connections: OrderedDict[frozenset[Endpoint], CapturedConnection] = OrderedDict()
        self._cut_off = 0
        self._last_time = 0.0

    def receive(self, data: bytes, time: float) -> Iterator[Event]:
        """Take a captured packet. Yields the events."""
        self._last_time = time
        packet = parse_packet(self._link_type, data)
        if packet is None:
            return
        if packet.size > len(packet.payload):
            self._cut_off += 1
        if isinstance(packet, Datagram):
            seen = self._discovery.read(packet, time)
            if seen is not None:
                yield seen
            return
        for event in self._receive_segment(packet, time):
            self._learn(event)
            yield event

    def end(self) -> Iterator[Event]:
        """Yield the events at the end of the capture."""
        for connection in self._connections.values():
            yield from connection.end(self._last_time)
        self._connections.clear()
        for text in self._remarks():
            yield Remark(self._last_time, text)

    def _receive_segment(self, segment: Segment, time: float) -> Iterator[Event]:
        ends = segment.source, segment.destination
        key = frozenset(ends)
        connection = self._connections.get(key)
        if connection is not None and connection.is_restarted_by(segment):
            yield from connection.end(time)
            connection = None
        if connection is None:
            connection = CapturedConnection(ends, self._keys, self._decoders, self._next_number)
            self._connections[key] = connection
        self._connections.move_to_end(key)
        if len(self._connections) > MAX_CONNECTIONS:
            yield from self._connections.popitem(last=False)[1].end(time)
        yield from connection.receive(segment, time)

    def _next_number(self) -> int:
        return next(self._numbers)

    def _learn(self, event: Event) -> None:
        """Note the node of a hello: it may send packets of discovery v5."""
        if isinstance(event, MessageSeen) and isinstance(event.value, Hello):
            try:
                public_key = PublicKey.from_bytes(event.value.node_key)
            except InvalidKey:
                return
            self._discovery.learn(NodeID.from_public_key(public_key))

    def _remarks(self) -> Iterator[str]:
        if self._link_type not in LINK_TYPES:
            yield f"link type {self._link_type} is not known, so no packet could be read"
        if self._cut_off:
            yield f"{self._cut_off} packets are cut off: capture them whole, tcpdump -s 0"
        if self._keys.trials_left <= 0:
            yield (
                "too many connections begin before the capture: not all secrets were tried on "
                "them; capture fewer connections, or name the ones that matter in a filter"
            )
