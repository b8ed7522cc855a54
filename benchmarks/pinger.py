"""The load on a discovery node: pings signed in advance, and a count of the pongs.

It runs in a process of its own (a role of :mod:`benchmarks.node`) and costs little compared with
the node: a datagram sent and one received for each ping. All pings differ. Before the first, each
endpoint is proven, so that a ping is answered with a pong and nothing else.

An endpoint is a key and a socket. It answers the pings that it gets during a job.
"""

from __future__ import annotations

import os
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Sequence
from itertools import cycle
from typing import Any, Protocol

import p2p
from p2p.crypto import PrivateKey
from p2p.discover.v4.wire import (
    MAX_PACKET_SIZE,
    TYPE_OFFSET,
    PacketType,
    Ping,
    Pong,
    Received,
    decode,
    encode,
)
from p2p.enode import Node
from p2p.netutil import NodeEndpoint

#: Pings in flight at a time, of all endpoints together: as many as fit any receive buffer.
WINDOW = 64
#: Seconds without a pong after which pings in flight count as lost.
PATIENCE_S = 1.0
#: Pings signed for a flood; they are repeated after the last, which costs the node the same.
FLOOD_PINGS = 2000
#: Attempts of an endpoint to prove itself.
PROOF_TRIES = 5
#: Shortest validity of the pings, in seconds; each has an expiration of its own beyond it.
VALID_S = 3600



class Pinging(Protocol):
    """An endpoint that pings a node."""

    socket: socket.socket

    def sign(self, count: int, /) -> list[bytes]:
        """Return ``count`` pings, all different."""

    def receive(self) -> tuple[int, int]:
        """Read all datagrams. Return the numbers of pongs, and of pings that were answered."""


class Asker:
    """One endpoint, and the node that it pings."""

    def __init__(self, node: Node) -> None:
        to = node.udp_endpoint
        assert to is not None
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect((str(to.ip), to.port))
        self.socket.setblocking(False)
        self._key = PrivateKey.generate(os.urandom)
        self._here = NodeEndpoint(to.ip, self.socket.getsockname()[1], 0)
        self._there = NodeEndpoint(to.ip, to.port, node.tcp)

    def sign(self, count: int) -> list[bytes]:
        """Return ``count`` signed pings, all different."""
        first = int(time.time()) + VALID_S
        pings = (Ping(4, self._here, self._there, first + number, 1) for number in range(count))
        return [encode(self._key, ping)[0] for ping in pings]

    def prove(self) -> None:
        """Ping the node and answer its ping. Raises RuntimeError if it does not ping back."""
        for _ in range(PROOF_TRIES):
            self.socket.send(self.sign(1)[0])
            deadline = time.monotonic() + PATIENCE_S
            while (left_s := deadline - time.monotonic()) > 0:
                if select.select([self.socket], [], [], left_s)[0] and self.receive()[1]:
                    return
        raise RuntimeError("the node does not ping back")

    def receive(self) -> tuple[int, int]:
        """Read all datagrams. Return the numbers of pongs, and of pings that were answered."""
        pongs = pings = 0
        while True:
            try:
                data = self.socket.recv(MAX_PACKET_SIZE)
            except (BlockingIOError, ConnectionRefusedError):
                return pongs, pings
            if data[TYPE_OFFSET] == PacketType.PONG:
                pongs += 1
            elif data[TYPE_OFFSET] == PacketType.PING:
                self._answer(decode(data))
                pings += 1

    def _answer(self, received: Received) -> None:
        pong = Pong(self._there, received.packet_hash, int(time.time()) + VALID_S)
        self.socket.send(encode(self._key, pong)[0])


class Pinger:
    """Endpoints that ping one node."""

    def __init__(self, url: str, count: str) -> None:
        node = p2p.parse_node(url)
        self.greeting: dict[str, Any] = {}
        self._askers = [Asker(node) for _ in range(int(count))]
        self._flood: Flood | None = None
        self._flood_pings: list[bytes] = []
        for asker in self._askers:
            asker.prove()

    def close(self) -> None:
        if self._flood is not None:
            self._flood.stop()
        for asker in self._askers:
            asker.socket.close()

    def ping(self, count: int) -> dict[str, Any]:
        """Send pings as fast as they are answered, and return the seconds and the pongs."""
        return ping(self._askers, max(1, count // len(self._askers)))

    def start_flood(self, per_second: int) -> dict[str, Any]:
        """Send pings of the first endpoint at a constant rate until :meth:`stop_flood`."""
        asker = self._askers[0]
        self._flood_pings = self._flood_pings or asker.sign(FLOOD_PINGS)
        self._flood = Flood(asker, self._flood_pings, per_second)
        self._flood.start()
        return {}

    def stop_flood(self) -> dict[str, Any]:
        """End the flood. Return the numbers of pings and of pongs, and the seconds."""
        flood, self._flood = self._flood, None
        assert flood is not None
        return flood.stop()


def ping(askers: Sequence[Pinging], each: int) -> dict[str, Any]:
    """Let each endpoint send its pings, a share of WINDOW at a time."""
    waiting = {asker.socket.fileno(): (asker, deque(asker.sign(each))) for asker in askers}
    share = max(1, WINDOW // len(askers))
    poll = select.poll()
    for asker in askers:
        asker.receive()  # late datagrams
        poll.register(asker.socket, select.POLLIN)
    pongs = on_the_way = 0
    start = time.perf_counter()
    while True:
        if on_the_way == 0:
            on_the_way = sum(send(*one, share) for one in waiting.values())
            if on_the_way == 0:
                break
        ready = poll.poll(PATIENCE_S * 1000)
        for number, _ in ready:
            came, _ = waiting[number][0].receive()
            pongs += came
            on_the_way = max(0, on_the_way - came) + send(*waiting[number], came)
        if not ready:
            on_the_way = 0  # they are lost
    seconds = time.perf_counter() - start
    if not pongs:
        raise RuntimeError("no ping was answered")
    return {"seconds": seconds, "pongs": pongs}


def send(asker: Pinging, datagrams: deque[bytes], count: int) -> int:
    """Send at most ``count`` datagrams. Return their number."""
    count = min(count, len(datagrams))
    for _ in range(count):
        asker.socket.send(datagrams.popleft())
    return count


class Flood(threading.Thread):
    """Pings at a constant rate."""

    def __init__(self, asker: Asker, pings: Sequence[bytes], per_second: int) -> None:
        super().__init__(name="flood", daemon=True)
        # fixed after __init__
        self._asker = asker
        self._interval_s = 1 / per_second
        self._datagrams = cycle(pings)
        self._ended = threading.Event()
        # owned by the thread; read by others when it has ended
        self._sent = 0
        self._pongs = 0
        self._seconds = 0.0

    def stop(self) -> dict[str, Any]:
        """End the thread. Return the numbers of pings and of pongs, and the seconds."""
        self._ended.set()
        self.join()
        return {"sent": self._sent, "pongs": self._pongs, "seconds": self._seconds}

    def run(self) -> None:
        start = time.monotonic()
        while not self._ended.is_set():
            self._seconds = time.monotonic() - start
            while self._sent * self._interval_s < self._seconds:
                self._asker.socket.send(next(self._datagrams))
                self._sent += 1
            self._pongs += self._asker.receive()[0]
            time.sleep(self._interval_s)
        self._pongs += self._asker.receive()[0]
