"""The server under attack, and the honest pair that must not notice.

A :class:`Target` runs two protocols: "test", which the attackers speak, and "talk", which an honest
server speaks with it over a real connection. Handlers of "test" run the function that the test
gives. A :class:`Honest` exchanges numbered messages on demand and checks that each is answered, in
order.
"""

from __future__ import annotations

import logging
import queue
import select
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import p2p
import p2p.testing
from p2p.peers.session import Session
from tests.kit import inspect
from tests.kit.remote import LENGTH, Remote
from tests.kit.waiting import PATIENCE_S, eventually

#: linux/tcp.h, tcp_info: segments that the other end has not acknowledged, or, of a listening
#: socket, how many connections wait to be accepted.
_TCP_INFO_UNACKED = 24

_loggers = count()

Run = Callable[[p2p.Peer, p2p.MsgReadWriter], object]


class Inbox:
    """A handler that keeps what it reads and how it ended."""

    def __init__(self) -> None:
        self.peers: queue.Queue[p2p.Peer] = queue.Queue()
        self.messages: queue.Queue[p2p.Msg] = queue.Queue()
        self.endings: queue.Queue[BaseException] = queue.Queue()

    def run(self, peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        self.peers.put(peer)
        try:
            while True:
                self.messages.put(rw.read_msg())
        except p2p.P2PError as error:
            self.endings.put(error)

    def peer(self) -> p2p.Peer:
        return self.peers.get(timeout=PATIENCE_S)

    def message(self) -> p2p.Msg:
        return self.messages.get(timeout=PATIENCE_S)

    def ending(self) -> p2p.PeerDisconnected:
        error = self.endings.get(timeout=PATIENCE_S)
        assert isinstance(error, p2p.PeerDisconnected), repr(error)
        return error


class Log(logging.Handler):
    """Keeps the lines that a server logs, and lets a test wait for one."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.records: list[logging.LogRecord] = []
        self._changed = threading.Condition()

    def emit(self, record: logging.LogRecord) -> None:
        record.getMessage()
        with self._changed:
            self.records.append(record)
            self._changed.notify_all()

    def lines(self) -> list[str]:
        with self._changed:
            return [record.getMessage() for record in self.records]

    def await_line(self, part: str, times: int = 1) -> str:
        """The latest line with ``part`` in it, once there are as many such lines."""

        def found() -> list[str]:
            lines = [record.getMessage() for record in self.records]
            return [line for line in lines if part in line]

        with self._changed:
            there = self._changed.wait_for(lambda: len(found()) >= times, PATIENCE_S)
            assert there, f"{part!r} was not logged: {[r.getMessage() for r in self.records]}"
            return found()[-1]


class Target:
    """A server on loopback with "test" and "talk". Made by :func:`target`."""

    def __init__(self, run: Run, **options: Any) -> None:
        self.clock = p2p.testing.SimulatedClock()
        self.log = Log()
        logger = logging.getLogger(f"p2p.test{next(_loggers)}")
        logger.setLevel(logging.DEBUG)
        logger.addHandler(self.log)
        settings: dict[str, Any] = {
            "private_key": p2p.generate_key(),
            "name": "target",
            "max_peers": 50,
            "listen_addr": "127.0.0.1:0",
            "no_discovery": True,
            "protocols": [
                p2p.Protocol("test", 1, LENGTH, run),
                p2p.Protocol("talk", 1, 1, _echo),
            ],
            "clock": self.clock,
            "logger": logger,
        }
        self.server = p2p.Server(**{**settings, **options})

    @property
    def key(self) -> p2p.PublicKey:
        return self.server.config.private_key.public_key

    def attack(self, **options: Any) -> Remote:
        """A new attacker, connected by TCP."""
        return Remote.dial(self.server, **options)

    def sessions(self) -> tuple[int, int, int]:
        """How many sessions there are, how many inbound ones in a handshake, how many sockets."""
        return inspect.on_io(self.server, self._count_sessions)

    def await_quiet(self, peers: int = 0) -> None:
        """Wait until nothing is left but ``peers`` connected peers, and nobody waits to come in."""
        sock = inspect.listener(self.server)._sock
        eventually(lambda: not unacked(sock) and self.sessions() == (peers, 0, peers))
        assert self.server.peer_count == peers
        assert not inspect.watched_sessions(self.server)

    def _count_sessions(self) -> tuple[int, int, int]:
        found = (inspect.sessions, inspect.pending_sessions, inspect.open_sessions)
        counted = [len(sessions_of(self.server)) for sessions_of in found]
        return counted[0], counted[1], counted[2]


class Honest:
    """An honest peer of a target."""

    def __init__(self, rw: p2p.MsgReadWriter) -> None:
        self._rw = rw
        self._next = 0

    def exchange(self, messages: int = 20) -> None:
        """Send some messages with the next numbers, and read the same numbers again."""
        numbers = range(self._next, self._next + messages)
        self._next = numbers.stop
        for number in numbers:
            p2p.send(self._rw, 0, number)
        for number in numbers:
            assert self._rw.read_msg(timeout=PATIENCE_S).decode(int) == number


@contextmanager
def target(run: Run | None = None, **options: Any) -> Iterator[Target]:
    """A running target, stopped at the end; nothing may then be left of it."""
    made = Target(run or Inbox().run, **options)
    with made.server:
        yield made
    assert made.server.peer_count == 0


@contextmanager
def talk(victim: Target) -> Iterator[Honest]:
    """An honest peer that talks with the target, before, in between, and at the end."""
    node = victim.server.self
    with p2p.connect(node, name="talk", version=1, length=1, timeout=PATIENCE_S) as rw:
        made = Honest(rw)
        made.exchange()
        yield made
        made.exchange()


def sessions(victim: Target) -> list[Session]:
    """The sessions of peers that speak "test"."""
    return [s for s in inspect.sessions(victim.server) if _speaks_test(s)]


def _speaks_test(session: Session) -> bool:
    shared = session.machine.shared
    return bool(shared) and shared[0].cap.name == "test"


def unacked(sock: socket.socket) -> int:
    """Segments under way, or connections that wait to be accepted; 0 where the system tells no
    such thing."""
    if sys.platform != "linux":
        return 0
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    return int(struct.unpack_from("I", info, _TCP_INFO_UNACKED)[0])


def await_stuck(victim: Target) -> Session:
    """Wait until the outbox is full, the kernel as well, and nothing moves any more.

    The remote's kernel has then taken what it takes and said so: with nothing under way, nothing
    can make room in ours, however long the machine has been busy with something else.
    """
    eventually(lambda: len(sessions(victim)) == 1)
    (session,) = sessions(victim)

    def is_stuck() -> bool:
        full = session.outbox.is_full and session.channel.unsent_bytes > 0
        sock = session.channel._sock
        return full and not unacked(sock) and not select.select([], [sock], [], 0)[1]

    # Other systems do not tell what is under way; it takes a moment.
    eventually(lambda: all(session.loop.call(is_stuck) and not _pause(0.01) for _ in range(5)))
    return session


def _pause(seconds: float) -> bool:
    return threading.Event().wait(seconds)


def dial(victim: Target, node: p2p.Node) -> Callable[[], BaseException | None]:
    """Connect in a thread; the function returned waits for the outcome."""
    outcome: list[BaseException | None] = []

    def run() -> None:
        try:
            victim.server.connect(node, timeout=PATIENCE_S)
            outcome.append(None)
        except p2p.P2PError as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()

    def join() -> BaseException | None:
        thread.join(PATIENCE_S)
        assert outcome, "connect has not returned"
        return outcome[0]

    return join


def _echo(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
    for msg in rw:
        rw.write_msg(msg)
