"""Discovery: pings answered, from one endpoint and from many; for v5 handshakes and lookups, too.

The load is :mod:`benchmarks.pinger` or :mod:`benchmarks.asker_v5`, the same for all. A node of each
implementation answers it, in turn with the others, several times in a round. A lookup of v5 is one
in a network of ours; its cost is the CPU of the node that looks up.
"""

from __future__ import annotations

from contextlib import ExitStack

from benchmarks.discovery import MANY, TURNS
from benchmarks.peers.process import Program
from benchmarks.peers.scale import Scale
from benchmarks.process import Process

ENDPOINTS = (1, MANY)
#: Lookups until the table of a node is full, before the first that counts.
WARM_UP_LOOKUPS = 4


class Pings:
    """A node of each implementation, and the processes that ping it."""

    def __init__(self, processes: ExitStack, kinds: list[str]) -> None:
        self._pingers: dict[tuple[str, int], Process] = {}
        for kind in kinds:
            url = processes.enter_context(Program(kind, "discover")).url
            for count in ENDPOINTS:
                pinger = processes.enter_context(Process("ping", url, str(count)))
                self._pingers[kind, count] = pinger

    def measure(self, scale: Scale) -> dict[tuple[str, str], float]:
        """Return the pings answered a second, by measure and implementation."""
        seconds = dict.fromkeys(self._pingers, 0.0)
        pongs = dict.fromkeys(self._pingers, 0)
        for _ in range(TURNS):
            for (kind, count), pinger in self._pingers.items():
                part = scale.node_share if kind == "node" else 1.0
                answer = pinger.ask("ping", count=max(count, int(scale.pings * part) // TURNS))
                seconds[kind, count] += answer["seconds"]
                pongs[kind, count] += answer["pongs"]
        return {
            (f"pings {count}", kind): pongs[kind, count] / seconds[kind, count]
            for kind, count in self._pingers
        }


class DiscoveryV5:
    """A node of each implementation, the process that asks it, and a node that looks up."""

    def __init__(self, processes: ExitStack, kinds: list[str], scale: Scale) -> None:
        network = processes.enter_context(Process("network-v5", str(scale.nodes - 1)))
        boot = network.greeting["url"]
        self._nodes: dict[str, Program] = {}
        self._askers: dict[str, Process] = {}
        self._searchers: dict[str, Program] = {}
        for kind in kinds:
            node = processes.enter_context(Program(kind, "discover-v5"))
            self._nodes[kind] = node
            asker = Process("ask-v5", node.url, str(MANY))
            self._askers[kind] = processes.enter_context(asker)
            searcher = Program(kind, "discover-v5", boot)
            self._searchers[kind] = processes.enter_context(searcher)
            searcher.ask("look_up", count=WARM_UP_LOOKUPS)

    def measure(self, scale: Scale) -> dict[tuple[str, str], float]:
        """Return rates, and microseconds of the node's CPU, by measure and implementation."""
        figures: dict[tuple[str, str], float] = {}
        for job, counted, count in (
            ("ping", "pongs", scale.pings),
            ("shake", "handshakes", scale.handshakes),
        ):
            figures |= self._load(job, counted, count)
        return figures | self._look_up(scale.lookups)

    def _load(self, job: str, counted: str, count: int) -> dict[tuple[str, str], float]:
        seconds, cpu_s, done = (dict.fromkeys(self._nodes, 0.0) for _ in range(3))
        for _ in range(TURNS):
            for kind, node in self._nodes.items():
                before = node.cpu_s()
                answer = self._askers[kind].ask(job, count=max(MANY, count // TURNS))
                cpu_s[kind] += node.cpu_s() - before
                seconds[kind] += answer["seconds"]
                done[kind] += answer[counted]
        rates = {(f"v5 {counted}", kind): done[kind] / seconds[kind] for kind in done}
        costs = {(f"v5 {job} CPU", kind): 1e6 * cpu_s[kind] / done[kind] for kind in done}
        return rates | costs

    def _look_up(self, count: int) -> dict[tuple[str, str], float]:
        cpu_s = dict.fromkeys(self._searchers, 0.0)
        each = max(1, count // TURNS)
        for _ in range(TURNS):
            for kind, searcher in self._searchers.items():
                before = searcher.cpu_s()
                searcher.ask("look_up", count=each)
                cpu_s[kind] += searcher.cpu_s() - before
        return {("v5 lookup CPU", kind): 1e3 * cpu_s[kind] / each / TURNS for kind in cpu_s}
