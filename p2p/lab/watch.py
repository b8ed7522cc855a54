"""Observer of a node's server: reports its peers, and its messages if the lab wants them.

Its calls come on the ``p2p-io`` of the server, so they do no more than note and publish.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from p2p.crypto import PublicKey
from p2p.enode import NodeID
from p2p.lab.edges import Edges
from p2p.lab.event import LabEventType
from p2p.lab.node import LabNode
from p2p.lab.reports import Reports
from p2p.observe import (
    ConnectionEvent,
    ConnectionObserver,
    HelloReceived,
    MessagesReceived,
    NewConnection,
    Observer,
    SharedCap,
)
from p2p.peers.event import PeerEvent


class Sampler:
    """Choice of the messages to report: a share of them, evenly. Used by one thread at a time."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._due = 0.0

    def wants(self) -> bool:
        """Whether to report the next message."""
        self._due += self._share
        if self._due < 1.0:
            return False
        self._due -= 1.0
        return True


class Watch(Observer):
    """The observer of one node; ``node_of`` finds a node of the lab by its ID."""

    def __init__(
        self,
        node: LabNode,
        node_of: Callable[[bytes], LabNode | None],
        edges: Edges,
        reports: Reports,
        share: float,
    ) -> None:
        self._node = node
        self._node_of = node_of
        self._edges = edges
        self._reports = reports
        self._share = share

    def connection(self, new: NewConnection) -> ConnectionObserver | None:
        return _Messages(self, Sampler(self._share)) if self._share else None

    def peer_event(self, event: PeerEvent) -> None:
        other = self._node_of(event.peer)
        if other is None:
            kind: LabEventType = "connected" if event.type == "add" else "dropped"
            self._reports.report(
                kind, node=self._node.name, peer=event.peer.hex(), text=event.error
            )
        elif event.type == "add":
            self._edges.added(self._node.index, other.index, dialed=self._has_dialed(event))
        else:
            self._edges.dropped(self._node.index, other.index, event.error)

    def _has_dialed(self, event: PeerEvent) -> bool:
        """Whether the node has dialed: its end of an inbound connection is where it listens."""
        server, local = self._node._server, event.local
        here = None if server is None else server.listen_addr
        return here is None or local is None or here.port != local.port

    def name_of(self, node_id: bytes) -> str:
        """Return the name of a node of the lab, or the ID of another one in hex digits."""
        node = self._node_of(node_id)
        return node_id.hex() if node is None else node.name

    def message(self, peer: str, protocol: str, code: int, size: int) -> None:
        """Report a message that was received."""
        self._reports.report(
            "message",
            node=self._node.name,
            peer=peer,
            protocol=protocol,
            msg_code=code,
            msg_size=size,
        )


class _Messages(ConnectionObserver):
    """The observer of the messages that one connection receives."""

    def __init__(self, watch: Watch, sampler: Sampler) -> None:
        self._watch = watch
        self._sampler = sampler
        self._peer = ""
        self._shared: Sequence[SharedCap] = ()

    def events(self, events: Sequence[ConnectionEvent]) -> None:
        for event in events:
            if isinstance(event, MessagesReceived):
                self._report(event)
            elif isinstance(event, HelloReceived):
                self._shared = event.shared
                key = PublicKey.from_bytes(event.hello.node_key)
                self._peer = self._watch.name_of(NodeID.from_public_key(key))

    def _report(self, run: MessagesReceived) -> None:
        protocol = str(self._shared[run.capability].cap)
        for code, payload, _ in run.messages:
            if self._sampler.wants():
                self._watch.message(self._peer, protocol, code, len(payload))
