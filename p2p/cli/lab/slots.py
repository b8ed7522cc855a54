"""The slots of a node under attack: who gets them, by dialing it and by being dialed.

The nodes are real servers on a network in memory, on simulated time, without discovery: the victim
dials what it has found before (:mod:`p2p.cli.lab.attack`), in that order, and each other node
dials it once, at a random moment. Each has its threads; the caller's moves the time.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import p2p
from p2p.cli.lab.attack import AttackedNetwork
from p2p.errors import LabError
from p2p.lab import LabClock, Link, MemoryHost, MemoryNetwork
from p2p.sim import SimNode

#: Samples of a run, at equal intervals.
SAMPLES = 4
#: Pause before a node dials the victim again, in seconds: never.
NEVER_S = 1e9
#: Servers that are stopped at one time.
STOPPING = 16


@dataclass(frozen=True)
class Dialing:
    """``max_peers`` and ``dial_ratio`` of the victim, and the seconds in which others dial it."""

    max_peers: int
    dial_ratio: int
    dial_s: float


class Slots:
    """The servers of an attacked network, whose victim dials the nodes ``found``.

    For a ``with`` block, which starts and stops them. Raises LabError if they do not start.
    """

    def __init__(
        self,
        attacked: AttackedNetwork,
        found: Sequence[p2p.Node],
        dialing: Dialing,
        link: Link,
        seed: int,
    ) -> None:
        self._dialing = dialing
        self._is_attacker = attacked.is_attacker
        self._clock = LabClock()
        logger = logging.getLogger("p2p.lab")
        self._network = MemoryNetwork(seed, link=link, clock=self._clock, logger=logger)
        self._hosts: dict[str, MemoryHost] = {}
        self._stack = ExitStack()
        self._victim = self._server(
            attacked.victim,
            found,
            max_peers=dialing.max_peers,
            dial_ratio=dialing.dial_ratio,
            own_networks=attacked.own_networks,
        )
        self._others = [self._server(node, (), max_peers=2) for node in attacked.others]
        chance = random.Random(f"dials {seed}")
        moments = ((chance.uniform(0, dialing.dial_s), server) for server in self._others)
        self._dials = sorted(moments, key=lambda each: each[0])

    def _server(
        self, node: SimNode, candidates: Sequence[p2p.Node], **options: Any
    ) -> p2p.Server:
        ip = str(node.address.ip)
        if ip not in self._hosts:
            self._hosts[ip] = self._network.host(ip)
        return p2p.Server(
            private_key=node.private_key,
            name=node.name,
            protocols=[p2p.Protocol("eclipse", 1, 1, None, dial_candidates=candidates)],
            listen_addr=f":{node.tcp}",
            no_discovery=True,
            redial_pause_s=NEVER_S,
            underlay=self._hosts[ip],
            clock=self._clock,
            **options,
        )

    def __enter__(self) -> Slots:
        with ExitStack() as stack:
            stack.enter_context(self._network)
            stack.callback(self._clock.call, self._stop)
            try:
                for server in (*self._others, self._victim):
                    server.start()
            except (OSError, RuntimeError) as error:  # no descriptors, no threads
                raise LabError(f"{error}; max_peers = 0 leaves servers out", ()) from error
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def _stop(self) -> None:
        with ThreadPoolExecutor(STOPPING, "p2p-lab") as pool:
            list(pool.map(p2p.Server.stop, (self._victim, *self._others)))

    def samples(self) -> Iterator[dict[str, Any]]:
        """Let the nodes dial; yield the numbers of peers of the victim at some moments."""
        start_s = self._clock.monotonic()
        dials = list(self._dials)
        for number in range(1, SAMPLES + 1):
            time_s = self._dialing.dial_s * number / SAMPLES
            while dials and dials[0][0] <= time_s:
                moment, server = dials.pop(0)
                self._run_to(start_s + moment)
                server.add_peer(self._victim.self)
            self._run_to(start_s + time_s)
            yield {"time_s": round(time_s, 6), **self._counts()}

    def _run_to(self, time_s: float) -> None:
        self._clock.run_for(max(0.0, time_s - self._clock.monotonic()))

    def _counts(self) -> dict[str, int]:
        counts = dict.fromkeys(("dialed", "dialed_attacker", "inbound", "inbound_attacker"), 0)
        for peer in self._victim.peers:
            name = "inbound" if peer.inbound else "dialed"
            counts[name] += 1
            counts[f"{name}_attacker"] += self._is_attacker(peer.id)
        return counts
