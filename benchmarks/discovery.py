"""Discovery v4: pings answered, the cost of a lookup, and messages between peers meanwhile.

Pings come over loopback from another process, from one endpoint and from many; all are proven, so
that each ping costs the node a signature to recover and one to make. go-ethereum's node answers the
same pings in the same round, in turn with ours.

A lookup is measured in CPU, not in time: that of the process that makes it, and that of the process
with the other nodes of the network. The first is compared with the curve operations of the packets
that it sent and received.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from time import perf_counter

from benchmarks.process import GoNode, Process
from benchmarks.scale import SMALL, Scale
from p2p.crypto import PrivateKey, recover

#: Endpoints of the pings that come from many.
MANY = 50
#: Packets a second while messages are sent.
LOAD_PER_S = 1_000
#: Turns of the two sides of a ratio in a round, so that noise affects both sides alike.
TURNS = 4


class Pings:
    """Our node and go-ethereum's, and for each the processes that ping it; kept for all rounds."""

    def __init__(self, processes: ExitStack) -> None:
        ours = processes.enter_context(Process("discover")).greeting["url"]
        self._pingers = {f"ping {count}": _pinger(processes, ours, count) for count in (1, MANY)}
        self.missing = ""
        if not GoNode.PROGRAM.exists():
            self.missing = "build/interop/go-peer is missing; tests/interop/build.sh go builds it"
            return
        theirs = processes.enter_context(GoNode()).greeting["enode"]
        for count in (1, MANY):
            self._pingers[f"go ping {count}"] = _pinger(processes, theirs, count)

    def measure(self, scale: Scale) -> dict[str, float]:
        """Return the seconds for one answered ping."""
        seconds = dict.fromkeys(self._pingers, 0.0)
        pongs = dict.fromkeys(self._pingers, 0)
        for _ in range(TURNS):
            for key, pinger in self._pingers.items():
                answer = pinger.ask("ping", count=scale.pings // TURNS)
                seconds[key] += answer["seconds"]
                pongs[key] += answer["pongs"]
        return {key: seconds[key] / pongs[key] for key in self._pingers}


def _pinger(processes: ExitStack, url: str, count: int) -> Process:
    return processes.enter_context(Process("ping", url, str(count)))


class Lookups:
    """A network in one process, and a node of it in another; kept for all rounds."""

    def __init__(self, processes: ExitStack, scale: Scale) -> None:
        self._network = processes.enter_context(Process("network", str(scale.nodes - 1)))
        url = self._network.greeting["url"]
        self._asker = processes.enter_context(Process("discover", url))

    def measure(self, scale: Scale) -> dict[str, float]:
        """Return the seconds of CPU for one lookup."""
        recovery, signature = curve_operations(200)
        before = self._network.ask("cpu")["cpu_s"]
        answer = self._asker.ask("look_up", count=scale.lookups)
        others = self._network.ask("cpu")["cpu_s"] - before
        curve = answer["received"] * recovery + answer["sent"] * signature
        return {
            "lookup": answer["cpu_s"] / scale.lookups,
            "lookup of others": others / scale.lookups,
            "lookup curve operations": curve / scale.lookups,
        }


class LoadedMessages:
    """A pair of connected processes; the one that receives is a node of discovery, too."""

    def __init__(self, processes: ExitStack) -> None:
        listener = processes.enter_context(Process("listen", "discovery"))
        self._dialer = processes.enter_context(Process("dial", listener.greeting["url"]))
        self._pinger = _pinger(processes, listener.greeting["url"], 1)

    def measure(self, scale: Scale) -> dict[str, float]:
        """Return the seconds for a message without and with packets, and for a packet then."""
        quiet = loaded = flooded = 0.0
        sent = pongs = 0
        count = scale.small // TURNS
        for _ in range(TURNS):
            quiet += self._send(count)
            self._pinger.ask("start_flood", per_second=LOAD_PER_S)
            loaded += self._send(count)
            flood = self._pinger.ask("stop_flood")
            flooded += flood["seconds"]
            sent += flood["sent"]
            pongs += flood["pongs"]
        return {
            "quiet one-way": quiet / count / TURNS,
            "loaded one-way": loaded / count / TURNS,
            "loaded ping": flooded / max(1, pongs),
            "load": flooded / max(1, sent),
        }

    def _send(self, count: int) -> float:
        return float(self._dialer.ask("send", count=count, size=SMALL)["seconds"])


def curve_operations(count: int) -> tuple[float, float]:
    """Return the seconds to recover the key of a signature, and to make a signature."""
    key, digest = PrivateKey.generate(os.urandom), os.urandom(32)
    signature = key.sign(digest)
    start = perf_counter()
    for _ in range(count):
        recover(digest, signature)
    middle = perf_counter()
    for _ in range(count):
        key.sign(digest)
    return (middle - start) / count, (perf_counter() - middle) / count
