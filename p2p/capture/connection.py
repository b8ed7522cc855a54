"""A captured TCP connection that may be one of RLPx: both directions, its keys, its messages.

Pure. It owns the handshake: the auth packet names the secrets in the key log, and each end's packet
tells where its frames begin (rlpx.md, "Initial Handshake"). Without the handshake, because the
capture begins later or has a hole there, the secrets are searched among those that no other
connection has. A connection of anything else costs a few bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from p2p.capture.event import ConnectionEnded, ConnectionSeen, Event, MessageSeen, MessagesLost
from p2p.capture.frames import Frame, FrameDecoder, Item, Loss
from p2p.capture.messages import MessageDecoder, MessageReader
from p2p.capture.packets import ACK, FIN, RST, SYN, Segment
from p2p.capture.stream import Data, Piece, Stream
from p2p.crypto import OVERHEAD
from p2p.keylog.lines import ConnectionKeys, connection_of
from p2p.netutil import Endpoint
from p2p.rlpx.handshake import MAX_PACKET_SIZE, PLAIN_ACK_SIZE, PLAIN_AUTH_SIZE, mac_state

#: Bytes of a direction that are kept until the keys are known.
MAX_UNKNOWN_SIZE = 64 * 1024
#: Bytes of an auth packet that identify it.
_NAMED_SIZE = 35


class KeySource(Protocol):
    """The secrets of a key log."""

    def of(self, connection: bytes) -> ConnectionKeys | None:
        """Return the secrets of a connection, None if they are not there."""

    def search(self, data: bytes) -> ConnectionKeys | None:
        """Return the secrets that no connection has and that decrypt ``data``, from its middle."""

    def claim(self, keys: ConnectionKeys) -> None:
        """Note that a connection has these secrets."""


class _Direction:
    """The bytes that one end sends."""

    def __init__(self) -> None:
        self.stream: Stream | None = None
        self.has_start = False  # whether its SYN was seen
        self.has_ended = False
        self.buffer = bytearray()  # until frames are read
        self.has_hole = False  # in what the buffer would have
        self.frames: FrameDecoder | None = None


class CapturedConnection:
    """One TCP connection. ``ends`` are the sender of its first packet and the other end."""

    def __init__(
        self,
        ends: tuple[Endpoint, Endpoint],
        keys: KeySource,
        decoders: Sequence[MessageDecoder],
        number: Callable[[], int],
    ) -> None:
        # fixed after __init__
        self._ends = ends
        self._key_source = keys
        self._new_number = number
        # changed by packets
        self._number = 0
        self._directions = (_Direction(), _Direction())
        self._reader = MessageReader(decoders)
        self._keys: ConnectionKeys | None = None
        self._dialer = 0
        self._is_foreign = False
        self._has_searched = False
        #: Whether nothing more is to be read.
        self.is_over = False

    def receive(self, segment: Segment, time: float) -> list[Event]:
        """Take a segment of either end. Returns the events."""
        side = 0 if segment.source == self._ends[0] else 1
        own, other = self._directions[side], self._directions[1 - side]
        events: list[Event] = []
        if self.is_over:
            return events
        seq = segment.seq
        if segment.flags & SYN:
            seq = (seq + 1) % 2**32
            own.has_start = own.has_start or own.stream is None
        if own.stream is None:
            own.stream = Stream(seq)
        if segment.flags & ACK and other.stream is not None:
            self._take(1 - side, other.stream.acknowledge(segment.ack, time), time, events)
        if segment.size and not self._is_foreign:
            pieces = own.stream.add(seq, segment.payload, segment.size, time)
            self._take(side, pieces, time, events)
        if segment.flags & FIN:
            own.stream.finish((seq + segment.size) % 2**32)
        if segment.flags & (FIN | RST):
            self._note_end(side, segment.flags, time, events)
        return events

    def is_restarted_by(self, segment: Segment) -> bool:
        """Whether a segment begins another connection between the same ends."""
        stream = self._directions[0 if segment.source == self._ends[0] else 1].stream
        is_first, first_seq = segment.flags & (SYN | ACK) == SYN, (segment.seq + 1) % 2**32
        return is_first and (self.is_over or stream is None or stream.first_seq != first_seq)

    @property
    def kept_bytes(self) -> int:
        """Bytes of both directions that wait for the keys, or for earlier ones."""
        streams = (one.stream for one in self._directions)
        waiting = sum(stream.waiting_bytes for stream in streams if stream is not None)
        return waiting + sum(len(one.buffer) for one in self._directions)

    def end(self, time: float) -> list[Event]:
        """Return what is left at the end of the connection, or of the capture."""
        events: list[Event] = []
        if self.is_over:
            return events
        for side, direction in enumerate(self._directions):
            if direction.stream is not None:
                self._take(side, direction.stream.end(time), time, events)
        if self._keys is None and not self._is_foreign:
            self._end_unidentified(time, events)
        for side, direction in enumerate(self._directions):
            if direction.frames is not None:
                self._report(side, direction.frames.end(time), events)
        self.is_over = True
        return events

    def _end_unidentified(self, time: float, events: list[Event]) -> None:
        first = self._directions[0]
        if not first.has_start or first.has_hole:
            self._search_keys(time, events)
        elif self._identify_late(1, time, events):
            for side, direction in enumerate(self._directions):
                begin = self._open_middle if direction.has_hole else self._open_frames
                begin(side, time, events)
        else:
            self._report_unread(time, events)

    def _note_end(self, side: int, flags: int, time: float, events: list[Event]) -> None:
        self._directions[side].has_ended = True
        if flags & RST or self._directions[1 - side].has_ended:
            events += self.end(time)
            if self._number:
                how = "RST" if flags & RST else "FIN"
                events.append(ConnectionEnded(time, self._number, *self._from(side), how))

    # from the stream to the frames

    def _take(self, side: int, pieces: list[Piece], time: float, events: list[Event]) -> None:
        for piece in pieces:
            if self._is_foreign:
                return
            direction = self._directions[side]
            if direction.frames is not None:
                if isinstance(piece, Data):
                    items = direction.frames.receive(piece.data, piece.time)
                else:
                    items = direction.frames.skip(piece.size, piece.time)
                self._report(side, items, events)
            elif isinstance(piece, Data):
                direction.buffer += piece.data
                self._read_handshake(side, piece.time, events)
            else:
                self._lose_handshake(side, events, time)

    def _read_handshake(self, side: int, time: float, events: list[Event]) -> None:
        if self._keys is None:
            self._identify(side, time, events)
        for each in (side, 1 - side):
            direction = self._directions[each]
            if self._keys is not None and direction.frames is None and not direction.has_hole:
                self._open_frames(each, time, events)

    def _identify(self, side: int, time: float, events: list[Event]) -> None:
        """Find the keys, by the auth packet if the beginning of the connection is there."""
        direction, first = self._directions[side], self._directions[0]
        size = len(direction.buffer)
        if size < _NAMED_SIZE:
            return
        if not direction.has_hole and self._identify_by_auth(side, time, events):
            return
        if first.has_start and not first.has_hole:
            if self._identify_late(side, time, events):
                return
            # its secrets may be logged soon, if the capture is under way
            may_come = side == 1 or _may_be_auth(first.buffer)
            if not may_come or size > MAX_UNKNOWN_SIZE:
                self._report_unread(time, events)
                self._give_up()
        elif size >= MAX_UNKNOWN_SIZE or not self._has_searched:
            self._has_searched = True
            self._search_keys(time, events)
            if self._keys is None and size >= MAX_UNKNOWN_SIZE:
                self._give_up()

    def _give_up(self) -> None:
        """Read no more: it is none of RLPx, or its secrets are not there."""
        self._is_foreign = True
        for direction in self._directions:
            direction.buffer.clear()
            if direction.stream is not None:
                direction.stream.clear()

    def _identify_late(self, side: int, time: float, events: list[Event]) -> bool:
        """Look again for the secrets of the dialer's auth when the other end has answered."""
        is_answer = side == 1 and len(self._directions[0].buffer) >= _NAMED_SIZE
        return is_answer and self._identify_by_auth(0, time, events)

    def _report_unread(self, time: float, events: list[Event]) -> None:
        """Report a connection that looks like one of RLPx and has no secrets."""
        if len(self._directions[0].buffer) >= _NAMED_SIZE and _may_be_auth(
            self._directions[0].buffer
        ):
            self._begin(0, time, None, True, events)

    def _identify_by_auth(self, side: int, time: float, events: list[Event]) -> bool:
        for connection in connection_of(bytes(self._directions[side].buffer[:_NAMED_SIZE])):
            keys = self._key_source.of(connection)
            if keys is not None:
                self._dialer = side
                self._begin(side, time, keys, True, events)
                return True
        return False

    def _search_keys(self, time: float, events: list[Event]) -> None:
        for side, direction in enumerate(self._directions):
            keys = self._key_source.search(bytes(direction.buffer)) if direction.buffer else None
            if keys is not None:
                self._begin(side, time, keys, False, events)
                for each in (0, 1):
                    self._open_middle(each, time, events)
                return

    def _begin(
        self,
        side: int,
        time: float,
        keys: ConnectionKeys | None,
        from_start: bool,
        events: list[Event],
    ) -> None:
        self._number = self._new_number()
        self._keys = keys
        if keys is not None:
            self._key_source.claim(keys)
        ends = self._from(side)
        events.append(
            ConnectionSeen(time, self._number, *ends, keys is not None, from_start)
        )

    def _open_frames(self, side: int, time: float, events: list[Event]) -> None:
        """Begin to read frames, once the packet of the handshake is complete."""
        assert self._keys is not None
        direction, keys = self._directions[side], self._keys
        dialed = side == self._dialer
        size = _packet_size(direction.buffer, PLAIN_AUTH_SIZE if dialed else PLAIN_ACK_SIZE)
        if len(direction.buffer) < size or not direction.buffer:
            return
        packet = bytes(direction.buffer[:size])
        nonce = keys.recipient_nonce if dialed else keys.initiator_nonce
        mac = keys.mac, mac_state(keys.mac, nonce, packet)
        direction.frames = FrameDecoder(keys.aes, mac)
        rest = bytes(direction.buffer[size:])
        direction.buffer.clear()
        self._report(side, direction.frames.receive(rest, time), events)

    def _open_middle(self, side: int, time: float, events: list[Event]) -> None:
        """Begin to read frames at an unknown place."""
        assert self._keys is not None
        direction = self._directions[side]
        direction.frames = FrameDecoder(self._keys.aes, is_aligned=False)
        data = bytes(direction.buffer)
        direction.buffer.clear()
        self._report(side, direction.frames.receive(data, time), events)

    def _lose_handshake(self, side: int, events: list[Event], time: float) -> None:
        direction = self._directions[side]
        direction.has_hole, direction.has_start = True, False
        direction.buffer.clear()
        if self._keys is not None:
            self._open_middle(side, time, events)

    # events

    def _report(self, side: int, items: list[Item], events: list[Event]) -> None:
        ends = self._from(side)
        for item in items:
            if isinstance(item, Loss):
                lost = MessagesLost(item.time, self._number, *ends, item.size, item.frames)
                events.append(lost)
            elif item.code is not None:
                events.append(self._message(side, item.code, item))
            else:
                events.append(MessagesLost(item.time, self._number, *ends, item.size, 1))

    def _message(self, side: int, code: int, frame: Frame) -> MessageSeen:
        source, destination = self._from(side)
        return MessageSeen(
            time=frame.time,
            connection=self._number,
            source=source,
            destination=destination,
            size=frame.size,
            is_authentic=frame.is_authentic,
            **self._reader.read(side, code, frame.data)._asdict(),
        )

    def _from(self, side: int) -> tuple[Endpoint, Endpoint]:
        return self._ends if side == 0 else (self._ends[1], self._ends[0])


def _packet_size(buffer: bytearray, plain_size: int) -> int:
    """Return the size of the packet at the beginning, by its prefix; else that before EIP-8."""
    size = int.from_bytes(buffer[:2], "big")
    is_eip8 = OVERHEAD <= size <= MAX_PACKET_SIZE and buffer[2:3] == b"\x04"
    return 2 + size if is_eip8 else plain_size


def _may_be_auth(buffer: bytearray) -> bool:
    """Whether a stream begins as an auth packet of EIP-8."""
    return OVERHEAD <= int.from_bytes(buffer[:2], "big") <= MAX_PACKET_SIZE and buffer[2] == 4
