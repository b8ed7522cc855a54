"""A UDP relay between a node of ours and one of theirs, which loses, repeats and reorders packets.

Owns two sockets of 127.0.0.1 and a thread. Each node takes the relay for the other one: it sends
to one of the sockets, and the packet goes on from the other. A rule decides what becomes of each
packet; it knows a packet by the kind in its header, for the rest is encrypted.
"""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import p2p
from p2p.discover.v5.packet import MAX_PACKET_SIZE, kind_of

HOST = "127.0.0.1"


class Passing(NamedTuple):
    """A packet on its way; ``to`` is "ours" or "theirs", ``kind`` that of its header."""

    to: str
    kind: str | None
    data: bytes


#: What goes on in place of a packet, in the same direction. It runs on the relay's thread.
Rule: TypeAlias = Callable[[Passing], Sequence[bytes]]


def pass_on(packet: Passing) -> Sequence[bytes]:
    """The rule of a network without faults."""
    return [packet.data]


class Relay:
    """The relay; use it in a ``with`` block, and :meth:`join` the nodes first."""

    def __init__(self, rule: Rule = pass_on) -> None:
        self.rule = rule
        #: All packets that came, before the rule.
        self.packets: list[Passing] = []
        self._sockets = {side: _bound() for side in ("ours", "theirs")}
        self._nodes: dict[str, tuple[p2p.NodeID, tuple[str, int]]] = {}
        self._end, self._wake = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="interop-relay")

    @property
    def our_port(self) -> int:
        """The port at which theirs reaches ours."""
        port: int = self._sockets["theirs"].getsockname()[1]
        return port

    def join(self, ours: p2p.Node, our_port: int, theirs: p2p.Node) -> p2p.Node:
        """Begin to relay; returns their node, as ours has to take it."""
        assert theirs.udp is not None
        self._nodes = {
            "ours": (ours.id, (HOST, our_port)),
            "theirs": (theirs.id, (HOST, theirs.udp)),
        }
        self._thread.start()
        port: int = self._sockets["ours"].getsockname()[1]
        return p2p.Node.from_parts(theirs.public_key, theirs.ip, port, port)

    def send(self, packet: Passing) -> None:
        """Send a packet again, past the rule."""
        self._forward(packet.to, [packet.data])

    def count(self, to: str, kind: str) -> int:
        """Number of packets of a kind that came for a side."""
        return sum((packet.to, packet.kind) == (to, kind) for packet in list(self.packets))

    def __enter__(self) -> Relay:
        return self

    def __exit__(self, *exception: object) -> None:
        self._wake.close()
        if self._thread.is_alive():
            self._thread.join()
        for sock in (*self._sockets.values(), self._end):
            sock.close()

    def _run(self) -> None:
        facing = {sock: side for side, sock in self._sockets.items()}
        while True:
            readable, _, _ = select.select([*facing, self._end], [], [])
            if self._end in readable:
                return
            for sock in readable:
                data = sock.recv(2 * MAX_PACKET_SIZE)
                self._take("theirs" if facing[sock] == "ours" else "ours", data)

    def _take(self, to: str, data: bytes) -> None:
        packet = Passing(to, kind_of(data, self._nodes[to][0]), data)
        self.packets.append(packet)
        self._forward(to, self.rule(packet))

    def _forward(self, to: str, datagrams: Sequence[bytes]) -> None:
        for data in datagrams:
            self._sockets[to].sendto(data, self._nodes[to][1])


def _bound() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((HOST, 0))
    return sock


class LoseFirst:
    """Loses the first packet of a kind to a side."""

    def __init__(self, to: str, kind: str) -> None:
        self._lost = (to, kind)
        self.lost = 0

    def __call__(self, packet: Passing) -> Sequence[bytes]:
        if not self.lost and (packet.to, packet.kind) == self._lost:
            self.lost += 1
            return []
        return [packet.data]


def repeat(packet: Passing) -> Sequence[bytes]:
    """The rule of a network that delivers everything twice."""
    return [packet.data, packet.data]


class SwapFirst:
    """Swaps the first two messages to a side."""

    def __init__(self, to: str) -> None:
        self._to = to
        self._held: bytes | None = None
        self.swapped = 0

    def __call__(self, packet: Passing) -> Sequence[bytes]:
        if self.swapped or (packet.to, packet.kind) != (self._to, "message"):
            return [packet.data]
        if self._held is None:
            self._held = packet.data
            return []
        self.swapped += 1
        return [packet.data, self._held]
