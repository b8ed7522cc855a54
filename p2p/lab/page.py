"""The live page of a lab: its nodes, its edges, what passes them, and its events.

:class:`LabPage` serves it; :class:`LabSource` is what it shows, and ``p2p-monitor`` calls that. The
page (:mod:`p2p.monitor`) is imported for a lab that has one. Rates are of the messages that are
events (``message_events``), by the size of their payloads.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from p2p.errors import Closed, Timeout
from p2p.feed import Subscription
from p2p.lab.edges import Edges
from p2p.lab.event import LabEvent
from p2p.lab.faults import Faults
from p2p.lab.network import LabNetwork
from p2p.lab.node import LabNode
from p2p.lab.nodes import Nodes
from p2p.lab.reports import Reports
from p2p.lab.topology import Edge
from p2p.netutil import printable

if TYPE_CHECKING:
    from p2p.monitor import Happened, Monitor, Watch

#: Events that are kept from one update of the page to the next, half a second later.
CAPACITY = 20_000
#: Messages in one update, the last one of each edge and direction; the page draws no more.
MAX_ACTIVITY = 1000
#: Events in one update.
MAX_EVENTS = 100
#: Characters of a note beside its node, and of an event.
MAX_NOTE, MAX_TEXT = 40, 250

#: Collections of a server.
_OF_SERVERS = ("node", "peers", "nodes", "lookups", "hops", "dials", "stalls", "counts")
_KINDS = {
    "started": "node-started",
    "stopped": "node-stopped",
    "connected": "peer-added",
    "dropped": "peer-dropped",
    "failed": "warning",
}


class LabSource:
    """The source of a lab's page: reads its parts, and keeps the latest note of each node."""

    kind = "lab"

    def __init__(
        self, title: str, nodes: Nodes, faults: Faults, network: LabNetwork, reports: Reports
    ) -> None:
        from p2p.monitor.charts import Charts
        from p2p.monitor.rates import Rates

        # fixed after __init__
        self._title = title
        self._nodes = nodes
        self._edges: Edges = nodes.edges
        self._faults = faults
        self._network = network
        self._events: Subscription[LabEvent] = reports.subscribe(CAPACITY)
        # owned by p2p-monitor
        self._charts = Charts()
        self._rates = Rates()
        self._totals = {"messages": 0, "bytes": 0}
        self._notes: dict[str, str] = {}
        self._news: list[LabEvent] = []
        self._read_at = time.monotonic()
        self._elapsed_s = 0.0  # from one reading of the events to the next
        self._lost = 0

    # the interface of a source

    def about(self) -> Mapping[str, Any]:
        return {"title": printable(self._title, MAX_TEXT), "protocols": []}

    def watch(self, watch: Watch | None) -> None:
        """Do nothing: the lab decides which messages are events."""

    def state(self) -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
        self._read_events()
        connected = set(self._edges.connected)
        edges = sorted(connected.union(self._edges.wanted))
        degrees: dict[int, int] = {}
        for index in (end for edge in connected for end in edge):
            degrees[index] = degrees.get(index, 0) + 1
        nodes = {node.index: node for node in self._nodes.all}
        return {
            **{name: {} for name in _OF_SERVERS},
            "lab_nodes": {
                str(index): self._node_row(node, degrees.get(index, 0))
                for index, node in nodes.items()
            },
            "edges": {
                f"{edge[0]}-{edge[1]}": self._edge_row(edge, edge in connected, nodes)
                for edge in edges
                if nodes.keys() >= set(edge)
            },
        }

    def happened(self) -> Happened:
        from p2p.monitor import Happened

        news, self._news = sorted(self._news, key=_by_time), []
        time_of = _times(news, time.time(), self._elapsed_s)
        messages = [event for event in news if event.type == "message"]
        others = [event for event in news if event.type != "message"]
        rows = (self._activity_row(event, time_of(event)) for event in _last_of_each(messages))
        shown = [row for row in rows if row is not None][:MAX_ACTIVITY]
        unseen = len(messages) - len(shown) + self._take_lost()
        events = [self._event_row(event, time_of(event)) for event in others[-MAX_EVENTS:]]
        return Happened(self._point(), [], [*events], [*shown], unseen)

    def close(self) -> None:
        """End the subscription. Any thread."""
        self._events.close()

    # events

    def _read_events(self) -> None:
        now = time.monotonic()
        self._elapsed_s, self._read_at = now - self._read_at, now
        for event in self._new_events():
            self._news.append(event)
            if event.type == "note" and event.node:
                self._notes[event.node] = printable(event.text, MAX_NOTE)
            elif event.type == "message":
                self._totals["messages"] += 1
                self._totals["bytes"] += event.msg_size or 0
        totals = {f"total/{name}_{way}": n for name, n in self._totals.items() for way in _WAYS}
        self._rates.update(totals, now)

    def _new_events(self) -> Iterator[LabEvent]:
        try:
            for _ in range(CAPACITY):
                yield self._events.get(0.0)
        except (Timeout, Closed):
            return

    def _take_lost(self) -> int:
        lost, self._lost = self._events.lost - self._lost, self._events.lost
        return lost

    # rows of the page

    def _node_row(self, node: LabNode, peers: int) -> dict[str, Any]:
        return {
            "name": printable(node.name, MAX_TEXT),
            "id": str(node.id),
            "short": node.id.short,
            "running": node.is_running,
            "peers": peers,
            "note": self._notes.get(node.name, ""),
        }

    def _edge_row(
        self, edge: Edge, is_connected: bool, nodes: Mapping[int, LabNode]
    ) -> dict[str, Any]:
        one, other = edge
        link = self._network.link_of(nodes[one]._host, nodes[other]._host)
        is_cut = self._faults.are_parted(one, other)
        return {
            "a": str(one),
            "b": str(other),
            "state": "cut" if is_cut else "up" if is_connected else "down",
            "latency_s": link.latency_s[1] if isinstance(link.latency_s, tuple) else link.latency_s,
            "loss": link.loss,
            "bandwidth": link.bandwidth,
        }

    def _point(self) -> dict[str, Any]:
        edges, running = self._edges.connected, sum(node.is_running for node in self._nodes.all)
        return self._charts.point(self._rates, len(edges), running)

    def _activity_row(self, event: LabEvent, t: float) -> dict[str, Any] | None:
        sender, receiver = self._index_of(event.peer), self._index_of(event.node)
        if sender is None or receiver is None:
            return None
        return {
            "t": t,
            "from": sender,
            "to": receiver,
            "label": printable(f"{event.protocol} {event.msg_code}", MAX_NOTE),
            "size": event.msg_size,
        }

    def _event_row(self, event: LabEvent, t: float) -> dict[str, Any]:
        return {
            "t": t,
            "kind": _KINDS.get(event.type, event.type),
            "text": printable(_text_of(event), MAX_TEXT),
            "node": self._index_of(event.node),
        }

    def _index_of(self, name: str) -> str | None:
        node = self._nodes.named(name)
        return None if node is None else str(node.index)


_WAYS = ("in", "out")


def _times(
    events: list[LabEvent], now_unix: float, elapsed_s: float
) -> Callable[[LabEvent], float]:
    """Return a function from an event to its Unix time, in the ``elapsed_s`` until now.

    Simulated time may pass faster than ours. It is compressed, so that the order is seen.
    """
    last_s = max((event.time_s for event in events), default=0.0)
    span_s = last_s - min((event.time_s for event in events), default=0.0)
    factor = min(1.0, elapsed_s / span_s) if span_s > 0 else 1.0
    return lambda event: round(now_unix - (last_s - event.time_s) * factor, 3)


def _last_of_each(messages: list[LabEvent]) -> Iterable[LabEvent]:
    """Return the last message from each node to each other, in order."""
    return sorted({(one.peer, one.node): one for one in messages}.values(), key=_by_time)


def _by_time(event: LabEvent) -> float:
    return event.time_s


def _text_of(event: LabEvent) -> str:
    """Return an event as a line, with its time in the lab."""
    names = " - ".join(filter(None, [event.node, event.peer]))
    data = ", ".join(f"{name} {_words(value)}" for name, value in (event.data or {}).items())
    what = " ".join(filter(None, [names, event.text, data]))
    return f"{event.time_s:.3f} s: {what}" if what else f"{event.time_s:.3f} s"


def _words(value: object) -> str:
    """Return a value of an event as text; the names of nodes on the sides of a partition."""
    if isinstance(value, (list, tuple)):
        apart = " | " if any(isinstance(item, (list, tuple)) for item in value) else " "
        return apart.join(map(_words, value))
    return str(value)


class LabPage:
    """The page of a lab at ``addr``, from its start to its stop; None: no page.

    Raises ArgumentError for a wrong address, ConfigError if websockets is not installed.
    """

    def __init__(self, addr: str | None, public: bool, logger: logging.Logger | None) -> None:
        # fixed after __init__
        self._addr = addr
        self._public = public
        self._logger = logger
        if addr is not None:
            from p2p.monitor.websocket import check_installed
            from p2p.optionchecks import monitor_endpoint_of

            check_installed()
            monitor_endpoint_of(addr, public)
        # fixed after start()
        self._source: LabSource | None = None
        self._monitor: Monitor | None = None

    @property
    def url(self) -> str | None:
        """Address of the page, with its token; None before the start, and without a page."""
        return None if self._monitor is None else self._monitor.url

    def start(
        self, title: str, nodes: Nodes, faults: Faults, network: LabNetwork, reports: Reports
    ) -> None:
        """Begin to serve. Raises OSError if the address cannot be bound."""
        if self._addr is None:
            return
        from p2p.monitor import Monitor

        self._source = LabSource(title, nodes, faults, network, reports)
        self._monitor = Monitor(
            self._source, self._addr, public=self._public, logger=self._logger
        )
        self._monitor.start()

    def stop(self) -> list[str]:
        """Close the page. Returns the name of its thread if that has not ended."""
        left = [] if self._monitor is None else self._monitor.stop()
        if self._source is not None:
            self._source.close()
        return left
