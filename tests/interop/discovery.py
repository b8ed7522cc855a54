"""Our side of discovery: a service without a server, and waiting for what it finds.

Owns the service, its local node and a node database in memory. It neither listens nor dials: the
TCP port that it tells others is the number of its UDP port, so that each node has one of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from types import TracebackType

import p2p
from p2p.discover.event import NodeAdded
from p2p.discover.service import UDPv4
from p2p.enode import LocalNode, NodeDB
from p2p.net import bind_udp
from p2p.netutil import IPTracker

from .program import DEADLINE_S


class OurDiscovery:
    """Discovery of ours on a free UDP port of 127.0.0.1."""

    def __init__(self, bootnodes: Iterable[str] = ()) -> None:
        key = p2p.generate_key()
        sock = bind_udp("127.0.0.1", 0)
        port: int = sock.getsockname()[1]
        self._db = NodeDB()
        self.local = LocalNode(key, self._db, clock=p2p.SystemClock(), new_tracker=IPTracker)
        self.local.set_fallback_ip("127.0.0.1")
        self.local.set_fallback_udp(port)
        self.local.set("tcp", port)
        self.udp = UDPv4(
            key,
            self.local,
            sock,
            store=self._db,
            bootnodes=[p2p.parse_node(text) for text in bootnodes],
            ntp_server=None,
        )
        self._events = self.udp.subscribe_events()

    def __enter__(self) -> OurDiscovery:
        self.udp.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._events.close()
        assert self.udp.stop() == []
        self._db.close()

    @property
    def node(self) -> p2p.Node:
        return self.local.node()

    @property
    def url(self) -> str:
        return self.node.url

    def expect_added(self, *nodes: p2p.Node) -> dict[p2p.NodeID, p2p.Node]:
        """Wait until all ``nodes`` have come into the table; returns them as they are there."""
        wanted = {node.id for node in nodes}
        found: dict[p2p.NodeID, p2p.Node] = {}
        deadline = time.monotonic() + DEADLINE_S
        while wanted - found.keys():
            try:
                event = self._events.get(max(0.0, deadline - time.monotonic()))
            except p2p.ReadTimeout:
                missing = ", ".join(node_id.short for node_id in wanted - found.keys())
                raise AssertionError(f"{missing} not found; {self.udp.table()}") from None
            if isinstance(event, NodeAdded):
                found[event.node.id] = event.node
        return {node_id: found[node_id] for node_id in wanted}


#: A fixture: starts discovery of ours that knows the bootnodes with these URLs.
StartDiscovery = Callable[..., OurDiscovery]
