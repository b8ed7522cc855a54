"""Sources of nodes to dial, and what became of those that a server got from them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable, Iterator
from queue import SimpleQueue
from typing import Any

import p2p
from tests.kit import inspect
from tests.kit.nodes import HOST
from tests.kit.swarm import stay


def naming(candidates: Iterable[Any] | None, name: str = "test") -> p2p.Protocol:
    """A protocol that names its own candidates."""
    return p2p.Protocol(name, 1, 8, stay, dial_candidates=candidates)


def stranger(ip: str | None = HOST, tcp: int = 1) -> p2p.Node:
    return p2p.Node.from_parts(p2p.generate_key().public_key, ip, tcp)


def refused(server: p2p.Server) -> dict[str, int]:
    """Why candidates were refused since the last report."""
    return inspect.on_io(server, lambda: dict(inspect.dialing(server)._search_report.refused))


def under_way(server: p2p.Server) -> int:
    return inspect.on_io(server, lambda: len(inspect.dials(server)))


class Refusing:
    """A dialer that keeps the order of the dials, all of which fail."""

    def __init__(self) -> None:
        self.order: list[p2p.Node] = []

    def dial(self, node: p2p.Node, timeout_s: float) -> socket.socket:
        self.order.append(node)
        raise ConnectionRefusedError("nobody is there")


class Blocking:
    """A source that has no node until :meth:`give`, and is not woken by anything else."""

    def __init__(self) -> None:
        self.reading = threading.Event()
        self._given: SimpleQueue[p2p.Node | None] = SimpleQueue()

    def give(self, node: p2p.Node | None) -> None:
        """Let it go on with a node; None ends it."""
        self._given.put(node)

    def __iter__(self) -> Iterator[p2p.Node]:
        return self

    def __next__(self) -> p2p.Node:
        self.reading.set()
        node = self._given.get()
        if node is None:
            raise StopIteration
        return node


class Closable(Blocking):
    """The same, but ``close`` wakes it."""

    def close(self) -> None:
        self.give(None)
