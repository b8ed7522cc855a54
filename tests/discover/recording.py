"""Observers of discovery engines: one that keeps all it is told, and a replay of that."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from p2p.discover.engine import Engine
from p2p.discover.event import Event, OperationDone
from p2p.discover.observer import DiscoveryObserver, DiscoverySetup
from p2p.discover.operations import Operations
from p2p.discover.table.bucket import NodeState
from p2p.discover.v4.engine import EngineV4
from p2p.enode.node import Node
from p2p.enode.nodeid import NodeID
from p2p.inputs import Now
from p2p.netutil import Endpoint
from tests.discover.tiny import TinyEngine
from tests.kit.observers import Calls

#: What our own node is read for, not called.
_PROPERTIES = ("record", "endpoint")


class Recording(Calls, DiscoveryObserver):
    """All calls of one engine."""

    def setup(self, setup: DiscoverySetup) -> None:
        self.calls.append(("setup", (setup,)))

    def entropy(self, data: bytes) -> None:
        self.calls.append(("entropy", (data,)))

    def environment(
        self, source: str, name: str, arguments: Sequence[object], result: object
    ) -> None:
        self.calls.append(("environment", (source, name, arguments, result)))

    def command(self, name: str, *arguments: object) -> None:
        self.calls.append(("command", (name, *arguments)))

    def data_in(self, data: bytes, addr: Endpoint, now: Now) -> None:
        self.calls.append(("data_in", (data, addr, now)))

    def data_out(self, datagrams: Sequence[tuple[bytes, Endpoint]], now: Now) -> None:
        self.calls.append(("data_out", (datagrams, now)))

    def events(self, events: Sequence[Event]) -> None:
        self.calls.append(("events", (list(map(comparable, events)),)))

    def packet_in(self, kind: str, packet: object, sender: NodeID, addr: Endpoint) -> None:
        self.calls.append(("packet_in", (kind, packet, sender, addr)))

    def packet_out(self, kind: str, packet: object, addr: Endpoint) -> None:
        self.calls.append(("packet_out", (kind, packet, addr)))

    def dropped(self, reason: str, data: bytes, addr: Endpoint) -> None:
        self.calls.append(("dropped", (reason, data, addr)))

    def secrets(
        self,
        node_id: NodeID,
        addr: Endpoint,
        initiator: bool,
        initiator_key: bytes,
        recipient_key: bytes,
    ) -> None:
        keys = initiator_key, recipient_key
        self.calls.append(("secrets", (node_id, addr, initiator, *keys)))

    def lookup_asked(self, lookup: int, target: NodeID, node: Node) -> None:
        self.calls.append(("lookup_asked", (lookup, target, node)))

    def lookup_answered(
        self, lookup: int, node_id: NodeID, neighbors: Sequence[NodeID] | None
    ) -> None:
        self.calls.append(("lookup_answered", (lookup, node_id, neighbors)))

    def lookup_ended(self, lookup: int, found: Sequence[Node]) -> None:
        self.calls.append(("lookup_ended", (lookup, found)))

    def state(self, node: Node, old: NodeState, new: NodeState) -> None:
        self.calls.append(("state", (node, old, new)))

    # what was told

    def sent(self) -> list[tuple[bytes, Endpoint]]:
        """All datagrams that went out."""
        return [datagram for datagrams, _now in self.told("data_out") for datagram in datagrams]

    def commands(self) -> list[str]:
        """The names of all commands but the steps of time."""
        names = [arguments[0] for arguments in self.told("command")]
        return [name for name in names if name != "handle_timeout"]


def comparable(event: Event) -> object:
    """An event that is equal to another one if they say the same: errors are not."""
    if isinstance(event, OperationDone) and event.error is not None:
        return event.operation, type(event.error), str(event.error)
    return event


class _Again:
    """A part of an engine's environment that answers as it did before."""

    def __init__(self, results: Iterator[tuple[str, object]]) -> None:
        self._results = results

    def __getattr__(self, name: str) -> Any:
        return self._next(name) if name in _PROPERTIES else partial(self._next, name)

    def _next(self, name: str, *arguments: object) -> object:
        before, result = next(self._results)
        assert name == before
        return result


def replay(recording: Recording) -> Recording:
    """Give a new engine the inputs of a recording; returns what its observer was told."""
    again = Recording()
    (setup,) = recording.told("setup")
    draws = deque(recording.told("entropy"))
    results: dict[str, list[tuple[str, object]]] = {"local": [], "store": [], "random": []}
    for source, name, _arguments, result in recording.told("environment"):
        results[source].append((name, result))
    environment = {source: _Again(iter(answers)) for source, answers in results.items()}
    if setup.protocol == "tiny":
        del environment["store"]  # its own
    makers: dict[str, Callable[..., Engine]] = {"v4": EngineV4, "tiny": TinyEngine}
    engine = makers[setup.protocol](
        now=setup.now,
        entropy=lambda size: draws.popleft(),
        observer=again,
        **environment,
        **setup.arguments,
    )
    for method, arguments in recording.calls:
        if method == "data_in":
            engine.receive_datagram(*arguments)
        elif method == "data_out":
            engine.datagrams_to_send()
        elif method == "events":
            engine.poll_events()
        elif method == "command":
            owner = engine.operations if hasattr(Operations, arguments[0]) else engine
            getattr(owner, arguments[0])(*arguments[1:])
    return again
