"""Floods of pings, 10,000 a second: other peers go on, and nothing is piled up.

One flood is of the base protocol, from one peer, while five others send numbered messages to the
echo as fast as they can; they are measured before and during it. The other is of discovery v4, from
one address and from many that nobody has proved, while five peers echo now and then; the server
must not send more to them than it may send without a proof. Bytes that wait to be sent are looked
at all the time; memory is that of the server's process, from a fifth of the flood on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

from p2p.discover.v4.amplification import MAX_AMPLIFICATION
from tests.stress.figure import Figure, Scale
from tests.stress.floods import Flooding
from tests.stress.honest import PAUSE_S, live_peers, p99, while_echoing
from tests.stress.served import Served

SECONDS = {Scale.SHORT: 2.5, Scale.FULL: 60.0}
BEFORE_S = {Scale.SHORT: 1.5, Scale.FULL: 15.0}
PINGS_PER_S = 10_000
LIVE_PEERS = 5
ADDRESSES = 500
#: What peers may notice of an attack, as of hostile connects.
ECHO_MS = 300.0
#: As with a handler that computes.
LEAST_RATE = 1 / 3
#: At full scale as much as under churn in a minute; in a short flood what is bounded by its number
#: (addresses that sent something, nodes that may prove themselves) is not filled yet.
MEMORY_MIB = {Scale.SHORT: 4.0, Scale.FULL: 1.0}
#: A pong has 64 bytes; one of them may wait, and an echo.
UNSENT_BYTES = 1024
LOOK_S = 0.05
MIB = 1024 * 1024


class Watch(threading.Thread):
    """Looks at the server while a flood goes on."""

    def __init__(self, served: Served, warm_up_s: float) -> None:
        super().__init__(name="watch", daemon=True)
        self._served = served
        self._warm_up_s = warm_up_s
        self._over = threading.Event()
        # owned by the thread, until it is joined
        self.most_unsent = 0
        self.grown_bytes = 0

    def __enter__(self) -> Watch:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        self.join()

    def run(self) -> None:
        start, warm_bytes = time.monotonic(), 0
        while not self._over.wait(LOOK_S):
            self.most_unsent = max(self.most_unsent, self._served.ask("unsent")["bytes"])
            if not warm_bytes and time.monotonic() - start > self._warm_up_s:
                warm_bytes = self._served.rss_bytes
                self._served.forget_peak()
        # A flood that was over before it could be looked at has shown nothing of memory.
        self.grown_bytes = self._served.peak_bytes - warm_bytes if warm_bytes else 0


def run(scale: Scale) -> Iterator[Figure]:
    """The flood of the base protocol, then those of discovery."""
    yield from of_a_peer(scale)
    yield from of_discovery(scale, 1)
    yield from of_discovery(scale, ADDRESSES)


def of_a_peer(scale: Scale) -> Iterator[Figure]:
    """Pings of the base protocol."""
    seconds = SECONDS[scale]
    with Served() as served, Flooding(served.node) as flooding:
        with live_peers(served.node, LIVE_PEERS, pause_s=0) as peers:
            _, before, rate_before = while_echoing(peers, lambda: time.sleep(BEFORE_S[scale]))
            with Watch(served, seconds / 5) as watch:
                flood, during, rate = while_echoing(
                    peers, lambda: flooding.ask("peer", seconds=seconds, per_second=PINGS_PER_S)
                )
    name = "ping flood of a peer"
    yield Figure(f"{name}: pings a second", flood["sent"] / seconds, "/s")
    yield Figure(f"{name}: pongs for each ping", flood["pongs"] / flood["sent"], "", 1.0)
    yield Figure(f"{name}: echo p99 of others before", 1000 * p99(before), "ms")
    yield Figure(f"{name}: echo p99 of others", 1000 * p99(during), "ms", ECHO_MS, timed=True)
    yield Figure(f"{name}: echoes of others before", rate_before, "/s")
    share = rate / rate_before
    yield Figure(f"{name}: part of it meanwhile", share, "", least=LEAST_RATE, timed=True)
    yield from watched(name, watch, scale)


def of_discovery(scale: Scale, addresses: int) -> Iterator[Figure]:
    """Pings of discovery v4 from addresses that are not proven."""
    seconds = SECONDS[scale]
    with Served(discovery=True) as served, Flooding(served.node) as flooding:
        with live_peers(served.node, LIVE_PEERS, PAUSE_S) as peers:
            _, before, _ = while_echoing(peers, lambda: time.sleep(BEFORE_S[scale]))
            with Watch(served, seconds / 5) as watch:
                flood, during, _ = while_echoing(
                    peers,
                    lambda: flooding.ask(
                        "discovery", seconds=seconds, per_second=PINGS_PER_S, addresses=addresses
                    ),
                )
            counted = served.ask("discovery")
    name = f"discovery ping flood from {addresses} address{'es' * (addresses > 1)}"
    yield Figure(f"{name}: pings a second", flood["sent"] / seconds, "/s")
    yield Figure(f"{name}: looked at", counted["packets_in"] / seconds, "/s")
    reflected = flood["bytes_in"] / flood["bytes_out"]
    yield Figure(f"{name}: bytes back for each sent", reflected, "", MAX_AMPLIFICATION)
    amplified = counted["unproven_out"] / counted["unproven_in"]
    yield Figure(f"{name}: bytes back for each looked at", amplified, "", MAX_AMPLIFICATION)
    yield Figure(f"{name}: echo p99 of peers before", 1000 * p99(before), "ms")
    yield Figure(f"{name}: echo p99 of peers", 1000 * p99(during), "ms", ECHO_MS, timed=True)
    yield from watched(name, watch, scale)


def watched(name: str, watch: Watch, scale: Scale) -> Iterator[Figure]:
    """What was seen of the server."""
    yield Figure(f"{name}: bytes waiting to be sent", watch.most_unsent, "bytes", UNSENT_BYTES)
    grown = watch.grown_bytes / MIB
    yield Figure(f"{name}: memory grown", grown, "MiB", MEMORY_MIB[scale])
