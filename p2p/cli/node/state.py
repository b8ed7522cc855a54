"""State of a running node for the live view: peers, rates, tables, events.

:class:`NodeState` is read and sampled by the main thread; :meth:`EventLog.report` is for any
thread. A :class:`Snapshot` is a value: the view (:mod:`p2p.cli.node.view`) draws it without asking
the server again.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import p2p
from p2p.cli.shown import shown

#: Events, and samples of the traffic, that are kept.
MAX_EVENTS, MAX_SAMPLES = 200, 120
#: Seconds from one measurement of rates to the next.
SAMPLE_S = 0.5
#: Characters of a log line.
MAX_LOG_LINE = 500


@dataclass(frozen=True, slots=True)
class Event:
    """A line about the node, at a wall time in seconds, and its record for JSON."""

    time_unix: float
    text: str
    record: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PeerRow:
    """A peer: bytes since it connected, and bytes per second since the last sample."""

    id: str
    name: str
    address: str
    inbound: bool
    lifetime_s: float
    caps: str
    bytes_in: int
    bytes_out: int
    rate_in: float
    rate_out: float


@dataclass(frozen=True, slots=True)
class TableRow:
    """The table of a discovery protocol, and its packets since the start."""

    protocol: str
    nodes: int
    live: int
    buckets: int
    packets_in: int
    packets_out: int
    dropped: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The node at one moment. ``rates`` are samples of (in, out), bytes per second, newest last."""

    name: str
    node: p2p.Node
    listen: str
    uptime_s: float
    max_peers: int
    peers: Sequence[PeerRow]
    tables: Sequence[TableRow]
    bytes_in: int
    bytes_out: int
    rates: Sequence[tuple[float, float]]
    events: Sequence[Event]
    outside: str = ""  # what the router says, with the option nat
    page: str = ""  # address of the live page, with the option monitor_addr
    lan: str = ""  # the nodes of the local network, with the option lan_discovery


class NodeState:
    """Samples of a running server, and its events."""

    def __init__(self, server: p2p.Server, events: deque[Event]) -> None:
        self._server = server
        self._events = events
        self.begin()
        self._totals = (0, 0)
        self._counts: dict[p2p.Peer, tuple[int, int]] = {}
        self._peer_rates: dict[p2p.Peer, tuple[float, float]] = {}
        self._rates: deque[tuple[float, float]] = deque(maxlen=MAX_SAMPLES)

    def begin(self) -> None:
        """Count the time from now."""
        self._start = self._last = time.monotonic()

    def totals(self) -> tuple[float, int, int]:
        """Return the seconds since the start, and all bytes in and out; also after the end."""
        metrics = self._server.metrics.snapshot()
        return time.monotonic() - self._start, metrics["p2p/ingress"], metrics["p2p/egress"]

    def sample(self) -> Snapshot:
        """Read the server. Rates are taken every SAMPLE_S seconds. Main thread."""
        uptime_s, bytes_in, bytes_out = self.totals()
        elapsed = time.monotonic() - self._last
        if elapsed >= SAMPLE_S:
            self._measure((bytes_in, bytes_out), elapsed)
        config, own = self._server.config, self._server.self
        return Snapshot(
            name=config.name,
            node=own,
            listen=str(self._server.listen_addr or "does not listen"),
            uptime_s=uptime_s,
            max_peers=config.max_peers,
            peers=self._peers(),
            tables=self._tables(),
            bytes_in=bytes_in,
            bytes_out=bytes_out,
            rates=tuple(self._rates),
            events=tuple(self._events),
            outside=outside_text(self._server.nat),
            page=self._server.monitor_url or "",
            lan=lan_text(self._server),
        )

    def _measure(self, totals: tuple[int, int], elapsed_s: float) -> None:
        """Take the rates since the last time."""
        self._last += elapsed_s
        self._rates.append(_rates(totals, self._totals, elapsed_s))
        self._totals = totals
        before, self._counts = self._counts, {}
        for peer in self._server.peers:
            counters = peer.counters
            self._counts[peer] = counts = counters.bytes_in, counters.bytes_out
            self._peer_rates[peer] = _rates(counts, before.get(peer, counts), elapsed_s)
        self._peer_rates = {peer: self._peer_rates[peer] for peer in self._counts}

    def _peers(self) -> list[PeerRow]:
        rows = []
        for peer in self._server.peers:
            counters = peer.counters
            counts = counters.bytes_in, counters.bytes_out
            rates = self._peer_rates.get(peer, (0.0, 0.0))
            caps = " ".join(map(str, counters.by_cap))
            rows.append(
                PeerRow(
                    peer.id.short, peer.name, str(peer.remote_addr), peer.inbound, peer.lifetime,
                    caps, *counts, *rates,
                )
            )  # fmt: skip
        return sorted(rows, key=lambda row: -row.lifetime_s)

    def _tables(self) -> list[TableRow]:
        fronts = {"v4": self._server.discovery_v4, "v5": self._server.discovery_v5}
        rows = []
        for protocol, front in fronts.items():
            if front is None:
                continue
            counters, table = front.counters(), front.table()
            nodes = [entry for bucket in table.buckets for entry in bucket.nodes]
            rows.append(
                TableRow(
                    protocol,
                    len(nodes),
                    sum(entry.live for entry in nodes),
                    sum(bool(bucket.nodes) for bucket in table.buckets),
                    counters.packets_in.total(),
                    counters.packets_out.total(),
                    counters.dropped.total(),
                )
            )
        return rows


class EventLog(logging.Handler):
    """Handler that passes on log lines of ``level``, and messages as events. Any thread."""

    def __init__(self, on_event: Callable[[Event], object], level: int) -> None:
        super().__init__(level)
        self._on_event = on_event
        self.events: deque[Event] = deque(maxlen=MAX_EVENTS)

    def report(self, text: str, record: Mapping[str, object] | None = None) -> None:
        """Add an event; without a record for JSON, it is a message."""
        event = Event(time.time(), text, record or {"event": "message", "text": text})
        self.events.append(event)
        self._on_event(event)

    def emit(self, record: logging.LogRecord) -> None:
        level = record.levelname.lower()
        text = shown(record.getMessage(), MAX_LOG_LINE)
        self.report(f"{level}: {text}", {"event": "log", "level": level, "text": text})


def lan_text(server: p2p.Server) -> str:
    """Return how many nodes of the local network are known; "" without the option."""
    return f"{len(server.lan_nodes)} on the LAN" if server.config.lan_discovery else ""


def outside_text(status: p2p.nat.NatStatus | None) -> str:
    """Return what the router has mapped, in a few words; "" without the option nat."""
    if status is None:
        return ""
    mapped = [
        f"{port.protocol} {port.external_port}"
        for port in status.ports
        if port.external_port is not None
    ]
    if mapped:
        return f"{status.external_ip or 'a router'} has {' and '.join(mapped)}"
    if status.external_ip is not None:
        return f"{status.external_ip} by {status.router}"
    return "no port mapped by a router" if status.error else "asking the router"


def _rates(new: tuple[int, int], old: tuple[int, int], elapsed_s: float) -> tuple[float, float]:
    return (new[0] - old[0]) / elapsed_s, (new[1] - old[1]) / elapsed_s
