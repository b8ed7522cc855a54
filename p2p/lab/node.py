"""Nodes of a lab: each has one name, key and address, and a server while it runs.

A stopped server cannot be started again, so a node gets a new one at each start. The lab does the
work (:mod:`p2p.lab.running`); any thread may use a node.
"""

from __future__ import annotations

import threading
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from p2p.crypto import PrivateKey
from p2p.enode import Node, NodeID
from p2p.errors import InvalidKey, ServerStateError
from p2p.peers.peer import Peer
from p2p.server import Server

if TYPE_CHECKING:
    from p2p.lab.lab import Lab
    from p2p.lab.network import Host


class LabNode:
    """A node of a lab; ``lab.nodes`` has all of them, and a handler that is made for one knows it.

    ``lab`` is its lab, ``index`` its number from 0 up, ``name`` its name (also that of its hello),
    ``private_key`` its key, ``id`` its 32-byte node ID. They stay the same when it is stopped and
    started, and so does its address.
    """

    def __init__(
        self, lab: Lab, index: int, name: str, private_key: PrivateKey, host: Host
    ) -> None:
        # fixed after __init__
        self.lab = lab
        self.index = index
        self.name = name
        self.private_key = private_key
        self.id = NodeID.from_public_key(private_key.public_key)
        self._host = host
        # changed under _lock, read by any thread
        self._lock = threading.RLock()
        self._server: Server | None = None  # the latest one
        self._is_running = False
        self._known: tuple[Node, ...] = ()  # those of its tables, when it was stopped
        # whether the lab starts it with itself
        self._starts = True

    @property
    def server(self) -> Server:
        """The running server. Raises ServerStateError while the node is stopped."""
        server = self._server
        if server is None or not self._is_running:
            raise ServerStateError(f"{self.name} is stopped")
        return server

    @property
    def node(self) -> Node:
        """The node as others dial it; the latest one if it is stopped.

        Raises ServerStateError before its first start.
        """
        if self._server is None:
            raise ServerStateError(f"{self.name} was not started yet")
        return self._server.self

    @property
    def is_running(self) -> bool:
        """Whether the node was started and not stopped since."""
        return self._is_running

    @property
    def peers(self) -> list[Peer]:
        """The peers of the server; none while the node is stopped."""
        server = self._server
        return server.peers if server is not None and self._is_running else []

    @property
    def neighbors(self) -> list[LabNode]:
        """The nodes of the lab that this one is connected with, in order."""
        return self.lab._neighbors(self)

    def start(self, timeout: float = 15.0) -> None:
        """Start the node, as :meth:`Lab.start_node` does."""
        self.lab.start_node(self, timeout)

    def stop(self) -> list[str]:
        """Stop the node, as :meth:`Lab.stop_node` does."""
        return self.lab.stop_node(self)

    def note(self, text: str, **data: Any) -> None:
        """Report a note of this node, as :meth:`Lab.note` does."""
        self.lab.note(text, self, **data)

    def __repr__(self) -> str:
        state = f"{len(self.peers)} peers" if self.is_running else "stopped"
        return f"<LabNode {self.index} {self.name!r} {self.id.short}, {state}>"


def key_of(seed: int, name: str) -> PrivateKey:
    """Return the key of a node, which is derived from the seed of its lab and its name."""
    for attempt in range(8):  # of 2**128 hashes, one is no key
        try:
            return PrivateKey.from_bytes(sha256(f"{attempt} {seed} {name}".encode()).digest())
        except InvalidKey:
            continue
    raise AssertionError("no key")
