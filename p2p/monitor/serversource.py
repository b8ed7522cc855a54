"""The source of a server's page: its public names, and what its observer gets.

``p2p-monitor`` calls everything but :meth:`ServerSource.attach`. It has no reference that keeps the
server alive (:mod:`p2p.leaks`), and changes nothing of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from weakref import ReferenceType

from p2p.config import Config
from p2p.enode import NodeID
from p2p.errors import ServerStopped
from p2p.monitor.charts import CHARTED, Charts
from p2p.monitor.decoding import BASE, Decoders
from p2p.monitor.observers import MonitorObserver
from p2p.monitor.rates import Rates
from p2p.monitor.rows import Counts, counts_of, peer_counts, peer_row, table_rows
from p2p.monitor.samplerows import SampleRows
from p2p.monitor.shown import text
from p2p.monitor.source import Entry, Happened, State, Watch
from p2p.monitor.stalls import Stalls
from p2p.peers.traffic import PeerCounters

if TYPE_CHECKING:
    from p2p.peers.event import PeerEvent
    from p2p.peers.peer import Peer
    from p2p.server import Server

#: Seconds from one reading of the node tables to the next: p2p-disc has to copy them.
TABLE_S = 1.0
#: Distances of the buckets of a node table; the first has all below as well.
_BUCKETS = {"first": 240, "last": 256}
#: Seconds whose samples may come at once when a page is opened.
_FIRST_PERIOD_S = 0.5
#: Collections of a laboratory.
_OF_LABS = ("lab_nodes", "edges")


class ServerSource:
    """The source of a server with the options ``config``; ``observer`` is to observe it."""

    kind = "server"

    def __init__(self, config: Config) -> None:
        # fixed after __init__
        self._config = config
        self._clock = config.clock
        self.observer = MonitorObserver(config.clock)
        self._decoders = Decoders(config.protocols)
        # fixed after attach()
        self._server: ReferenceType[Server] | None = None
        self._started_unix = 0.0
        # owned by p2p-monitor
        self._watch: Watch | None = None
        self._period_at = time.monotonic()
        self._rates = Rates()
        self._charts = Charts()
        self._stalls = Stalls()
        self._samples = SampleRows(self._decoders)
        self._peers: dict[str, Peer] = {}
        self._counters: dict[str, PeerCounters] = {}
        self._ending: dict[str, Peer] = {}  # have left, with handlers that still run
        self._since: dict[str, float] = {}
        self._known: dict[bytes, tuple[str, str]] = {}  # key and name, by node
        self._tables: dict[str, dict[str, Any]] = {}
        self._tables_at = float("-inf")
        self._counts = Counts({}, {})
        self._passed = 0  # messages that were samples, or counted as unseen

    def attach(
        self, server: ReferenceType[Server], observe_again: Callable[[], object]
    ) -> None:
        """Take the server, before the monitor starts. Called by the thread that starts it.

        ``observe_again`` is called, by several threads, when the observer begins or ceases to be
        idle.
        """
        self._server = server
        self.observer.sampler.changed = observe_again
        self._started_unix = self._clock.time_unix()

    # the interface of a source

    def about(self) -> Entry:
        return {
            "title": text(self._config.name),
            "protocols": self._decoders.about(),
            "buckets": _BUCKETS,
        }

    def watch(self, watch: Watch | None) -> None:
        is_other = watch is None or self._watch is None
        self._watch = watch
        if is_other:
            self._begin_period(_FIRST_PERIOD_S)

    def state(self) -> State:
        server, now = self._alive(), time.monotonic()
        self._read_peers(server)
        self._counts = counts_of(server.metrics.values(), self._decoders)
        self._update_rates(now)
        if now - self._tables_at >= TABLE_S:
            self._tables_at = now
            self._read_tables(server)
        searches, dials = self.observer.searches, self.observer.dials
        searches.update()
        dials.update()
        return {
            "node": {"self": self._own_row(server)},
            "peers": self._peer_rows(server.self.id),
            "nodes": self._tables,
            "lookups": {key: dict(row) for key, row in searches.lookups.items()},
            "hops": {key: dict(row) for key, row in searches.hops()},
            "dials": {key: dict(row) for key, row in dials.rows.items()},
            "stalls": self._stall_rows(now),
            "counts": self._count_rows(),
            **{name: {} for name in _OF_LABS},
        }

    def happened(self) -> Happened:
        now = time.monotonic()
        elapsed_s, self._period_at = now - self._period_at, now
        self._decoders.refill(elapsed_s)
        keys = {node_id: key for node_id, (key, _) in self._known.items()}
        samples = self._samples.rows(self.observer.sampler.take(), keys)
        point = self._charts.point(self._rates, len(self._peers), len(self._tables))
        happened = Happened(point, [*samples], [*self._new_events()])
        happened.unseen = self._unseen(samples)
        self._begin_period(elapsed_s)
        return happened

    # peers

    def _read_peers(self, server: Server) -> None:
        before, now_unix = self._peers, self._clock.time_unix()
        self._peers = {str(peer.connection_id): peer for peer in server.peers}
        self._counters = {key: peer.counters for key, peer in self._peers.items()}
        left = {key: peer for key, peer in before.items() if key not in self._peers}
        self._ending = {
            key: peer
            for key, peer in {**self._ending, **left}.items()
            if any(state.thread is not None for state in peer.handlers)
        }
        both = {**left, **self._peers}
        self._known = {peer.id: (key, peer.name) for key, peer in both.items()}
        self._since = {
            key: self._since.get(key, round(now_unix - peer.lifetime, 1))
            for key, peer in self._peers.items()
        }

    def _peer_rows(self, own_id: NodeID) -> dict[str, Entry]:
        return {
            key: peer_row(peer, self._counters[key], own_id, self._rates, self._since[key])
            for key, peer in self._peers.items()
        }

    def _stall_rows(self, now: float) -> dict[str, Entry]:
        peers = [*self._peers.values(), *self._ending.values()]
        return self._stalls.rows(peers, now, round(self._clock.time_unix(), 1))

    def _new_events(self) -> Iterator[Entry]:
        for t, event in self.observer.take_peer_events():
            yield self._event_row(t, event)

    def _event_row(self, t: float, event: PeerEvent) -> Entry:
        key, name = self._known.get(event.peer, (None, "a peer"))
        is_new = event.type == "add"
        said = f"{name} is a peer, at {event.remote}" if is_new else f"{name} left: {event.error}"
        return {
            "t": round(t, 3),
            "kind": "peer-added" if is_new else "peer-dropped",
            "text": text(said),
            "peer": key,
            "id": event.peer.hex(),
        }

    # counts

    def _update_rates(self, now: float) -> None:
        counts = peer_counts(self._counters)
        counts |= {f"total/{name}": self._counts.totals[name] for name in CHARTED}
        counts |= {key: row["messages"] for key, row in self._counts.rows.items()}
        self._rates.update(counts, now)

    def _count_rows(self) -> dict[str, Entry]:
        return {
            key: {**row, "per_s": self._rates.of(key)} for key, row in self._counts.rows.items()
        }

    def _unseen(self, samples: list[dict[str, Any]]) -> int:
        """Return the number of messages of protocols since the last call that are no samples.

        A sample may be counted a little later than it is here.
        """
        totals = self._counts.totals
        self._passed += sum(row["code"] is not None and row["cap"] != BASE for row in samples)
        unseen = max(0, totals["messages_in"] + totals["messages_out"] - self._passed)
        self._passed += unseen
        return unseen

    # other

    def _own_row(self, server: Server) -> Entry:
        node, listens_at = server.self, server.listen_addr
        return {
            "id": str(node.id),
            "short": node.id.short,
            "name": text(self._config.name),
            "enode": node.url,
            "enr": str(node) if node.seq else "",
            "listen": "" if listens_at is None else str(listens_at),
            "started_t": self._started_unix,
            "max_peers": self._config.max_peers,
        }

    def _read_tables(self, server: Server) -> None:
        searches, in_tables = self.observer.searches, set()
        self._tables = {}
        for version, front in (("v4", server.discovery_v4), ("v5", server.discovery_v5)):
            if front is not None:
                view = front.table()
                in_tables |= {(version, node.id) for node in view.nodes}
                self._tables |= table_rows(version, view, searches.answered)
        searches.keep_answers(in_tables)

    def _begin_period(self, period_s: float) -> None:
        watch, node_ids = self._watch, None
        if watch is not None and watch.peers is not None:
            node_ids = frozenset(
                peer.id for key, peer in self._peers.items() if key in watch.peers
            )
        self.observer.sampler.begin_period(watch, period_s, node_ids)

    def _alive(self) -> Server:
        server = None if self._server is None else self._server()
        if server is None:
            raise ServerStopped("the server is lost")
        return server
