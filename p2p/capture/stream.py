"""One direction of a captured TCP connection: segments in, pieces of the stream out.

Pure. It owns the order of the segments: retransmissions are dropped, later segments wait for
earlier ones. Bytes that the capture does not have become a hole: when the other end has
acknowledged them and later segments are there, since they are not sent again then; when too many
bytes wait; or when the capture or the connection ends. RFC 9293, "Sequence Numbers".
"""

from __future__ import annotations

from bisect import insort
from typing import NamedTuple, TypeAlias

#: Segments after a hole that show that it is no reordering between both directions.
SEGMENTS_AFTER_HOLE = 3
#: Bytes that wait behind a hole at most: the receive windows of real connections are smaller.
MAX_WAITING_BYTES = 8 * 2**20
#: Segments that wait at most.
MAX_WAITING = 16_384
#: Largest distance of a segment from the next byte: the largest window (RFC 7323). A segment
#: beyond it belongs to another connection, or is forged.
MAX_DISTANCE = 2**30
_MODULUS = 2**32


class Data(NamedTuple):
    """The next bytes of the stream, and the time of their packet."""

    data: bytes
    time: float


class Hole(NamedTuple):
    """Bytes of the stream that are not in the capture."""

    size: int
    time: float


Piece: TypeAlias = Data | Hole


class _Waiting(NamedTuple):
    start: int
    end: int  # on the wire; the payload may be cut off
    data: bytes
    time: float


class Stream:
    """A direction. Positions are counted from its first byte, as far as that is known."""

    def __init__(self, first_seq: int) -> None:
        # fixed after __init__
        self.first_seq = first_seq
        # changed by segments
        self._next = 0
        self._waiting: list[_Waiting] = []
        self._waiting_bytes = 0
        self._acknowledged = 0
        self._end: int | None = None

    @property
    def waiting_bytes(self) -> int:
        """Bytes of the segments that wait for earlier ones."""
        return self._waiting_bytes

    def add(self, seq: int, payload: bytes, size: int, time: float) -> list[Piece]:
        """Take a segment; ``size`` is that of its payload on the wire. Returns what is next."""
        start = self._position_of(seq)
        if start is None or start + size <= self._next:
            return []  # foreign, or a retransmission
        insort(self._waiting, _Waiting(start, start + size, payload, time), key=_start_of)
        self._waiting_bytes += len(payload)
        pieces = self._take()
        is_full = (
            self._waiting_bytes > MAX_WAITING_BYTES or len(self._waiting) > MAX_WAITING
        )
        return pieces + (self._skip(time) if is_full else self._skip_acknowledged(time))

    def acknowledge(self, ack: int, time: float) -> list[Piece]:
        """Take an acknowledgement by the other end. Returns what is next."""
        position = self._position_of(ack)
        if position is None or position <= self._acknowledged:
            return []
        self._acknowledged = position
        return self._skip_acknowledged(time)

    def finish(self, seq: int) -> None:
        """Note that the stream ends before ``seq``, the sequence number of its FIN."""
        self._end = self._position_of(seq)

    def clear(self) -> None:
        """Drop what waits."""
        self._waiting.clear()
        self._waiting_bytes = 0

    def end(self, time: float) -> list[Piece]:
        """Return all that waits, with its holes; no more is added."""
        pieces: list[Piece] = []
        while self._waiting:
            pieces += self._skip(time)
        # without the FIN, the last acknowledged byte may be the FIN
        end = self._acknowledged - 1 if self._end is None else self._end
        if end > self._next:
            pieces.append(Hole(end - self._next, time))
            self._next = end
        return pieces

    def _position_of(self, seq: int) -> int | None:
        """Return the position of a sequence number near the next byte; None if it is far."""
        expected = self.first_seq + self._next
        distance = (seq - expected + _MODULUS // 2) % _MODULUS - _MODULUS // 2
        return self._next + distance if abs(distance) <= MAX_DISTANCE else None

    def _take(self) -> list[Piece]:
        """Return the bytes that follow on those taken before."""
        pieces: list[Piece] = []
        while self._waiting and self._waiting[0].start <= self._next:
            first = self._waiting[0]
            data = first.data[self._next - first.start :]
            if data:
                pieces.append(Data(data, first.time))
                self._next += len(data)
            del self._waiting[0]
            self._waiting_bytes -= len(first.data)
            if self._next < first.end:  # cut off: the rest may come with a retransmission
                self._keep_end(first)
        return pieces

    def _keep_end(self, cut: _Waiting) -> None:
        """Note where a segment that was cut off ends, so that the hole has its size."""
        if not any(other.start <= cut.end <= other.end for other in self._waiting[:1]):
            self._waiting.insert(0, _Waiting(cut.end, cut.end, b"", cut.time))

    def _skip_acknowledged(self, time: float) -> list[Piece]:
        waiting = self._waiting
        if not waiting or self._acknowledged < waiting[0].start:
            return []
        is_cut = not waiting[0].data and waiting[0].end == waiting[0].start
        if len(waiting) < SEGMENTS_AFTER_HOLE and not is_cut:
            return []
        return self._skip(time)

    def _skip(self, time: float) -> list[Piece]:
        """Give up the bytes before the first waiting segment."""
        size = self._waiting[0].start - self._next
        self._next += size
        hole: list[Piece] = [Hole(size, time)] if size > 0 else []
        return hole + self._take()


def _start_of(waiting: _Waiting) -> int:
    return waiting.start
