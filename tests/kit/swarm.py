"""Servers on loopback that find each other, on one clock that the test moves.

Sockets and threads are real, the time is not. :meth:`Swarm.settle` lets everything that was sent
arrive and be answered; only then :meth:`Swarm.until` moves the clock, so that an answer is late
only when nobody gives it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import p2p
import p2p.testing
from p2p.discover import UDPv4, UDPv5
from p2p.discover.service import _Waiter
from tests.kit import inspect
from tests.kit.nodes import Nodes
from tests.kit.threadcalls import Call
from tests.kit.waiting import PATIENCE_S, pass_until

STEP_S = 0.1


class Swarm:
    """Makes servers with discovery; ``nodes`` (the fixture) stops them."""

    def __init__(self, nodes: Nodes) -> None:
        self.clock = p2p.testing.SimulatedClock()
        self._nodes = nodes
        self._running: list[p2p.Server] = []

    def start(self, *bootnodes: p2p.Server, **options: Any) -> p2p.Server:
        """A server that knows ``bootnodes`` and nobody else. Its handlers let peers stay."""
        chosen: dict[str, Any] = {
            "no_discovery": False,
            "discovery_v5": False,
            "clock": self.clock,
            "bootstrap_nodes": [server.self for server in bootnodes],
            "protocols": [p2p.Protocol("test", 1, 8, stay)],
        }
        server = self._nodes.start(**{**chosen, **options})
        self._running.append(server)
        return server

    def add(self, server: p2p.Server) -> p2p.Server:
        """Start a server that somebody else has made, on this clock."""
        self._nodes._servers.append(server)
        server.start()
        self._running.append(server)
        return server

    def stop(self, server: p2p.Server) -> None:
        self._running.remove(server)
        assert server.stop() == []

    def settle(self) -> None:
        """Let everything that is on its way arrive, and the searches of dials ask and be told."""
        deadline = time.monotonic() + PATIENCE_S
        before: object = None
        while (state := [_state(server) for server in self._running]) != before or any(
            map(_is_searching, self._running)
        ):
            assert time.monotonic() < deadline, "it does not settle"
            before = state

    def pass_time(self, seconds: float, step_s: float = STEP_S) -> None:
        """Move the clock in small steps, and let everything arrive after each."""
        for _ in range(round(seconds / step_s)):
            self.clock.advance(step_s)
            self.settle()

    def until(self, happened: Callable[[], object], step_s: float = STEP_S) -> None:
        """Let time pass until something has happened."""
        pass_until(self.clock, happened, self.settle, step_s)

    def ask(self, fn: Callable[..., Any], *args: Any) -> Any:
        """Make a blocking call, and let time pass until it has ended."""
        call = Call(fn, *args)
        self.until(lambda: not call.is_alive())
        return call.result()


def stay(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
    """A handler that ends when the peer has left."""
    for _ in rw:
        pass


def dialed(server: p2p.Server) -> list[p2p.Peer]:
    """The peers that the server has dialed."""
    return [peer for peer in server.peers if not peer.inbound]


def knows(server: p2p.Server, *others: p2p.Server) -> bool:
    """Whether all ``others`` are in the table of ``server``."""
    assert server.discovery_v4 is not None
    known = {node.id for node in server.discovery_v4.nodes()}
    return all(other.self.id in known for other in others)


def settle_fronts(fronts: list[UDPv4 | UDPv5]) -> None:
    """Let every datagram that is on its way between them arrive."""
    deadline = time.monotonic() + PATIENCE_S
    before: object = None
    while (state := [_state_of_front(front) for front in fronts]) != before:
        assert time.monotonic() < deadline, "it does not settle"
        before = state


def _state_of_front(front: UDPv4 | UDPv5) -> list[int]:
    front._service.call(int)
    seen = front.counters()
    totals = [seen.packets_in.total(), seen.packets_out.total(), seen.dropped.total()]
    return [*totals, _asked(front)]


def _state(server: p2p.Server) -> list[int]:
    """What changes when anything happens. The first call has a loop handle what has come."""
    state: list[int] = []
    for front in _fronts(server):
        state += _state_of_front(front)
    loop = inspect.loop(server)
    loop.call(int)
    return state + loop.call(
        lambda: [
            len(inspect.sessions(server)),
            sum(session.traffic.bytes_in for session in inspect.sessions(server)),
            sum(session.traffic.bytes_out for session in inspect.sessions(server)),
            len(inspect.dials(server)),
            server.peer_count,
        ]
    )


def _is_searching(server: p2p.Server) -> bool:
    """Whether a search for the node of a dial, or for the addresses of a name, goes on.

    That of a dial has yet to ask the network, or to tell the answer. Either is on its way through
    a thread, which the clock must not leave behind.
    """
    fronts = _fronts(server)
    if any(front._service._parts.lookups._asked for front in fronts):
        return True
    if server.discovery_v4 is None:
        return False
    steps = inspect.on_io(server, lambda: [dial.step for dial in inspect.dials(server).values()])
    searching = steps.count(p2p.errors.DialStep.RESOLVE)
    return searching > _asked(server.discovery_v4)


def _fronts(server: p2p.Server) -> list[UDPv4 | UDPv5]:
    return [front for front in (server.discovery_v4, server.discovery_v5) if front is not None]


def _asked(front: UDPv4 | UDPv5) -> int:
    """How many threads wait for an answer of the network."""

    def count() -> int:
        waiting = front._runner._waiting.values()
        return sum(isinstance(getattr(told, "__self__", None), _Waiter) for told in waiting)

    return front._service.call(count)
