"""Traffic of an engine: the datagrams to send, counters of all traffic, and rows of timeouts.

Pure, and the same for every protocol. All counted traffic is also reported to the observer, if any.
``docs/design/observer.md`` has the reason why the counters are not an observer.
"""

from __future__ import annotations

from p2p.discover.counters import Counters
from p2p.discover.event import ManyTimeouts
from p2p.discover.observer import DiscoveryObserver
from p2p.enode.nodeid import NodeID
from p2p.inputs import Now
from p2p.netutil import Endpoint

#: Number of requests in a row without an answer that makes a ManyTimeouts event.
MANY_TIMEOUTS = 32


class Traffic:
    """Queues datagrams until the engine's owner takes them; packets are named by their type."""

    def __init__(self, now: Now, observer: DiscoveryObserver | None = None) -> None:
        self.counters = Counters()
        self._observer = observer
        self._datagrams: list[tuple[bytes, Endpoint]] = []
        self._now = now  # time when the last of them was queued
        self._timeouts_in_a_row = 0

    def received(
        self, kind: str, packet: object, size_bytes: int, sender: NodeID, addr: Endpoint
    ) -> None:
        """Count a valid packet of ``sender``, ``size_bytes`` long."""
        self.counters.packets_in[kind] += 1
        self.counters.bytes_in[kind] += size_bytes
        if self._observer is not None:
            self._observer.packet_in(kind, packet, sender, addr)

    def dropped(self, reason: str, data: bytes, addr: Endpoint) -> None:
        """Count a dropped datagram, from ``addr`` or, over the amplification limit, to it."""
        self.counters.dropped[reason] += 1
        if self._observer is not None:
            self._observer.dropped(reason, data, addr)

    def answered(self) -> None:
        """Note that a request was answered."""
        self._timeouts_in_a_row = 0

    def timed_out(self) -> None:
        """Count a request that was not answered in time."""
        self.counters.timeouts += 1
        self._timeouts_in_a_row += 1

    def poll_timeouts(self) -> list[ManyTimeouts]:
        """Return the event of a long row of timeouts, if there is one; the next row begins."""
        number = self._timeouts_in_a_row
        if number < MANY_TIMEOUTS:
            return []
        self._timeouts_in_a_row = 0
        return [ManyTimeouts(number)]

    def send(self, kind: str, packet: object, datagram: bytes, to: Endpoint, now: Now) -> None:
        """Queue a datagram, the encoded ``packet``."""
        self.counters.packets_out[kind] += 1
        self.counters.bytes_out[kind] += len(datagram)
        self._now = now
        self._datagrams.append((datagram, to))
        if self._observer is not None:
            self._observer.packet_out(kind, packet, to)

    def datagrams_to_send(self) -> list[tuple[bytes, Endpoint]]:
        """Return the datagrams queued since the last call."""
        datagrams, self._datagrams = self._datagrams, []
        if datagrams and self._observer is not None:
            self._observer.data_out(datagrams, self._now)
        return datagrams
