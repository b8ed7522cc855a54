"""stop() within 5 s, with 1,000 peers in every state that a connection can be in.

The server runs in a process of its own. Peers are idle, flood it, have filled an inbox, read
nothing of what is written to them, read all of it, have vanished, are inside a frame, or have a
handler that computes; strangers are in their handshake; and the server itself dials nodes that do
not answer (:mod:`tests.stress.states`). When all of them are where they should be, it stops. A
second server has idle peers and some whose handlers compute, and nothing else that takes time.

What is shown: it takes no longer than it may and ends every thread; descriptors are those of
before; peers that can hear are told that we quit; and a peer that reads gets all that a handler
wrote to it, by a running hash. A handler that does not return is not waited for any longer.
"""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import p2p
from tests.kit import inspect
from tests.stress.chain import Chain
from tests.stress.child import Child, obey
from tests.stress.crowd import CAP, LENGTH, Crowd, Member, Stage
from tests.stress.figure import Figure, Scale
from tests.stress.states import (
    COMPUTE,
    DATA,
    DAWDLE,
    FEED,
    HANDLERS,
    PENDING,
    STATES,
    WRITE,
    Fed,
    Peer,
    Proved,
    Stranger,
)

STOP_S = 5.0
#: What it may take is measured, and at short scale not enforced: the machine may be busy.
TIMEOUTS_S = {Scale.SHORT: 30.0, Scale.FULL: STOP_S}
MAX_SHAKING = 32
#: Handlers that compute at the same time. Each may hold the interpreter for 5 ms whenever another
#: thread has let go of it, which is what limits a program with more of them.
COMPUTING = 3
#: Nodes that the server dials at the same time.
DIALS = 30
#: Of each kind; the peers, all states together, are 1,000 at full scale.
COUNTS = {Scale.SHORT: (30, 10), Scale.FULL: (125, 60)}
MESSAGE_BYTES = 64 * 1024
FEED_BYTES = 500
FEED_PAUSE_S = 0.1
DAWDLE_S = 0.2


class Host:
    """The server's process. Its handlers do what their peers say first."""

    def __init__(self) -> None:
        # guarded by _lock
        self._lock = threading.Lock()
        self._begun: Counter[str] = Counter()
        self._rws: list[tuple[str, Any]] = []
        self._fed: dict[str, int] = {}
        # fixed after __init__
        self._work: dict[str, Callable[[p2p.Peer, p2p.MsgReadWriter], None]] = {
            name: getattr(self, f"_{name}") for name in HANDLERS
        }
        self._server = p2p.Server(
            private_key=p2p.generate_key(),
            name="host",
            max_peers=2000,
            dial_ratio=20,
            max_pending_peers=500,
            listen_addr="127.0.0.1:0",
            protocols=[p2p.Protocol(CAP.name, CAP.version, LENGTH, self._run)],
        )
        self.greeting: dict[str, Any] = {}

    def close(self) -> None:
        self._server.stop()

    def start(self) -> dict[str, str]:
        self._server.start()
        return {"url": self._server.self.url}

    def state(self) -> dict[str, Any]:
        """How many handlers have begun, and how many mailboxes are full."""
        with self._lock:
            rws, begun = list(self._rws), dict(self._begun)
        return {
            "begun": begun,
            "full outboxes": sum(rw._outbox.is_full for role, rw in rws if role == WRITE),
            "full inboxes": sum(rw._inbox.is_full for role, rw in rws if role == DAWDLE),
            "peers": self._server.peer_count,
        }

    def dial(self, urls: list[str]) -> dict[str, int]:
        """Dial nodes; returns how many are being dialed."""
        for url in urls:
            self._server.add_peer(p2p.parse_node(url))
        return {"dials": inspect.on_io(self._server, lambda: len(inspect.dials(self._server)))}

    def stop(self, limit_s: float) -> dict[str, Any]:
        """Stop; returns the seconds, the threads left, and the messages written by feeders."""
        start = time.monotonic()
        left = self._server.stop(limit_s)
        seconds = time.monotonic() - start
        with self._lock:
            return {"seconds": seconds, "left": left, "fed": self._fed}

    # handlers

    def _run(self, peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        role = rw.read_msg().payload.decode()
        with self._lock:
            self._begun[role] += 1
            self._rws.append((role, rw))
        self._work[role](peer, rw)

    def _read(self, peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        for _ in rw:
            pass

    def _write(self, peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        while True:
            rw.write_msg(p2p.Msg(DATA, bytes(MESSAGE_BYTES)))

    def _feed(self, peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        chain = Chain()
        try:
            while True:
                rw.write_msg(p2p.Msg(DATA, chain.next(bytes(FEED_BYTES))))
                with self._lock:
                    self._fed[str(peer.id)] = chain.count
                time.sleep(FEED_PAUSE_S)
        except p2p.PeerDisconnected:
            return

    def _compute(self, peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        rw.read_msg()
        while True:
            sum(number * number for number in range(200_000))
            try:
                rw.read_msg(timeout=0)
            except p2p.Timeout:
                continue

    def _dawdle(self, peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        for _ in rw:
            time.sleep(DAWDLE_S)


def run(scale: Scale) -> Iterator[Figure]:
    """Bring everybody to their state, and stop; then the same with idle peers alone."""
    yield from _in_any_state(scale)
    yield from _while_some_compute(scale)


def _in_any_state(scale: Scale) -> Iterator[Figure]:
    each, strangers = COUNTS[scale]
    counts = {state: COMPUTING if state == "computing" else each for state in STATES}
    counts["idle"] += 8 * each - sum(counts.values())
    with Child("tests.stress.endings") as host, socket.create_server(("127.0.0.1", 0)) as silent:
        before = host.threads, host.descriptors
        with Crowd(p2p.parse_node(host.ask("start")["url"])) as crowd:
            peers = _bring(host, crowd, counts)
            dials = _dial(host, crowd, silent)
            pending = _knock(crowd, strangers)
            _begin(peers, "computing")
            try:
                end = host.ask("stop", crowd.step, limit_s=TIMEOUTS_S[scale])
                crowd.until(lambda: not _hearing(crowd), "all have heard of the end")
            finally:
                for one in pending:
                    one.close()
        yield Figure("peers", len(peers), "", least=8 * each)
        yield Figure("connections in their handshake", len(pending) + dials, "", least=strangers)
        yield Figure("stop() with all of them", end["seconds"], "s", most=STOP_S, timed=True)
        yield Figure("threads that did not end", len(end["left"]), "", most=0)
        yield from _heard(peers, end["fed"])
        threads, descriptors = host.more_than(*before)
        yield Figure("threads more than before", threads, "", most=0)
        yield Figure("descriptors more than before", descriptors, "", most=0)


def _while_some_compute(scale: Scale) -> Iterator[Figure]:
    """Idle peers but for those whose handlers compute, so that only these can hold up the end."""
    counts = {"idle": 8 * COUNTS[scale][0], "computing": COMPUTING}
    with Child("tests.stress.endings") as host:
        with Crowd(p2p.parse_node(host.ask("start")["url"])) as crowd:
            peers = _bring(host, crowd, counts)
            _begin(peers, "computing")
            _drive(crowd, 0.5)
            end = host.ask("stop", crowd.step, limit_s=TIMEOUTS_S[scale])
            crowd.until(lambda: not _hearing(crowd), "all have heard of the end")
        told = sum(peer.reason is p2p.DiscReason.QUITTING for peer in peers)
        yield Figure(
            "stop() with idle peers, some computing", end["seconds"], "s", most=STOP_S, timed=True
        )
        yield Figure("threads of these that did not end", len(end["left"]), "", most=0)
        yield Figure("of these not told that we quit", len(peers) - told, "peers", most=0)


def _bring(host: Child, crowd: Crowd, counts: dict[str, int]) -> list[Peer]:
    """Bring all peers to their states; those whose time is limited last."""
    wanted: Counter[str] = Counter()

    def settled() -> bool:
        state = host.ask("state", crowd.step)
        full = state["full outboxes"] == wanted[WRITE] and state["full inboxes"] == wanted[DAWDLE]
        return bool(full and all(state["begun"].get(name, 0) >= wanted[name] for name in wanted))

    peers = _connect(crowd, [state for state in counts if state != "stalled"], counts)
    wanted.update(peer.handler for peer in peers)
    _begin(peers, "inbox full")
    crowd.until(settled, "all inboxes are full", lambda: _drive(crowd, 0.1))
    stalled = _connect(crowd, ["stalled"], counts)
    wanted.update(peer.handler for peer in stalled)
    crowd.until(settled, "all outboxes are full", lambda: _drive(crowd, 0.1))
    _begin(peers, "flooding")
    _drive(crowd, 0.5)
    return peers + stalled


def _connect(crowd: Crowd, states: list[str], counts: dict[str, int]) -> list[Peer]:
    """Have peers in some of the states connected."""
    waiting = [state for state in states for _ in range(counts.get(state, 0))]
    shaking: list[tuple[str, Peer]] = []
    peers: list[Peer] = []

    def come() -> None:
        crowd.step(0.01)
        for one in list(shaking):
            state, peer = one
            if peer.is_ready:
                peers.append(peer)
            elif peer.stage is Stage.GONE:  # the machine was too busy to shake hands within 5 s
                waiting.append(state)
            else:
                continue
            shaking.remove(one)
        while waiting and len(shaking) < MAX_SHAKING:
            state = waiting.pop()
            shaking.append((state, STATES[state](crowd)))

    crowd.until(lambda: not waiting and not shaking, "all are in", come)
    return peers


def _begin(peers: list[Peer], state: str) -> None:
    for peer in peers:
        if type(peer) is STATES[state]:
            peer.begin()


def _drive(crowd: Crowd, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        crowd.step(0.01)


def _dial(host: Child, crowd: Crowd, silent: socket.socket) -> int:
    """Have the server dial nodes that do not answer; returns how many."""
    host_name, port = silent.getsockname()
    keys = [p2p.generate_key().public_key for _ in range(DIALS)]
    urls = [p2p.Node.from_parts(key, host_name, port).url for key in keys]
    return int(host.ask("dial", crowd.step, urls=urls)["dials"])


def _knock(crowd: Crowd, strangers: int) -> list[Proved | Stranger]:
    """Have strangers in their handshake."""
    made = list(PENDING.values())
    pending = [made[number % len(made)](crowd) for number in range(strangers)]
    crowd.until(lambda: all(one.is_ready or one.is_over for one in pending), "all have knocked")
    # On a busy machine a few have had no answer within their 5 s.
    return [one for one in pending if not one.is_over]


def _hearing(crowd: Crowd) -> list[Member]:
    """Those whose sockets somebody reads, and that are not closed yet."""
    return [member for member in crowd.members if crowd.is_driven(member)]


def _heard(peers: list[Peer], fed: dict[str, int]) -> Iterator[Figure]:
    """What those that read have been told."""
    listening = [peer for peer in peers if type(peer) is Peer or peer.handler in (FEED, COMPUTE)]
    told = sum(peer.reason is p2p.DiscReason.QUITTING for peer in listening)
    yield Figure("not told that we quit", len(listening) - told, "peers", most=0)
    eaters = [peer for peer in peers if isinstance(peer, Fed)]
    cut = [peer for peer in eaters if peer.fault or peer.chain.count != fed[str(peer.id)]]
    for peer in cut[:10]:
        print(f"   {peer.chain.count} of {fed[str(peer.id)]} {peer.fault}", file=sys.stderr)
    yield Figure("peers that did not get all that was written", len(cut), "", most=0)
    yield Figure("messages in order", sum(peer.chain.count for peer in eaters), "", least=1)


if __name__ == "__main__":
    obey(Host())
