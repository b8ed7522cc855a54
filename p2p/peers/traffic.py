"""Traffic of one connection, and of all together: bytes on the wire, and messages.

Pure. ``p2p-io`` counts, once for each run of messages of one code; any thread may read. Messages of
a connection are counted by capability, those of all connections also by code.
``docs/design/observer.md`` has the reason for plain counts instead of an observer of the machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from p2p.metrics.catalog import MAX_CODES
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


class CodeCounts(dict[int, list[int]]):
    """Number of messages and bytes of their payloads, by code; ``MAX_CODES`` for all from there."""

    def __missing__(self, code: int) -> list[int]:
        return self.setdefault(min(code, MAX_CODES), [0, 0])


class Totals:
    """The traffic of all connections together, of those that have ended as well."""

    def __init__(self, caps: Iterable[Cap] = ()) -> None:
        caps = list(caps)
        # owned by p2p-io, read by any thread
        self.bytes_in = 0
        self.bytes_out = 0
        # fixed after __init__, except for the counts
        self.received = {cap: CodeCounts() for cap in caps}
        self.sent = {cap: CodeCounts() for cap in caps}


class Traffic:
    """The running counts of a connection, which are added to ``totals`` as well."""

    __slots__ = ("_last", "_tallies", "bytes_in", "bytes_out", "totals")

    def __init__(self, totals: Totals) -> None:
        # fixed after __init__
        self.totals = totals
        # owned by p2p-io, read by any thread
        self.bytes_in = 0
        self.bytes_out = 0
        self._tallies: Sequence[_Tally] = ()
        self._last = _NONE  # capability of the last message sent, mostly also of the next one

    def open(self, shared: Iterable[SharedCap]) -> None:
        """Begin to count the messages of the shared capabilities."""
        self._tallies = [_Tally(*capability, self.totals) for capability in shared]

    def received(self, size_bytes: int) -> None:
        """Count bytes received."""
        self.bytes_in += size_bytes
        self.totals.bytes_in += size_bytes

    def sent(self, size_bytes: int) -> None:
        """Count bytes given to the socket."""
        self.bytes_out += size_bytes
        self.totals.bytes_out += size_bytes

    # The loops below run for each message, so they call nothing but len() while the code stays.

    def count_in(self, run: MessagesReceived) -> int:
        """Count a run of messages received. Returns the bytes of their payloads."""
        tally = self._tallies[run.capability]
        counts, last = _NO_COUNTS, -1
        number = size = total = 0
        for code, payload, _time in run.messages:
            if code != last:
                counts[0] += number
                counts[1] += size
                counts, last = tally.received[code], code
                total += size
                number = size = 0
            number += 1
            size += len(payload)
        counts[0] += number
        counts[1] += size
        tally.messages_in += len(run.messages)
        total += size
        tally.bytes_in += total
        return total

    def count_out(self, messages: Iterable[tuple[int, bytes]]) -> None:
        """Count messages to be sent, as (code on the wire, payload)."""
        tally = self._last
        counts, last = _NO_COUNTS, -1
        number = size = 0
        for code, payload in messages:
            if code != last:
                tally.add_out(counts, number, size)
                if not tally.first <= code < tally.end:
                    tally = self._last = self._find(code)
                counts, last = tally.sent[code - tally.first], code
                number = size = 0
            number += 1
            size += len(payload)
        tally.add_out(counts, number, size)

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

    __slots__ = (
        *("bytes_in", "bytes_out", "cap", "end", "first", "messages_in", "messages_out"),
        *("received", "sent"),
    )

    def __init__(self, cap: Cap, offset: int, length: int, totals: Totals) -> None:
        self.cap = cap
        self.first = offset
        self.end = offset + length
        self.messages_in = self.messages_out = self.bytes_in = self.bytes_out = 0
        self.received = totals.received[cap]
        self.sent = totals.sent[cap]

    def add_out(self, counts: list[int], number: int, size: int) -> None:
        """Count messages to be sent of one code, whose ``counts`` are given."""
        counts[0] += number
        counts[1] += size
        self.messages_out += number
        self.bytes_out += size

    def counters(self) -> CapCounters:
        return CapCounters(self.messages_in, self.messages_out, self.bytes_in, self.bytes_out)


_NO_CAP = Cap("", 0)
#: Counts before the first message: nothing is added to them.
_NONE = _Tally(_NO_CAP, 0, 0, Totals([_NO_CAP]))
_NO_COUNTS = [0, 0]
