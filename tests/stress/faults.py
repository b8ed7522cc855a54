"""Faults of the system and of handlers, at random, at a server with 20 live peers.

Each live peer exchanges numbered messages with a running hash with the server without a pause, each
direction a chain of its own, while one fault after the other is thrown at the server: no
descriptors, no threads, connections that fail in ``accept``, no buffers for datagrams, jumps of the
wall clock, a full disk, and handlers that raise, exit, use up the stack, fork, start programs, or
wait for ever. After each, somebody new dials the server and the server dials somebody new. At the
end, ``stop`` has to name the handlers that wait for ever, and no others.

It all runs in a process of its own, which the shortages are of. Short: 8 s. Full: 5 minutes.
"""

from __future__ import annotations

import errno
import json
import logging
import random
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import p2p
from tests.faults.neighbors import Neighbor, talk
from tests.faults.orders import ORDERS
from tests.faults.seams import (
    JumpingSystemClock,
    faulty_discovery,
    faulty_listener,
    full_disk,
)
from tests.faults.shortage import few_descriptors, no_more_threads, open_descriptors
from tests.kit import inspect
from tests.kit.nodes import Nodes
from tests.kit.remote import Remote
from tests.kit.waiting import PATIENCE_S, eventually
from tests.stress.figure import Figure, Scale

#: More than find room in a page.
NODES = 200
ROOT = Path(__file__).resolve().parents[2]
#: How long faults are thrown, and what stop() gets to end in, which is all of it: some never end.
SECONDS = {Scale.SHORT: 8.0, Scale.FULL: 300.0}
STOP_S = 5.0
#: What a busy machine takes on top of that.
GRACE_S = 1.0
KINDS = 8
SEED = 1
LIVE_PEERS = 20
#: Messages that a live peer has under way.
WINDOW = 20
#: Between two windows, so that there is something left of the processor for the faults.
PAUSE_S = 0.02
#: Accepting pauses for 0.2 s in a shortage (p2p.net.listener); the rest is a busy machine's.
MOST_UNTIL_ACCEPTED_S = 2.0
MOST_STUCK = 3
SEND_ERRORS = (errno.ENOBUFS, errno.ENETUNREACH, errno.EPERM, errno.EMSGSIZE)
HOUR_S = 3600.0


class Live:
    """A live peer: a thread that talks until it is told to end, and what went wrong."""

    def __init__(self, nodes: Nodes, server: p2p.Server) -> None:
        self.messages = 0
        self.fault: BaseException | None = None
        self._neighbor = Neighbor(nodes, server)
        self._over = threading.Event()
        # Or the process would go on when something has failed before they are told to end.
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Have it read what is under way, and end."""
        self._over.set()
        self._thread.join(PATIENCE_S)
        self._neighbor.leave()

    def _run(self) -> None:
        try:
            while not self._over.is_set():
                self._neighbor.exchange(WINDOW)
                self.messages += WINDOW
                self._over.wait(PAUSE_S)
        except BaseException as fault:
            self.fault = fault


class Play:
    """The server, its peers, and what is done to it; one method ``throw_...`` for each fault."""

    def __init__(self, nodes: Nodes, folder: Path) -> None:
        self.random = random.Random(SEED)
        self.thrown = 0
        self.slowest_s = 0.0
        self.not_accepted = self.not_dialed = 0
        self.stuck: set[str] = set()
        self.release = threading.Event()
        self._orders: SimpleQueue[Callable[[], object]] = SimpleQueue()
        self._nodes = nodes
        self._clock = JumpingSystemClock()
        protocols = [talk(), p2p.Protocol("test", 1, 8, self._handle)]
        self.server = nodes.start(
            max_peers=10 * LIVE_PEERS, protocols=protocols, clock=self._clock,
            no_discovery=False, node_database=folder / "nodes.db",
        )  # fmt: skip
        self._listener = faulty_listener(self.server)
        self._udp = faulty_discovery(self.server)
        # Whom the server asks in discovery, and whom it dials.
        self._mate = nodes.start(no_discovery=False, protocols=[talk()])
        self.live = [Live(nodes, self.server) for _ in range(LIVE_PEERS)]

    def throw_for(self, seconds: float) -> None:
        """One fault after the other; each kind comes once before any comes again."""
        kinds = [getattr(self, name) for name in sorted(dir(self)) if name.startswith("throw_at_")]
        deadline = time.monotonic() + seconds
        while not self.thrown or time.monotonic() < deadline:
            self.random.shuffle(kinds)
            for kind in kinds:
                if self.thrown >= len(kinds) and time.monotonic() >= deadline:
                    break
                kind()
                self.thrown += 1
                self._recover()

    # shortages

    def throw_at_descriptors(self) -> None:
        """None, or a few; strangers wait to be accepted, and the server is to dial."""
        with ExitStack() as stack:
            strangers = [stack.enter_context(socket.socket()) for _ in range(4)]
            node = self._new_server().self
            with few_descriptors(self.random.randrange(4)):
                for stranger in strangers:
                    stranger.connect(self._address())
                with suppress(p2p.ConnectError):
                    self.server.connect(node, timeout=PATIENCE_S)
                self.release.wait(0.1)

    def throw_at_threads(self) -> None:
        """None more: neither those who come nor those who are dialed can be served."""
        node = self._new_server().self
        with no_more_threads(), suppress(p2p.ConnectError):
            self._knock()
            self.server.connect(node, timeout=PATIENCE_S)

    def throw_at_accept(self) -> None:
        """Connections that are gone before they are accepted: some in truth, some by errno."""
        self._listener.accept_errors += [errno.ECONNABORTED] * self.random.randrange(1, 50)
        for _ in range(5):
            with socket.create_connection(self._address(), PATIENCE_S) as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def throw_at_datagrams(self) -> None:
        """None can be sent; the next one can."""
        assert self.server.discovery_v4 is not None
        self._udp.send_error = self.random.choice(SEND_ERRORS)
        self._clock.jump(1.0)  # pings of one second are equal: an earlier one's pong may be to come
        with suppress(p2p.errors.NoResponse):
            self.server.discovery_v4.ping(self._mate.self)
            raise RuntimeError("a datagram has come through")
        self._udp.send_error = 0
        eventually(self._mate_answers)

    def throw_at_clock(self) -> None:
        """Hours forward or back."""
        self._clock.jump(self.random.choice((-1, 1)) * self.random.uniform(1, 30) * HOUR_S)
        eventually(self._mate_answers)

    def throw_at_disk(self) -> None:
        """Full, while there is something to store."""
        services = inspect.services(self.server)
        assert services is not None and services.database.db is not None
        db = services.database.db
        own, seq = self._mate.self.id, 2 * self.thrown
        with full_disk(self.server), suppress(p2p.errors.NodeDBError):
            for _ in range(NODES):
                key = p2p.generate_key().public_key
                db.update_node(p2p.Node.from_parts(key, "127.0.0.1", 1, 1))
            db.set_local_seq(own, seq)
            if not db._failed:  # of what was stored, this number found its place
                raise RuntimeError("there was room on the disk")
        db.set_local_seq(own, seq + 1)

    # handlers

    def throw_at_handlers(self) -> None:
        """Some that fail, and one that forks or starts a program."""
        for order in self.random.sample(ORDERS, 3):
            self._orders.put(order)
            self._knock()

    def throw_at_patience(self) -> None:
        """One that waits for ever."""
        if len(self.stuck) < MOST_STUCK:
            self._orders.put(self.release.wait)
            remote = self._nodes.remote(self.server).open()
            self.stuck.add(f"p2p-peer-{remote.node.id.short}-test")
            eventually(self._orders.empty)

    def _handle(self, peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        with suppress(Empty):
            self._orders.get_nowait()()

    # and afterwards

    def _mate_answers(self) -> bool:
        """Whether a ping is answered in time: half a second, which a busy machine may exceed."""
        assert self.server.discovery_v4 is not None
        with suppress(p2p.errors.NoResponse):
            self.server.discovery_v4.ping(self._mate.self, PATIENCE_S)
            return True
        return False

    def _recover(self) -> None:
        """Somebody new dials the server, and the server dials somebody new."""
        start = time.monotonic()
        try:
            self._knock()
        except (AssertionError, OSError):
            self.not_accepted += 1
        self.slowest_s = max(self.slowest_s, time.monotonic() - start)
        try:
            self.server.connect(self._new_server().self, timeout=PATIENCE_S)
        except p2p.ConnectError:
            self.not_dialed += 1
        while len(self._nodes._servers) > LIVE_PEERS + 2:
            self._nodes._servers.pop().stop()

    def _knock(self) -> None:
        """A new peer comes, and leaves when its handler ends."""
        remote: Remote = self._nodes.remote(self.server)
        remote.open().ending()
        remote.sock.close()
        self._nodes._remotes.remove(remote)

    def _new_server(self) -> p2p.Server:
        return self._nodes.start(protocols=[talk()])

    def _address(self) -> tuple[str, int]:
        return "127.0.0.1", self.server.self.tcp


def play(seconds: float, stop_s: float) -> dict[str, Any]:
    """The whole of it, in this process; returns what was measured."""
    before = open_descriptors()
    nodes = Nodes()
    with tempfile.TemporaryDirectory() as folder:
        one = Play(nodes, Path(folder))
        one.throw_for(seconds)
        peers = {peer.id for peer in one.server.peers}
        still_there = sum(live._neighbor.id in peers for live in one.live)
        for live in one.live:
            live.end()
        start = time.monotonic()
        left = one.server.stop(stop_s)
        stop_s = time.monotonic() - start
        one.release.set()
        nodes.close()
    eventually(lambda: threading.active_count() == 1)
    return {
        "faults": one.thrown,
        "messages": 2 * sum(live.messages for live in one.live),
        "broken": sum(live.fault is not None for live in one.live),
        "live": still_there,
        "not_accepted": one.not_accepted,
        "not_dialed": one.not_dialed,
        "slowest_s": one.slowest_s,
        "stop_s": stop_s,
        "misnamed": len(one.stuck ^ set(left)),
        "descriptors": len(open_descriptors()) - len(before),
        "faults_seen": [repr(live.fault) for live in one.live if live.fault is not None],
    }


def run(scale: Scale) -> Iterator[Figure]:
    """Have it run in a process of its own."""
    seconds = SECONDS[scale]
    command = [sys.executable, "-m", "tests.stress.faults", str(seconds), str(STOP_S)]
    done = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=seconds + 120
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[2:])} has failed")
    found = json.loads(done.stdout)
    yield Figure("faults thrown", found["faults"], "faults", least=KINDS)
    yield Figure("messages exchanged", found["messages"], "messages", least=100 * seconds)
    name = "live peers with a message lost, doubled or out of order"
    yield Figure(name, found["broken"], "peers", most=0)
    yield Figure("live peers at the end", found["live"], "peers", least=LIVE_PEERS)
    yield Figure("faults after which nobody was accepted", found["not_accepted"], "faults", most=0)
    yield Figure("faults after which no dial succeeded", found["not_dialed"], "faults", most=0)
    name = "longest time until a peer has come and gone again"
    yield Figure(name, found["slowest_s"], "s", most=MOST_UNTIL_ACCEPTED_S, timed=True)
    name = "stop() with handlers that wait for ever"
    yield Figure(name, found["stop_s"], "s", most=STOP_S + GRACE_S, timed=True)
    name = "threads named by stop() that ended, or not named that did not"
    yield Figure(name, found["misnamed"], "threads", most=0)
    yield Figure("descriptors left open", found["descriptors"], "descriptors", most=0)


if __name__ == "__main__":
    logging.getLogger("p2p").setLevel(logging.CRITICAL)
    print(json.dumps(play(*map(float, sys.argv[1:]))))
