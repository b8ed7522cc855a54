"""Hellos of many nodes, by one server that dials them. Any thread.

A node with which no capability is shared is not a peer; its hello has come by then.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import p2p
from p2p import errors, observe
from p2p.cli.reach import CAP_LENGTH, NO_CAP, facts_of

#: Seconds for a hello.
HELLO_S = 6.0


class Greeter(observe.Observer):
    """Asks nodes for their hello, at most ``parallel`` at a time. Use it in a ``with`` block."""

    def __init__(self, key: p2p.PrivateKey, parallel: int) -> None:
        # fixed after __init__
        self._server = p2p.Server(
            private_key=key,
            name=f"p2p/{p2p.__version__}",
            max_peers=2 * parallel,
            max_pending_peers=2 * parallel,
            dial_ratio=1,
            protocols=[p2p.Protocol(*NO_CAP, CAP_LENGTH)],
            observer=self,
        )
        # guarded by _lock
        self._lock = threading.Lock()
        self._facts: dict[p2p.NodeID, dict[str, Any]] = {}

    def __enter__(self) -> Greeter:
        self._server.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End all waits, and the server."""
        self._server.stop()

    def greet(self, node: p2p.Node) -> dict[str, Any]:
        """Return the facts of a node's hello; waits. Raises as ``Server.connect``."""
        failure: p2p.P2PError | None = None
        try:
            peer = self._server.connect(node, HELLO_S)
            peer.disconnect()
        except (errors.ConnectError, errors.Timeout) as error:
            failure = error
        with self._lock:
            facts = self._facts.pop(node.id, None)
        if facts is None:
            raise failure or errors.NoResponse("the connection has ended without a hello")
        return facts

    def connection(self, new: observe.NewConnection) -> observe.ConnectionObserver | None:
        return None if new.node is None else _Hellos(self, new.node.id)

    def keep(self, node_id: p2p.NodeID, hello: observe.Hello) -> None:
        """Keep the facts of a hello. Called on ``p2p-io``."""
        facts = facts_of(hello)
        with self._lock:
            self._facts[node_id] = facts


class _Hellos(observe.ConnectionObserver):
    """Passes on the hello of one connection. Called on ``p2p-io``."""

    def __init__(self, greeter: Greeter, node_id: p2p.NodeID) -> None:
        self._greeter = greeter
        self._node_id = node_id

    def events(self, events: Sequence[observe.ConnectionEvent]) -> None:
        for event in events:
            if isinstance(event, observe.HelloReceived):
                self._greeter.keep(self._node_id, event.hello)
