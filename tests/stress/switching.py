"""An hour in which threads are switched every microsecond: nothing waits for ever.

In a process of its own with ``sys.setswitchinterval(1e-6)`` four servers live together, and three
actors keep them busy: one connects and disconnects, one starts and stops a server with discovery,
one asks others by discovery. Over each connection, whoever dialed sends numbered messages with a
running hash, and gets each back. A thread may so be interrupted between any two steps of another.

What is shown: each actor, and the messages, get on at all times, or the watch has the process show
where all its threads stand, and fails; no message is lost, doubled or out of order; and in the end
all threads and descriptors are gone.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import p2p
from tests.stress.chain import Chain
from tests.stress.child import Child, obey
from tests.stress.figure import Figure, Scale

SWITCH_INTERVAL_S = 1e-6
SECONDS = {Scale.SHORT: 6.0, Scale.FULL: 3600.0}
#: Without any progress for so long, something waits for ever.
STALL_S = 60.0
#: For what an actor waits for; much less than a deadlock takes.
PATIENCE_S = 45.0
WATCH_S = 1.0
WINDOW = 8
BODY_BYTES = 100
PROTOCOL = "stress"
MESSAGES, CONNECTS, RESTARTS, PINGS = THINGS = ("messages", "connects", "restarts", "pings")
#: Of the nodes that a lookup asks most have been stopped, and each is waited for.
LOOKUP_S = 2.0


class Host:
    """The process: servers, actors, and what they have done so far."""

    greeting: dict[str, Any] = {}

    def __init__(self) -> None:
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        # guarded by _lock
        self._lock = threading.Lock()
        self._done: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()
        self._faults: list[str] = []
        # fixed after begin()
        self._servers: list[p2p.Server] = []
        self._actors: list[threading.Thread] = []
        self._over = threading.Event()

    def begin(self) -> dict[str, Any]:
        """Start the servers and the actors."""
        self._home = self._start("home", no_dial=True)
        self._seeker = self._start("seeker", bootstrap_nodes=[self._home.self])
        self._caller = self._start("caller", no_discovery=True)
        self._seeker.add_peer(self._home.self)
        for thing, act in (
            (CONNECTS, self._connect),
            (RESTARTS, self._restart),
            (PINGS, self._look_up),
        ):
            actor = threading.Thread(target=self._act, args=(thing, act), name=f"actor-{thing}")
            self._actors.append(actor)
            actor.start()
        return {}

    def progress(self) -> dict[str, Any]:
        """What has been done, and what went wrong."""
        with self._lock:
            return {
                "done": {thing: self._done[thing] for thing in THINGS},
                "refused": dict(self._refused),
                "faults": self._faults,
            }

    def end(self) -> dict[str, Any]:
        """Let the actors end, and stop the servers; returns the names of what goes on."""
        self._over.set()
        for actor in self._actors:
            actor.join(PATIENCE_S)
        left = [actor.name for actor in self._actors if actor.is_alive()]
        for server in self._servers:
            left += server.stop(PATIENCE_S)
        return {"left": left, **self.progress()}

    def close(self) -> None:
        self.end()

    # actors

    def _act(self, thing: str, act: Callable[[], None]) -> None:
        while not self._over.is_set():
            try:
                act()
            # Two dial each other at the same moment, or a pong comes after half a second.
            except (p2p.ConnectError, p2p.errors.NoResponse) as error:
                self._count(self._refused, type(error).__name__)
            except Exception:
                self._fail()
                return
            else:
                self._count(self._done, thing)

    def _connect(self) -> None:
        """Connect, have some messages pass, and disconnect."""
        with self._caller.subscribe_events() as events:
            peer = self._caller.connect(self._home.self, PATIENCE_S)
            self._await_messages()
            peer.disconnect()
            while events.get(PATIENCE_S).type != "drop":
                pass

    def _restart(self) -> None:
        """Start a server that finds the others, connect it, and stop it."""
        server = self._new("guest", bootstrap_nodes=[self._home.self])
        server.start()
        try:
            server.connect(self._seeker.self, PATIENCE_S)
            self._await_messages()
        finally:
            left = server.stop(PATIENCE_S)
        assert not left, left

    def _look_up(self) -> None:
        """Ping a node, and ask the network the way to somewhere."""
        assert self._seeker.discovery_v4 is not None
        self._seeker.discovery_v4.ping(self._home.self, PATIENCE_S)
        with suppress(p2p.Timeout):
            self._seeker.discovery_v4.lookup(os.urandom(64), LOOKUP_S)

    def _await_messages(self) -> None:
        with self._lock:
            before = self._done[MESSAGES]
        deadline = time.monotonic() + PATIENCE_S
        while self._done[MESSAGES] <= before and not self._over.is_set():
            assert time.monotonic() < deadline, "no messages pass"
            time.sleep(0.001)

    # servers

    def _new(self, name: str, **options: Any) -> p2p.Server:
        return p2p.Server(
            private_key=p2p.generate_key(),
            name=name,
            max_peers=20,
            listen_addr="127.0.0.1:0",
            protocols=[p2p.Protocol(PROTOCOL, 1, 1, self._run)],
            **options,
        )

    def _start(self, name: str, **options: Any) -> p2p.Server:
        server = self._new(name, **options)
        server.start()
        self._servers.append(server)
        return server

    def _run(self, peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        """The handler: who has dialed talks, who was dialed sends all back."""
        if peer.inbound:
            for msg in rw:
                rw.write_msg(msg)
            return
        sent, back = Chain(), Chain()
        try:
            while True:
                for _ in range(WINDOW):
                    rw.write_msg(p2p.Msg(0, sent.next(os.urandom(BODY_BYTES))))
                for _ in range(WINDOW):
                    back.check(rw.read_msg().payload)
                self._count(self._done, MESSAGES, WINDOW)
        except p2p.PeerDisconnected:
            return
        except Exception:
            self._fail()

    def _count(self, counter: Counter[str], what: str, number: int = 1) -> None:
        with self._lock:
            counter[what] += number

    def _fail(self) -> None:
        with self._lock:
            self._faults.append(traceback.format_exc())


class Stalled(AssertionError):
    """Something has made no progress for too long."""


def run(scale: Scale, seconds: float | None = None) -> Iterator[Figure]:
    """Watch them for so many seconds, those of the scale if none are given."""
    seconds = SECONDS[scale] if seconds is None else seconds
    with Child("tests.stress.switching") as host:
        before = host.threads, host.descriptors
        host.ask("begin")
        longest = _watch(host, seconds)
        end = host.ask("end", timeout_s=2 * STALL_S)
        for fault in end["faults"]:
            print(fault, file=sys.stderr)
        yield Figure("time", seconds, "s", least=seconds)
        for thing in THINGS:
            yield Figure(thing, end["done"][thing], "", least=1)
        yield Figure("longest time without progress", longest, "s", most=STALL_S)
        yield Figure("refused connects, late pongs", sum(end["refused"].values()), "")
        yield Figure("faults", len(end["faults"]), "", most=0)
        yield Figure("threads that did not end", len(end["left"]), "", most=0)
        threads, descriptors = host.more_than(*before)
        yield Figure("threads more than before", threads, "", most=0)
        yield Figure("descriptors more than before", descriptors, "", most=0)


def _watch(host: Child, seconds: float) -> float:
    """See that everything gets on; returns the longest time in which something did not."""
    start = time.monotonic()
    since = dict.fromkeys(THINGS, start)
    done = dict.fromkeys(THINGS, 0)
    longest = 0.0
    while time.monotonic() < start + seconds or not all(done.values()):
        time.sleep(WATCH_S)
        now = time.monotonic()
        progress = host.ask("progress", timeout_s=STALL_S)
        if progress["faults"]:
            break
        for thing, count in progress["done"].items():
            if count > done[thing]:
                done[thing], since[thing] = count, now
            longest = max(longest, now - since[thing])
            if now - since[thing] > STALL_S:
                host.abort()
                raise Stalled(f"no {thing} for {STALL_S:g} s, after {progress}")
    return longest


if __name__ == "__main__":
    obey(Host())
