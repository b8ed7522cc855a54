"""Churn: 1,000 peers at a time that come, talk and leave at random, each replaced by a new one.

The server runs in a process of its own; the remotes are a crowd of bare connection machines. They
leave by reset, by the end of their data, by Disconnect, or because the server's handler returns.
Each sends numbered messages with a running hash in bursts, the last one right before it leaves, and
the server's handler answers each with one of its own chain.

What is shown: both ends see every message that they should, once and in order. Of a remote that
leaves in good order the handler has read all; of one that resets, a part without gaps; and when
the handler returns, all its answers have arrived. When everybody has left, the server has the
threads and descriptors of before, no peer, and none of the objects of a connection; and its memory
does not grow while the crowd stays as large: a line is fitted to samples after the warm-up.
"""

from __future__ import annotations

import gc
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import p2p
from p2p.peers.session import Session
from tests.stress.chain import Chain, ChainBroken
from tests.stress.child import Child, obey
from tests.stress.crowd import CAP, LENGTH
from tests.stress.figure import Figure, Scale
from tests.stress.town import GOODBYE, TALK, WAYS, Report, Town

MIB = 1024 * 1024
#: The server would give up the oldest of more handshakes.
MAX_PENDING = 200
#: Memory may grow so much in a minute, MiB.
MAX_SLOPE = 1.0
SAMPLE_S = 0.5
#: How long the server may take until it is rid of everybody: it lingers for a second.
QUIET_S = 10.0


@dataclass(frozen=True)
class Plan:
    """How much of it."""

    peers: int
    seconds: float
    warm_up_s: float


PLANS = {
    Scale.SHORT: Plan(peers=300, seconds=6.0, warm_up_s=2.0),
    Scale.FULL: Plan(peers=1000, seconds=600.0, warm_up_s=60.0),
}


class Host:
    """The server's process: echoes, and remembers of each peer what its handler has read."""

    def __init__(self) -> None:
        # guarded by _lock
        self._lock = threading.Lock()
        self._reports: list[Report] = []
        self._server = p2p.Server(
            private_key=p2p.generate_key(),
            name="host",
            max_peers=2000,
            max_pending_peers=MAX_PENDING,
            no_dial=True,
            listen_addr="127.0.0.1:0",
            no_discovery=True,
            protocols=[p2p.Protocol(CAP.name, CAP.version, LENGTH, self._serve)],
        )
        self._server.start()
        self.greeting = {"url": self._server.self.url}

    def close(self) -> None:
        self._server.stop()

    def news(self) -> dict[str, Any]:
        """The number of peers, and (id, messages read, fault) of those whose handlers have ended
        since the last time."""
        with self._lock:
            reports, self._reports = self._reports, []
        return {"peers": self._server.peer_count, "reports": reports}

    def held(self) -> dict[str, int]:
        """What it holds: peers, and objects of connections after the rubbish is collected."""
        gc.collect()
        kinds = (Session, p2p.Peer)
        alive = sum(isinstance(one, kinds) for one in gc.get_objects())
        return {"peers": self._server.peer_count, "objects": alive}

    def _serve(self, peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        asked, answers, fault = Chain(), Chain(), ""
        try:
            for msg in rw:
                if msg.code == GOODBYE:
                    break
                body = asked.check(msg.payload)
                # What it sent before it left can still be read, but not be answered.
                with suppress(p2p.PeerDisconnected):
                    rw.write_msg(p2p.Msg(TALK, answers.next(body)))
        except ChainBroken as error:
            fault = str(error)
        with self._lock:
            self._reports.append((str(peer.id), asked.count, fault))


def run(scale: Scale) -> Iterator[Figure]:
    """Let them come and go."""
    plan = PLANS[scale]
    with Child("tests.stress.churn") as host:
        before = host.threads, host.descriptors
        town = Town(p2p.parse_node(host.greeting["url"]), plan.peers)
        with town.crowd:
            town.fill()
            samples, fewest = _watch(host, town, plan)
            town.empty()
            held = _await_quiet(host, town, before)
        yield from _conversations(town, plan)
        yield Figure("peers at a time, fewest", fewest, "", least=0.9 * plan.peers, timed=True)
        if scale is Scale.FULL:
            minutes, sizes = zip(*samples, strict=True)
            slope = statistics.linear_regression(minutes, sizes).slope
            yield Figure("memory slope", slope, "MiB/min", most=MAX_SLOPE)
        yield Figure("threads more than before", host.threads - before[0], "", most=0)
        yield Figure("descriptors more than before", host.descriptors - before[1], "", most=0)
        yield Figure("peers left in the peer set", held["peers"], "", most=0)
        yield Figure("sessions and peers left in memory", held["objects"], "", most=0)


def _watch(host: Child, town: Town, plan: Plan) -> tuple[list[tuple[float, float]], int]:
    """Let it go on; returns (minutes, MiB) after the warm-up, and the fewest peers at a time."""
    start = time.monotonic()
    next_sample = start + plan.warm_up_s
    samples: list[tuple[float, float]] = []
    fewest = plan.peers
    while (now := time.monotonic()) < start + plan.seconds:
        town.live()
        if now >= next_sample:
            next_sample = now + SAMPLE_S
            samples.append(((now - start) / 60, host.rss_bytes / MIB))
            fewest = min(fewest, _judge(host, town))
    return samples, fewest


def _judge(host: Child, town: Town) -> int:
    """Judge those that have left; returns the number of peers."""
    news = host.ask("news", town.live)
    town.judge(news["reports"])
    return int(news["peers"])


def _await_quiet(host: Child, town: Town, before: tuple[int, int]) -> dict[str, int]:
    """Wait until the server is rid of everybody, but not for ever; returns what it still holds."""
    deadline = time.monotonic() + QUIET_S
    while True:
        news = host.ask("news")
        town.judge(news["reports"])
        quiet = not news["peers"] and not town.missing()
        quiet = quiet and (host.threads, host.descriptors) == before
        if quiet or time.monotonic() > deadline:
            return host.ask("held")
        time.sleep(0.05)


def _conversations(town: Town, plan: Plan) -> Iterator[Figure]:
    for fault in town.faults[:10] + town.missing()[:10] + town.timed_out[:10]:
        print(f"   {fault}", file=sys.stderr)
    for way in WAYS:
        yield Figure(f"left by {way}", town.left[way], "peers", least=1)
    yield Figure("messages in order", town.messages, "", least=plan.peers)
    yield Figure("conversations that broke", len(town.faults), "", most=0)
    # A server that gets no time for 5 s gives up who is in the handshake, though the hello came.
    yield Figure("driven away by a time limit", len(town.timed_out), "", most=0, timed=True)
    yield Figure("left in good order and never heard of", len(town.missing()), "", most=0)


if __name__ == "__main__":
    obey(Host())
