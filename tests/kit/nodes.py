"""Nodes for tests: servers on 127.0.0.1, handlers that the test plays, and remotes by script.

The fixture ``nodes`` (conftest.py) hands out a :class:`Nodes` and ends whatever it started. A
:class:`Talks` is a protocol whose handlers do nothing but wait for the test; each of its runs is a
:class:`Talk`.
"""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from typing import Any

import p2p
from p2p.enode.distance import log_distance
from tests.kit.remote import Remote
from tests.kit.waiting import PATIENCE_S

HOST = "127.0.0.1"

#: Ports that a test may bind later: the system gives none of them to sockets of other programs.
OWN_PORTS = range(10_240, 32_768)

#: For programs that a test runs: prints the server's URL once the main thread stands in
#: ``server.wait()``, so that whoever reads the URL may press Ctrl-C.
ANNOUNCE = """
def announce(server):
    import sys, threading, time

    def stands_in_wait():
        frame = top = sys._current_frames()[threading.main_thread().ident]
        while frame is not None and frame.f_code is not type(server).wait.__code__:
            frame = frame.f_back
        return frame is not None and top.f_code.co_filename == threading.__file__

    def run():
        while not stands_in_wait():
            time.sleep(0.005)
        print(server.self.url, flush=True)

    threading.Thread(target=run, daemon=True).start()
"""


class Talk:
    """One run of a handler, which does nothing until the test calls :meth:`end` or :meth:`fail`."""

    def __init__(self, peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        self.peer = peer
        self.rw = rw
        self._outcome: Future[None] = Future()

    def end(self) -> None:
        """Let the handler return; harmless when it has."""
        with suppress(InvalidStateError):  # the end of the test lets all handlers return, too
            self._outcome.set_result(None)

    def fail(self, error: BaseException) -> None:
        """Let the handler raise ``error``."""
        self._outcome.set_exception(error)

    def wait(self) -> None:
        """What the handler does."""
        self._outcome.result()

    def read(self) -> p2p.Msg:
        return self.rw.read_msg(timeout=PATIENCE_S)


class Talks:
    """The runs of a handler, in the order in which they begin."""

    def __init__(self) -> None:
        self._begun: SimpleQueue[Talk] = SimpleQueue()
        self._all: list[Talk] = []
        self._released = False

    def run(self, peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        """The handler."""
        talk = Talk(peer, rw)
        self._all.append(talk)
        if self._released:
            talk.end()
        self._begun.put(talk)
        talk.wait()

    def next(self) -> Talk:
        """The next run, when it has begun."""
        try:
            return self._begun.get(timeout=PATIENCE_S)
        except Empty:
            raise AssertionError("no handler began to run") from None

    def none_begun(self) -> bool:
        return self._begun.empty()

    def release(self) -> None:
        """Let all handlers return, now and from now on."""
        self._released = True
        for talk in self._all:
            talk.end()

    def protocol(
        self, name: str = "test", version: int = 1, length: int = 8, **more: Any
    ) -> p2p.Protocol:
        return p2p.Protocol(name=name, version=version, length=length, run=self.run, **more)


class Nodes:
    """Makes servers, and stops them when the test is over."""

    def __init__(self) -> None:
        self._servers: list[p2p.Server] = []
        self._talks: list[Talks] = []
        self._remotes: list[Remote] = []

    def talks(self) -> Talks:
        talks = Talks()
        self._talks.append(talks)
        return talks

    def new(self, **options: Any) -> p2p.Server:
        """A server that is not started: it listens on 127.0.0.1 and has one protocol, test/1."""
        chosen: dict[str, Any] = {
            "private_key": p2p.generate_key(),
            "name": "node",
            "max_peers": 10,
            "listen_addr": f"{HOST}:0",
            "no_discovery": True,
        }
        if "protocols" not in options:
            chosen["protocols"] = [self.talks().protocol()]
        server = p2p.Server(**{**chosen, **options})
        self._servers.append(server)
        return server

    def start(self, **options: Any) -> p2p.Server:
        server = self.new(**options)
        server.start()
        return server

    def pair(self, **options: Any) -> tuple[Talk, Talk]:
        """Two servers that are connected: the talk of the one that dialed, and of the other.

        ``options`` are for the one that dialed. The talks have their servers as ``server``.
        """
        ours, theirs = self.talks(), self.talks()
        options = {"name": "dialer", "protocols": [ours.protocol()], **options}
        here = self.start(**options)
        there = self.start(name="listener", protocols=[theirs.protocol()])
        here.connect(there.self, timeout=PATIENCE_S)
        one, other = ours.next(), theirs.next()
        one.server, other.server = here, there  # type: ignore[attr-defined]
        return one, other

    def remote(self, server: p2p.Server, **options: Any) -> Remote:
        """A remote by script that dials ``server``; it has sent its auth."""
        remote = self.adopt(Remote.dial(server, length=8, **options))
        remote.flush()
        return remote

    def adopt(self, remote: Remote) -> Remote:
        """Have ``remote`` closed when the test is over."""
        self._remotes.append(remote)
        return remote

    def close(self) -> None:
        for talks in self._talks:
            talks.release()
        for remote in self._remotes:
            remote.sock.close()
        left = [server.stop(PATIENCE_S) for server in self._servers]
        assert not any(left), f"threads that did not end: {left}"


@contextmanager
def listening(backlog: int = 8) -> Iterator[socket.socket]:
    """A socket that listens on 127.0.0.1 and is closed afterwards."""
    with socket.create_server((HOST, 0), backlog=backlog) as sock:
        sock.settimeout(PATIENCE_S)
        yield sock


def node_at(sock: socket.socket, key: p2p.PrivateKey | None = None) -> p2p.Node:
    """The node with ``key`` (or one nobody has) where ``sock`` listens."""
    public_key = (key or p2p.generate_key()).public_key
    return p2p.Node.from_parts(public_key, HOST, sock.getsockname()[1])


def await_event(events: p2p.Subscription[p2p.PeerEvent], kind: str) -> p2p.PeerEvent:
    """The next event of this type; others before it are dropped."""
    while (event := events.get(PATIENCE_S)).type != kind:
        pass
    return event


def key_far_from(node: p2p.Node) -> p2p.PrivateKey:
    """The key of a node at the largest distance. Lookups of v5 rarely ask for near nodes."""
    while True:
        key = p2p.generate_key()
        if log_distance(p2p.NodeID.from_public_key(key.public_key), node.id) == 256:
            return key


def assert_goes_on(left: Sequence[str], name: str) -> None:
    """A stop has named this thread, which goes on; any other that it named ends by itself.

    A stop that is given next to no time names what the machine has held up meanwhile as well.
    """
    assert name in left
    deadline = time.monotonic() + PATIENCE_S
    while running := [t.name for t in threading.enumerate() if t.name in left and t.name != name]:
        assert time.monotonic() < deadline, f"these go on, too: {running}"
        time.sleep(0.001)
    assert name in [thread.name for thread in threading.enumerate()]


_held: list[socket.socket] = []


def closed_port() -> int:
    """A TCP port on 127.0.0.1 that refuses connections until the test is over.

    It is taken and nobody listens on it. One that is free may be another process's a moment later.
    """
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    _held.append(sock)
    sock.bind((HOST, 0))
    return int(sock.getsockname()[1])


def free_closed_ports() -> None:
    """Let go of all ports of :func:`closed_port`."""
    while _held:
        _held.pop().close()


def unused_port() -> int:
    """A port on 127.0.0.1 without a socket, TCP or UDP; one of ``OWN_PORTS``."""
    while True:
        port = random.SystemRandom().choice(OWN_PORTS)
        udp_type = socket.SOCK_DGRAM
        with suppress(OSError), socket.socket() as tcp, socket.socket(type=udp_type) as udp:
            tcp.bind((HOST, port))
            udp.bind((HOST, port))
            return port
