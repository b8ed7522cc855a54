"""Two nodes that dial each other, without threads or time: the test picks each next step.

A :class:`Meeting` has two nodes and two connections, one dialed by each. What a node sends in one
go is a packet; packets of one direction of a connection keep their order, and that is all. A step
is a dial or the delivery of a packet. :func:`explore` goes through every order of the steps.
"""

from __future__ import annotations

import logging
import os
import select
import socket
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from ipaddress import ip_address
from types import SimpleNamespace
from typing import Any, cast

import p2p
import p2p.testing
from p2p.config import Config
from p2p.dial.dials import Dials
from p2p.net import Loop, NameLookups
from p2p.net.poller import READ
from p2p.net.timer import Timer, TimerQueue
from p2p.netutil import Endpoint
from p2p.peers.peerset import PeerSet
from p2p.peers.session import Session
from p2p.rlpx import Connection, DisconnectReceived, Hello, HelloReceived, IdentityKnown, State
from p2p.threads import Launcher

#: Who dials each of the two connections.
DIALERS = (0, 1)
CAP = p2p.Cap("test", 1)


class ManualLoop:
    """What sessions need of a loop. Nothing happens but in :meth:`run`."""

    def __init__(self) -> None:
        self.time = 0.0
        self._timers = TimerQueue()
        self._scratch = memoryview(bytearray())
        self._posted: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._watched: dict[socket.socket, tuple[int, Callable[[int], None]]] = {}

    def now(self) -> float:
        return self.time

    def post(self, fn: Callable[..., object], *args: Any) -> bool:
        self._posted.append((fn, args))
        return True

    def call_at(self, when: float, fn: Callable[..., object], *args: Any) -> Timer:
        return self._timers.push(when, fn, args)

    def call_later(self, delay_s: float, fn: Callable[..., object], *args: Any) -> Timer:
        return self.call_at(self.time + delay_s, fn, *args)

    def register(self, sock: socket.socket, interest: int, fn: Callable[[int], None]) -> None:
        self._watched[sock] = (interest, fn)

    def set_interest(self, sock: socket.socket, interest: int) -> None:
        self._watched[sock] = (interest, self._watched[sock][1])

    def unregister(self, sock: socket.socket) -> None:
        self._watched.pop(sock, None)

    def scratch(self, size_bytes: int) -> memoryview:
        if len(self._scratch) < size_bytes:
            self._scratch = memoryview(bytearray(size_bytes))
        return self._scratch

    def run(self) -> None:
        """Do all that is due, until nothing is left to do."""
        while self._run_posted() or self._run_timers() or self._read():
            pass

    def _run_posted(self) -> bool:
        if not self._posted:
            return False
        fn, args = self._posted.popleft()
        fn(*args)
        return True

    def _run_timers(self) -> bool:
        due = self._timers.pop_due(self.time)
        for timer in due:
            timer.fire()
        return bool(due)

    def _read(self) -> bool:
        wanted = [sock for sock, (interest, _) in self._watched.items() if interest & READ]
        ready = select.select(wanted, [], [], 0)[0]
        for sock in ready:
            if sock in self._watched:
                self._watched[sock][1](READ)
        return bool(ready)


class OurNode:
    """A peer set of ours, with real sessions.

    A node opens a connection (``remote`` is None for the end that listens), takes packets, and
    gives what it has sent: b"" at the end of the connection, None for nothing. ``peers`` are the
    connections that have become one; ``begun`` counts the handlers that began.
    """

    def __init__(self, key: p2p.PrivateKey, max_pending_peers: int = 50) -> None:
        self.key = key
        self.loop = ManualLoop()
        self.begun = 0
        self.settled: list[Session] = []
        self._running: list[tuple[p2p.Peer, Callable[[], None]]] = []
        self._ends: dict[int, socket.socket] = {}
        self._ours: dict[socket.socket, int] = {}
        protocol = p2p.Protocol("test", 1, 1, lambda peer, rw: None)
        config = Config(
            private_key=key,
            name="ours",
            max_peers=5,
            max_pending_peers=max_pending_peers,
            protocols=[protocol],
            clock=p2p.testing.SimulatedClock(),
        )
        launcher = cast(Launcher, SimpleNamespace(run=self.run_job))
        log = logging.getLogger("p2p.test.meeting")
        loop = cast(Loop, self.loop)
        feed: Any = p2p.feed.Feed()
        self.peer_set = PeerSet(config, loop, launcher, feed, log)
        Dials(config, loop, self.peer_set, launcher, NameLookups(), log)

    def run_job(self, name: str, job: partial[None], on_failed: object) -> None:
        """As a launcher does; but the handler, which returns at once, runs after the connection."""
        assert not self._running, "a handler runs twice at a time"
        self.begun += 1
        self._running.append((job.args[0], job))

    def open(self, connection: int, remote: p2p.PublicKey | None) -> None:
        ours, self._ends[connection] = socket.socketpair()
        self._ends[connection].setblocking(False)
        self._ours[ours] = connection
        if remote is None:
            self.peer_set.accept(ours, Endpoint(ip_address("127.0.0.1"), 30303))
        else:
            self.peer_set.dialed(ours, p2p.Node.from_parts(remote), False, self.settled.append)
        self.run()

    def receive(self, connection: int, data: bytes) -> None:
        end = self._ends[connection]
        with suppress(OSError):  # the other end of the pair is closed
            if data:
                end.sendall(data)
            else:
                end.shutdown(socket.SHUT_WR)
        self.run()

    def sent(self, connection: int) -> bytes | None:
        end = self._ends.get(connection)
        if end is None:
            return None
        try:
            return end.recv(65536)
        except BlockingIOError:
            return None
        except ConnectionResetError:
            return b""

    @property
    def peers(self) -> list[int]:
        found = []
        for session in self.peer_set._peers.values():
            assert session.peer in [peer for peer, _ in self._running]
            found.append(self._ours[session.channel._sock])
        return found

    def run(self, seconds: float = 0.0) -> None:
        """Let time pass, and do all that is due."""
        self.loop.time += seconds
        self.loop.run()
        ended = [run for run in self._running if not run[0].is_connected]
        for peer, handler in ended:
            self._running.remove((peer, handler))
            handler()
            self.loop.run()

    def close(self) -> None:
        self.peer_set.abort()
        self.run()
        for end in self._ends.values():
            end.close()


class GoNode:
    """A node with the rule of go-ethereum: the first hello makes the peer, others are refused."""

    def __init__(self, key: p2p.PrivateKey) -> None:
        self.begun = 0
        self.refuses_all = False
        self._key = key
        self._hello = Hello(5, "go", [CAP], 0, key.public_key.to_bytes())
        self._machines: dict[int, Connection] = {}
        self._unsent: dict[int, list[bytes]] = {}
        self._ended: set[int] = set()
        self._peer: int | None = None

    def open(self, connection: int, remote: p2p.PublicKey | None) -> None:
        self._machines[connection] = Connection(
            self._key, self._hello, [(CAP, 1)], os.urandom, 0.0, remote=remote
        )

    def receive(self, connection: int, data: bytes) -> None:
        machine = self._machines[connection]
        if not data:
            machine.disconnect(p2p.DiscReason.NETWORK_ERROR)
        events = list(machine.receive_data(data, 0.0))
        for event in events:
            is_question = isinstance(event, (IdentityKnown, HelloReceived))
            if is_question and (self.refuses_all or self._peer is not None):
                machine.disconnect(p2p.DiscReason.ALREADY_CONNECTED)
            elif isinstance(event, IdentityKnown):
                events += machine.accept_identity(0.0)
            elif isinstance(event, HelloReceived):
                self._peer = connection
                self.begun += 1
                events += machine.accept_hello(0.0)
            elif isinstance(event, DisconnectReceived) and self._peer == connection:
                self._peer = None

    def sent(self, connection: int) -> bytes | None:
        machine = self._machines.get(connection)
        if machine is None or connection in self._ended:
            return None
        unsent = self._unsent.setdefault(connection, [])
        unsent += machine.data_to_send()
        if unsent:
            return unsent.pop(0)  # ack and hello are packets of their own
        if machine.state is State.CLOSED:
            self._ended.add(connection)
            return b""
        return None

    def machine(self, connection: int) -> Connection:
        return self._machines[connection]

    @property
    def peers(self) -> list[int]:
        return [] if self._peer is None else [self._peer]

    def close(self) -> None:
        """There is nothing to close."""


class Meeting:
    """Two nodes that dial each other; connection 0 is dialed by node 0."""

    def __init__(self, nodes: Sequence[Any], keys: Sequence[p2p.PrivateKey]) -> None:
        self.nodes = nodes
        self._keys = keys
        self._to_dial = set(DIALERS)
        self._ended: set[tuple[int, int]] = set()
        # by connection and sender
        self._packets: dict[tuple[int, int], deque[bytes]] = {
            (connection, sender): deque() for connection in DIALERS for sender in (0, 1)
        }

    def steps(self) -> list[Callable[[], None]]:
        """Return the steps that may come next."""
        dials = [lambda dialer=dialer: self._dial(dialer) for dialer in sorted(self._to_dial)]
        deliveries = [
            lambda way=way: self._deliver(way) for way, packets in self._packets.items() if packets
        ]
        return [*dials, *deliveries]

    def run(self, choices: Sequence[int] = ()) -> list[int]:
        """Take the steps chosen, then always the first. Return how many there were each time."""
        numbers = []
        while steps := self.steps():
            choice = choices[len(numbers)] if len(numbers) < len(choices) else 0
            numbers.append(len(steps))
            steps[choice]()
        return numbers

    def close(self) -> None:
        for node in self.nodes:
            node.close()

    def _dial(self, dialer: int) -> None:
        self._to_dial.remove(dialer)
        self.nodes[1 - dialer].open(dialer, None)
        self.nodes[dialer].open(dialer, self._keys[1 - dialer].public_key)
        self._collect()

    def _deliver(self, way: tuple[int, int]) -> None:
        connection, sender = way
        self.nodes[1 - sender].receive(connection, self._packets[way].popleft())
        self._collect()

    def _collect(self) -> None:
        """Fetch what the nodes have sent, until they send no more."""
        while sum(self._collect_from(*way) for way in self._packets if way not in self._ended):
            pass

    def _collect_from(self, connection: int, sender: int) -> bool:
        packets = self._packets[connection, sender]
        data = self.nodes[sender].sent(connection)
        if data:
            packets.append(data)
        elif data == b"" and not packets:
            # The end of a connection is no step of its own: it comes right behind the rest.
            self._ended.add((connection, sender))
            self.nodes[1 - sender].receive(connection, b"")
        else:
            return False
        return True


def explore(make: Callable[[], Meeting]) -> Iterator[Meeting]:
    """Run a meeting in every order of its steps. Each is closed when the next is asked for."""
    waiting: list[list[int]] = [[]]
    while waiting:
        choices = waiting.pop()
        meeting = make()
        numbers = meeting.run(choices)
        for index in range(len(choices), len(numbers)):
            path = choices + [0] * (index - len(choices))
            waiting += [[*path, other] for other in range(1, numbers[index])]
        try:
            yield meeting
        finally:
            meeting.close()
