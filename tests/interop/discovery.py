"""Our side of discovery: a service without a server, and waiting for what it finds.

Owns the service, its local node and a node database in memory. It neither listens nor dials: the
TCP port that it tells others is the number of its UDP port, so that each node has one of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import p2p
import p2p.testing
from p2p.discover.event import NodeAdded
from p2p.discover.v4.udpv4 import UDPv4
from p2p.discover.v5.udpv5 import UDPv5
from p2p.enode import LocalNode, NodeDB
from p2p.net import bind_udp

from .program import DEADLINE_S

D = TypeVar("D", bound="OurDiscovery")


class OurDiscovery:
    """Discovery of ours on a UDP port, by default a free one of 127.0.0.1.

    With ``key`` and ``port`` it is a node that ran before. ``told_port`` is the port in its record.
    """

    def __init__(
        self,
        bootnodes: Iterable[str] = (),
        protocol: str = "v4",
        *,
        key: p2p.PrivateKey | None = None,
        port: int = 0,
        told_port: int | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        self.key = key = key or p2p.generate_key()
        sock = bind_udp(host, port)
        port = told_port or sock.getsockname()[1]
        self._db = NodeDB()
        self.local = LocalNode(key, self._db, clock=p2p.testing.SystemClock())
        self.local.set_fallback_ip("127.0.0.1")
        self.local.set_fallback_udp(port)
        self.local.set("tcp", port)
        front = UDPv4 if protocol == "v4" else UDPv5
        self.udp: UDPv4 | UDPv5 = front(
            key,
            sock,
            local=self.local,
            store=self._db,
            bootnodes=[p2p.parse_node(text) for text in bootnodes],
            ntp_server=None,
        )
        self._events = self.udp.subscribe_events()

    def __enter__(self: D) -> D:
        self.udp.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._events.close()
        assert self.udp.stop() == []
        self._db.close()

    @property
    def node(self) -> p2p.Node:
        return self.local.node()

    @property
    def url(self) -> str:
        return self.node.url

    def believe_bonded(self, other: p2p.Node) -> None:
        """Have us believe that ``other`` has a proof of us, as if it had lost it by a restart."""
        assert other.ip is not None
        self._db.set_last_ping_received(other.id, other.ip, time.time())

    def expect_added(self, *nodes: p2p.Node) -> dict[p2p.NodeID, p2p.Node]:
        """Wait until all ``nodes`` have come into the table; returns them as they are there."""
        wanted = {node.id for node in nodes}
        found: dict[p2p.NodeID, p2p.Node] = {}
        deadline = time.monotonic() + DEADLINE_S
        while wanted - found.keys():
            try:
                event = self._events.get(max(0.0, deadline - time.monotonic()))
            except p2p.Timeout:
                missing = ", ".join(node_id.short for node_id in wanted - found.keys())
                raise AssertionError(f"{missing} not found; {self.udp.table()}") from None
            if isinstance(event, NodeAdded):
                found[event.node.id] = event.node
        return {node_id: found[node_id] for node_id in wanted}


class OurDiscoveryV5(OurDiscovery):
    """Discovery v5 of ours, with the options of :class:`OurDiscovery`."""

    udp: UDPv5

    def __init__(self, *bootnodes: str, **options: Any) -> None:
        super().__init__(bootnodes, "v5", **options)


#: A fixture: starts discovery v5 of ours that knows the bootnodes with these records.
StartDiscoveryV5 = Callable[..., OurDiscoveryV5]
#: A fixture: starts discovery of ours that knows the bootnodes with these URLs.
StartDiscovery = Callable[..., OurDiscovery]
