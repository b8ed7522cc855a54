"""Traffic of one connection: bytes on the wire, and messages of each capability.

Pure. ``p2p-io`` counts, once for each batch; any thread may read. ``docs/design/observer.md`` has
the reason for plain counts instead of an observer of the machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from p2p.rlpx import Cap, MessagesReceived, SharedCap


@dataclass(frozen=True, slots=True)
class CapCounters:
    """Numbers of messages of a capability, and bytes of their payloads before compression."""

    messages_in: int
    messages_out: int
    bytes_in: int
    bytes_out: int


@dataclass(frozen=True, slots=True)
class PeerCounters:
    """Traffic of a connection since its first byte.

    ``bytes_in`` and ``bytes_out`` count the TCP stream: after compression, with the handshake,
    pings and the overhead of encryption. Bytes given to the socket count as out, even if they are
    not sent. ``by_cap`` has the messages of each shared capability.
    """

    bytes_in: int
    bytes_out: int
    by_cap: Mapping[Cap, CapCounters]

    @property
    def messages_in(self) -> int:
        """Number of messages received, of all capabilities."""
        return sum(counters.messages_in for counters in self.by_cap.values())

    @property
    def messages_out(self) -> int:
        """Number of messages sent, of all capabilities."""
        return sum(counters.messages_out for counters in self.by_cap.values())


class Traffic:
    """The running counts."""

    __slots__ = ("_last", "_tallies", "bytes_in", "bytes_out")

    def __init__(self) -> None:
        # owned by p2p-io, read by any thread
        self.bytes_in = 0
        self.bytes_out = 0
        self._tallies: Sequence[_Tally] = ()
        self._last = _NONE  # capability of the last message sent, mostly also of the next one

    def open(self, shared: Iterable[SharedCap]) -> None:
        """Begin to count the messages of the shared capabilities."""
        self._tallies = [_Tally(*capability) for capability in shared]

    def count_in(self, run: MessagesReceived) -> None:
        """Count a run of messages received."""
        tally, size = self._tallies[run.capability], 0
        for _code, payload, _time in run.messages:
            size += len(payload)
        tally.messages_in += len(run.messages)
        tally.bytes_in += size

    def count_out(self, messages: Iterable[tuple[int, bytes]]) -> None:
        """Count messages to be sent, as (code on the wire, payload)."""
        tally = self._last
        first, end = tally.first, tally.end
        for code, payload in messages:
            if not first <= code < end:
                tally = self._last = self._find(code)
                first, end = tally.first, tally.end
            tally.messages_out += 1
            tally.bytes_out += len(payload)

    def _find(self, code: int) -> _Tally:
        for tally in self._tallies:
            if code < tally.end:
                return tally
        raise AssertionError(f"code {code} belongs to no capability")

    def counters(self) -> PeerCounters:
        """Return the counts at this moment; a batch under way may be in part. Any thread."""
        by_cap = {tally.cap: tally.counters() for tally in self._tallies}
        return PeerCounters(self.bytes_in, self.bytes_out, by_cap)


class _Tally:
    """The counts of one capability, whose codes are ``first`` to ``end - 1``."""

    __slots__ = ("bytes_in", "bytes_out", "cap", "end", "first", "messages_in", "messages_out")

    def __init__(self, cap: Cap, offset: int, length: int) -> None:
        self.cap = cap
        self.first = offset
        self.end = offset + length
        self.messages_in = self.messages_out = self.bytes_in = self.bytes_out = 0

    def counters(self) -> CapCounters:
        return CapCounters(self.messages_in, self.messages_out, self.bytes_in, self.bytes_out)


_NONE = _Tally(Cap("", 0), 0, 0)
