"""Lookups and their hops, and the last answers of nodes, from what discovery reports.

``p2p-disc`` adds to a bounded list, ``p2p-monitor`` makes rows of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from p2p.clock import Clock
from p2p.enode import Node, NodeID, log_distance
from p2p.inputs import Now
from p2p.monitor.sampling import Sampler
from p2p.netutil import Endpoint
from p2p.observe import DiscoveryObserver

#: Lookups that the page has, the latest ones.
MAX_LOOKUPS = 20
#: Most queries of one lookup that are shown.
MAX_HOPS = 64
#: Reports that wait for p2p-monitor; later ones are dropped.
_MAX_WAITING = 4096
#: Packets that are answers to us.
_ANSWERS = frozenset(("pong", "neighbors", "enrresponse", "nodes", "talkresp"))

_Report = Callable[["Searches"], None]


class Searches:
    """The latest lookups of all versions, and the times of last answers. ``p2p-monitor`` only."""

    def __init__(self, clock: Clock, sampler: Sampler) -> None:
        # fixed after __init__
        self._clock = clock
        self._sampler = sampler
        # added to by p2p-disc
        self._reports: deque[_Report] = deque()
        # owned by p2p-monitor
        #: Unix time of the last answer, by version and node.
        self.answered: dict[tuple[str, NodeID], float] = {}
        self.lookups: dict[str, dict[str, Any]] = {}
        self._hops: dict[str, dict[NodeID, dict[str, Any]]] = {}
        self._named_by: dict[str, dict[NodeID, NodeID]] = {}

    def observer(self, version: str) -> DiscoveryObserver:
        """Return the observer of discovery "v4" or "v5"."""
        return _SearchObserver(version, self._report, self._sampler, self._clock)

    def update(self) -> None:
        """Use the reports since the last call."""
        for _ in range(len(self._reports)):
            self._reports.popleft()(self)

    def keep_answers(self, in_tables: set[tuple[str, NodeID]]) -> None:
        """Drop the answers of nodes that are in no table."""
        for key in self.answered.keys() - in_tables:
            del self.answered[key]

    def hops(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield the queries of the lookups, each with its key."""
        for key, hops in self._hops.items():
            for hop in hops.values():
                yield f"{key}/{hop['n']}", hop

    # reports

    def heard(self, version: str, node_id: NodeID, t: float) -> None:
        self.answered[version, node_id] = t

    def asked(self, key: str, version: str, target: NodeID, node: Node, t: float) -> None:
        if key not in self.lookups:
            self._begin(key, version, target, t)
        hops = self._hops[key]
        if len(hops) < MAX_HOPS:
            named_by = self._named_by[key].get(node.id)
            hops[node.id] = {
                "lookup": key,
                "n": len(hops),
                "id": str(node.id),
                "short": node.id.short,
                "addr": str(node.udp_endpoint),
                "distance": log_distance(target, node.id),
                "from": None if named_by is None else str(named_by),
                "asked_t": t,
                "answered_t": None,
                "outcome": "waiting",
                "neighbors": 0,
            }

    def answered_query(
        self, key: str, node_id: NodeID, named: Sequence[NodeID] | None, t: float
    ) -> None:
        hop = self._hops.get(key, {}).get(node_id)
        if hop is None:
            return
        if named is None:
            hop["outcome"] = "silent"
            return
        hop |= {"outcome": "answered", "answered_t": t, "neighbors": len(named)}
        for other in named:
            self._named_by[key].setdefault(other, node_id)

    def ended(self, key: str, found: int, t: float) -> None:
        lookup = self.lookups.get(key)
        if lookup is not None:
            lookup |= {"ended_t": t, "found": found}
            self._named_by[key].clear()

    def _begin(self, key: str, version: str, target: NodeID, t: float) -> None:
        while len(self.lookups) >= MAX_LOOKUPS:
            oldest = next(iter(self.lookups))
            del self.lookups[oldest], self._hops[oldest], self._named_by[oldest]
        self.lookups[key] = {
            "protocol": version,
            "target": str(target),
            "begun_t": t,
            "ended_t": None,
            "found": 0,
        }
        self._hops[key], self._named_by[key] = {}, {}

    def _report(self, report: _Report) -> None:
        """Add a report. ``p2p-disc``."""
        if len(self._reports) < _MAX_WAITING:
            self._reports.append(report)


class _SearchObserver(DiscoveryObserver):
    """Observer of one engine. ``p2p-disc`` only; it keeps no key."""

    def __init__(
        self, version: str, report: Callable[[_Report], None], sampler: Sampler, clock: Clock
    ) -> None:
        self._version = version
        self._cap = f"disc{version}"
        self._report = report
        self._sampler = sampler
        self._clock = clock
        self._size = 0  # of the datagram that is being handled

    def data_in(self, data: bytes, addr: Endpoint, now: Now) -> None:
        self._size = len(data)

    def packet_in(self, kind: str, packet: object, sender: NodeID, addr: Endpoint) -> None:
        if kind in _ANSWERS:
            t = self._clock.time_unix()
            self._report(lambda to: to.heard(self._version, sender, t))
        if self._sampler.looks > 0 and self._sampler.wants(self._cap, "in", kind, sender):
            self._sampler.add(
                sender, addr, "in", self._cap, None, size=self._size, value=packet, name=kind
            )

    def packet_out(self, kind: str, packet: object, addr: Endpoint) -> None:
        if self._sampler.looks > 0 and self._sampler.wants(self._cap, "out", kind, None):
            self._sampler.add(None, addr, "out", self._cap, None, value=packet, name=kind)

    def lookup_asked(self, lookup: int, target: NodeID, node: Node) -> None:
        t = self._clock.time_unix()
        self._report(
            lambda to: to.asked(f"{self._version}/{lookup}", self._version, target, node, t)
        )

    def lookup_answered(
        self, lookup: int, node_id: NodeID, neighbors: Sequence[NodeID] | None
    ) -> None:
        t = self._clock.time_unix()
        self._report(
            lambda to: to.answered_query(f"{self._version}/{lookup}", node_id, neighbors, t)
        )

    def lookup_ended(self, lookup: int, found: Sequence[Node]) -> None:
        t = self._clock.time_unix()
        self._report(lambda to: to.ended(f"{self._version}/{lookup}", len(found), t))
