"""Peers that are to notice nothing: numbered messages with a running hash, there and back.

A :class:`Neighbors` is a server's protocol "talk" and some honest servers that speak it with it.
Each :meth:`~Neighbors.exchange` sends messages over every connection and checks both chains of
each, the one that goes out and the one that comes back (:mod:`tests.stress.chain`).
"""

from __future__ import annotations

import queue
import threading
from typing import Any

import p2p
from tests.kit.nodes import Nodes
from tests.kit.waiting import PATIENCE_S, eventually
from tests.stress.chain import Chain

BODY = bytes(range(60))


def talk() -> p2p.Protocol:
    """The server's side: checks what comes, and answers with a chain of its own."""

    def run(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        heard, said = Chain(), Chain()
        for msg in rw:
            rw.write_msg(p2p.Msg(0, said.next(heard.check(msg.payload))))

    return p2p.Protocol("talk", 1, 1, run)


def stay(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
    """A handler that reads until its peer leaves."""
    for _ in rw:
        pass


class Neighbor:
    """One honest server, connected to the one that is under test."""

    def __init__(self, nodes: Nodes, to: p2p.Server) -> None:
        self._ends: queue.Queue[p2p.MsgReadWriter] = queue.Queue()
        self._over = threading.Event()
        self._said, self._heard = Chain(), Chain()
        self._server = nodes.start(
            name="neighbor", listen_addr=None, protocols=[p2p.Protocol("talk", 1, 1, self._run)]
        )
        self._to = to
        self._server.connect(to.self, timeout=PATIENCE_S)
        self._rw = self._ends.get(timeout=PATIENCE_S)

    @property
    def id(self) -> p2p.NodeID:
        return self._server.self.id

    def exchange(self, messages: int) -> None:
        for _ in range(messages):
            self._rw.write_msg(p2p.Msg(0, self._said.next(BODY)))
        for _ in range(messages):
            assert self._heard.check(self._rw.read_msg(timeout=PATIENCE_S).payload) == BODY

    def leave(self) -> None:
        self._over.set()

    def _run(self, peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        self._ends.put(rw)
        self._over.wait()


class Neighbors:
    """``count`` neighbors of ``server``, which has :func:`talk` among its protocols.

    In a ``with`` block: they talk before it, after it, and whenever it is asked for; at its end
    they are all still there.
    """

    def __init__(self, nodes: Nodes, server: p2p.Server, count: int = 3) -> None:
        self._server = server
        self._all = [Neighbor(nodes, server) for _ in range(count)]

    def exchange(self, messages: int = 50) -> None:
        for neighbor in self._all:
            neighbor.exchange(messages)

    def __enter__(self) -> Neighbors:
        eventually(lambda: self._server.peer_count >= len(self._all))
        self.exchange()
        return self

    def __exit__(self, kind: object, *rest: Any) -> None:
        try:
            if kind is None:
                self.exchange()
                ids = {peer.id for peer in self._server.peers}
                assert {neighbor.id for neighbor in self._all} <= ids
        finally:
            for neighbor in self._all:
                neighbor.leave()
