"""The load on a node of discovery v5: pings under sessions, and handshakes.

It runs in a process of its own (a role of :mod:`benchmarks.node`). Pings are encrypted in advance,
so they cost little compared with the node. A handshake costs as much at this end as at the other;
each is by a node of its own, which the other end has never seen.

An endpoint is a socket and a node. Its record names no address, so it is never asked anything.
"""

from __future__ import annotations

import os
import select
import socket
import time
from typing import Any

import p2p
from benchmarks.pinger import PATIENCE_S, ping
from p2p.clock import SystemClock
from p2p.crypto import PrivateKey
from p2p.discover.v5 import packet as packets
from p2p.discover.v5.handshakes import Handshakes
from p2p.discover.v5.message import Ping, encode
from p2p.discover.v5.packet import MAX_PACKET_SIZE, MIN_PACKET_SIZE, WhoAreYou
from p2p.discover.v5.sessions import Session, Sessions
from p2p.enode import LocalNode, Node, NodeDB, NodeID

#: Attempts of an endpoint to get a session.
TRIES = 5


class Identity:
    """One node that asks: its key, with a signed record."""

    def __init__(self, database: NodeDB) -> None:
        key = PrivateKey.generate(os.urandom)
        local = LocalNode(key, database, clock=SystemClock())
        assert local.record  # signed now
        self.id = NodeID.from_public_key(key.public_key)
        self.handshakes = Handshakes(key, local, os.urandom)


class Endpoint:
    """One endpoint, and the node that it asks."""

    def __init__(self, node: Node, identity: Identity) -> None:
        to = node.udp_endpoint
        assert to is not None
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect((str(to.ip), to.port))
        self.socket.setblocking(False)
        self.identity = identity
        self._node = node
        self._remote = node.id, to
        self._session: Session | None = None

    def ask(self) -> None:
        """Send a message that the node cannot read."""
        self.socket.send(self.identity.handshakes.random_message(self._remote).datagram)

    def answer(self, datagram: bytes) -> None:
        """Answer a challenge with a ping."""
        challenge = packets.decode(datagram, self.identity.id)
        assert isinstance(challenge, WhoAreYou)
        plaintext = encode(Ping(b"shake", 1))
        answer = self.identity.handshakes.answer
        data, self._session = answer(challenge, self._node, plaintext)
        self.socket.send(data)

    def read(self) -> bytes | None:
        """Return a datagram; None if there is none."""
        try:
            return self.socket.recv(MAX_PACKET_SIZE)
        except (BlockingIOError, ConnectionRefusedError):
            return None

    def shake(self) -> None:
        """Get a session. Raises RuntimeError if the node gives none."""
        for _ in range(TRIES):
            self.ask()
            while select.select([self.socket], [], [], PATIENCE_S)[0]:
                data = self.read()
                if data is None:
                    continue
                if len(data) > MIN_PACKET_SIZE:
                    return
                self.answer(data)
        raise RuntimeError("the node does not shake hands")

    # as :func:`benchmarks.pinger.ping` wants it

    def sign(self, count: int) -> list[bytes]:
        """Return ``count`` encrypted pings."""
        assert self._session is not None
        sessions = Sessions(self.identity.id, os.urandom)
        sessions.add(self._remote, self._session)
        pings = (encode(Ping(number.to_bytes(4, "big"), 1)) for number in range(count))
        return [
            sessions.encrypt(self._remote, self._session, plaintext).datagram
            for plaintext in pings
        ]

    def receive(self) -> tuple[int, int]:
        """Read all datagrams. Return the number of pongs, and 0."""
        pongs = 0
        while (data := self.read()) is not None:
            pongs += len(data) > MIN_PACKET_SIZE
        return pongs, 0


class AskerV5:
    """Endpoints that ask one node."""

    def __init__(self, record: str, count: str) -> None:
        node = p2p.parse_node(record)
        self.greeting: dict[str, Any] = {}
        self._database = NodeDB()
        self._endpoints = [Endpoint(node, Identity(self._database)) for _ in range(int(count))]

    def close(self) -> None:
        for endpoint in self._endpoints:
            endpoint.socket.close()
        self._database.close()

    def ping(self, count: int) -> dict[str, Any]:
        """Send pings as fast as they are answered, and return the seconds and the pongs."""
        for endpoint in self._endpoints:
            endpoint.shake()
        return ping(self._endpoints, max(1, count // len(self._endpoints)))

    def shake(self, count: int) -> dict[str, Any]:
        """Shake hands as fast as the node does, and return the seconds and the handshakes."""
        by_number = {endpoint.socket.fileno(): endpoint for endpoint in self._endpoints}
        spare = [Identity(self._database) for _ in range(count + len(self._endpoints))]
        poll = select.poll()
        for endpoint in self._endpoints:
            endpoint.receive()  # late datagrams
            poll.register(endpoint.socket, select.POLLIN)
            endpoint.identity = spare.pop()
        done = 0
        start = time.perf_counter()
        for endpoint in self._endpoints:
            endpoint.ask()
        while done < count:
            ready = poll.poll(PATIENCE_S * 1000)
            for number, _ in ready:
                endpoint = by_number[number]
                if self._proceed(endpoint):
                    done += 1
                    endpoint.identity = spare.pop() if spare else endpoint.identity
                    endpoint.ask()
            if not ready:  # all are lost
                for endpoint in self._endpoints:
                    endpoint.ask()
        return {"seconds": time.perf_counter() - start, "handshakes": done}

    @staticmethod
    def _proceed(endpoint: Endpoint) -> bool:
        """Take a datagram of the node. Return whether it ends a handshake."""
        data = endpoint.read()
        if data is None:
            return False
        if len(data) == MIN_PACKET_SIZE:
            endpoint.answer(data)
            return False
        return True
