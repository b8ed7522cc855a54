"""Hostile connects by the thousand, in a process of their own.

Each :class:`Stranger` connects from an address of its own in 127.0.0.0/8 and does one of

========== =====================================================================================
junk       sends random bytes, half of the time behind the size of an auth
silent     says nothing
drip       sends a good auth one byte at a time
cut        sends half of a good auth and shuts down, or resets the connection
wrong key  sends an auth that is sealed for somebody else
mute       gets an ack, and sends no hello
wrong MAC  gets an ack, then sends a hello in a frame with a wrong MAC
========== =====================================================================================

and then waits for the server to close. Every other one is stubborn: it does not close its own end
when the server has closed, as a remote does that wants to hold the server's socket as long as it
can. :meth:`Strangers.attack` keeps as many open as it is told, until so many have come.
"""

from __future__ import annotations

import errno
import os
import random
import selectors
import socket
import struct
import sys
import time
from collections import Counter, deque
from contextlib import suppress
from typing import Any

import p2p
from p2p.rlpx import Connection, Hello, HelloReceived, IdentityKnown
from tests.stress.child import Child, obey
from tests.stress.crowd import CAP, LENGTH

KINDS = ("junk", "silent", "drip", "cut", "wrong key", "mute", "wrong MAC")
#: Between two bytes of a drip.
DRIP_S = 0.02
#: How long a stubborn one keeps its end open: longer than the server lingers.
STUBBORN_S = 2.0
#: After this long without an end a connection counts as one that is never closed.
GIVE_UP_S = 20.0
#: ip(7): the port is chosen on connecting, so that every address has all of them.
_IP_BIND_ADDRESS_NO_PORT = 24


class Attack(Child):
    """The strangers' process, as a scenario sees it."""

    def __init__(self, node: p2p.Node, seed: int) -> None:
        super().__init__("tests.stress.strangers", node.url, str(seed))


class Stranger:
    """One hostile connection."""

    def __init__(self, crowd: Strangers, kind: str) -> None:
        self.kind = kind
        self.connected_at: float | None = None
        self.told_at: float | None = None  # when it saw that the server has closed
        self.is_stubborn = crowd.random.random() < 0.5
        self._random = crowd.random
        self._node = crowd.node
        self._key = p2p.generate_key()
        self._drip: deque[int] = deque()
        self._drip_at = 0.0
        self._machine: Connection | None = None
        self.sock = socket.socket()
        self.sock.setblocking(False)
        self.sock.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
        self.sock.bind((f"127.{'.'.join(str(self._random.randrange(1, 255)) for _ in 'abc')}", 0))
        code = self.sock.connect_ex((str(self._node.ip), self._node.tcp))
        if code not in (0, errno.EINPROGRESS):
            raise OSError(code, os.strerror(code))

    @property
    def closed_s(self) -> float | None:
        """Seconds from being connected to the server's end."""
        if self.connected_at is None or self.told_at is None:
            return None
        return self.told_at - self.connected_at

    def begin(self, now: float) -> None:
        """It is connected."""
        self.connected_at = now
        getattr(self, "_begin_" + self.kind.replace(" ", "_"))()

    def read(self) -> bool:
        """The server has said something; returns whether that was its end."""
        try:
            data = self.sock.recv(65536)
        except BlockingIOError:
            return False
        except OSError:
            return True
        if data and self._machine is not None:
            self._go_on(self._machine, data)
        return not data

    def drip(self, now: float) -> None:
        """Send a byte, if it is time to and there is one."""
        if self._drip and self.connected_at is not None and now >= self._drip_at:
            self._drip_at = now + DRIP_S
            self._send(bytes([self._drip.popleft()]))

    def _send(self, data: bytes) -> None:
        with suppress(OSError):  # it is closed already, which reading will tell
            self.sock.send(data)

    def _new_machine(self, remote: p2p.PublicKey) -> Connection:
        hello = Hello(5, "stranger", [CAP], 0, self._key.public_key.to_bytes())
        return Connection(self._key, hello, [(CAP, LENGTH)], os.urandom, 0.0, remote=remote)

    def _auth(self, remote: p2p.PublicKey | None = None) -> bytes:
        return b"".join(self._new_machine(remote or self._node.public_key).data_to_send())

    def _begin_junk(self) -> None:
        data = self._random.randbytes(self._random.randrange(1, 2000))
        is_sized = self._random.random() < 0.5
        self._send(struct.pack(">H", len(data)) + data if is_sized else data)

    def _begin_silent(self) -> None:
        pass

    def _begin_drip(self) -> None:
        self._drip.extend(self._auth())

    def _begin_cut(self) -> None:
        auth = self._auth()
        self._send(auth[: len(auth) // 2])
        if self._random.random() < 0.5:
            with suppress(OSError):  # it was given up already
                self.sock.shutdown(socket.SHUT_WR)
        else:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.told_at = self.connected_at  # it will not be told

    def _begin_wrong_key(self) -> None:
        self._send(self._auth(p2p.generate_key().public_key))

    def _begin_mute(self) -> None:
        self._begin_wrong_MAC()

    def _begin_wrong_MAC(self) -> None:
        self._machine = self._new_machine(self._node.public_key)
        self._send(b"".join(self._machine.data_to_send()))

    def _go_on(self, machine: Connection, data: bytes) -> None:
        for event in machine.receive_data(data, 0.0):
            if isinstance(event, IdentityKnown) and self.kind != "mute":
                machine.accept_identity(0.0)
                hello = bytearray(b"".join(machine.data_to_send()))
                hello[-1] ^= 1
                self._send(bytes(hello))
            elif isinstance(event, HelloReceived):
                machine.accept_hello(0.0)


class Strangers:
    """The crowd, in its process."""

    def __init__(self, url: str, seed: str) -> None:
        self.node = p2p.parse_node(url)
        self.random = random.Random(int(seed))
        self.greeting: dict[str, Any] = {}
        self._selector = selectors.DefaultSelector()
        self._open: set[Stranger] = set()
        self._stubborn: deque[tuple[float, Stranger]] = deque()
        self._came: Counter[str] = Counter()
        self._closed_s: list[float] = []
        self._never = 0

    def close(self) -> None:
        for stranger in self._open:
            stranger.sock.close()
        for _, stranger in self._stubborn:
            stranger.sock.close()
        self._selector.close()

    def attack(self, count: int, at_a_time: int) -> dict[str, Any]:
        """``count`` strangers, ``at_a_time`` open; returns how they fared when all are closed."""
        start = time.monotonic()
        last_came = start
        while self._came.total() < count or self._open:
            while self._came.total() < count and len(self._open) < at_a_time:
                self._come(self.random.choice(KINDS))
                last_came = time.monotonic()
            self._step()
        return {
            "came": dict(self._came),
            "slowest_s": max(self._closed_s),
            "never": self._never,
            "seconds": last_came - start,
        }

    def _come(self, kind: str) -> None:
        stranger = Stranger(self, kind)
        self._came[kind] += 1
        self._open.add(stranger)
        self._selector.register(stranger.sock, selectors.EVENT_WRITE, stranger)

    def _step(self) -> None:
        for key, mask in self._selector.select(DRIP_S):
            stranger: Stranger = key.data
            now = time.monotonic()
            if mask & selectors.EVENT_WRITE:
                self._selector.modify(stranger.sock, selectors.EVENT_READ, stranger)
                stranger.begin(now)
                if stranger.told_at is not None:
                    self._end(stranger, now)
            elif stranger.read():
                stranger.told_at = now
                self._end(stranger, now)
        now = time.monotonic()
        for stranger in list(self._open):
            stranger.drip(now)
            if now - (stranger.connected_at or now) > GIVE_UP_S:
                self._never += 1
                self._end(stranger, now)
        while self._stubborn and self._stubborn[0][0] <= now:
            self._stubborn.popleft()[1].sock.close()

    def _end(self, stranger: Stranger, now: float) -> None:
        self._selector.unregister(stranger.sock)
        self._open.discard(stranger)
        if stranger.closed_s is not None:
            self._closed_s.append(stranger.closed_s)
        if stranger.is_stubborn and stranger.kind != "cut":
            self._stubborn.append((now + STUBBORN_S, stranger))
        else:
            stranger.sock.close()


if __name__ == "__main__":
    obey(Strangers(*sys.argv[1:]))
