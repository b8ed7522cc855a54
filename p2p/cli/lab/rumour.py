"""The experiment ``rumour``: one node tells its neighbors, and who hears it tells others.

:class:`Gossip` is the protocol of all nodes and counts. Its handlers run in the threads of their
servers; the experiment runs in the main thread.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import p2p
from p2p.cli.lab.network import OVER, PAGE, Network
from p2p.cli.lab.settings import Section, Tables
from p2p.cli.report import Chart, Curves
from p2p.errors import Timeout
from p2p.lab import Lab, LabNode

SUMMARY = "How a rumour spreads: nodes reached over time, hops, duplicates."

#: The message: number of the run, and of hops so far.
RUMOUR = 0

FILE = """\
# How a rumour spreads. To run it: p2p lab run FILE.toml

[network]
nodes = 20                # servers, from 2 to 1000
topology = "small-world"  # ring, star, random, small-world, full
seed = 1                  # all random choices come from it
latency_s = 0.0           # seconds that bytes take on each link
loss = 0.0                # share of the segments on a link that are sent again
bandwidth = 0.0           # bytes a second on each link; 0: no limit
time = "real"             # real or simulated: simulated time jumps from event to event
churn_per_min = 0.0       # nodes that stop in a minute, at random; never the first
downtime_s = 5.0          # seconds until a stopped node starts again

[experiment]
kind = "rumour"
fan_out = 0               # neighbors that a node tells; 0: all
repetitions = 3           # rumours, each from another node
limit_s = 10.0            # seconds until a rumour is given up
"""


@dataclass(frozen=True)
class Rumour:
    """The network, the parameters, and the experiment itself."""

    network: Network
    fan_out: int
    repetitions: int
    limit_s: float

    @classmethod
    def read(cls, tables: Tables, nodes: int | None, seed: int | None) -> Rumour:
        """Read the tables of the file. Raises Failure for wrong values."""
        network = Network.read(Section(tables, "network"), nodes, seed)
        section = Section(tables, "experiment")
        section.accept("kind")
        read = cls(
            network,
            section.integer("fan_out", 0, 0, 1000),
            section.integer("repetitions", 3, 1, 1000),
            section.number("limit_s", 10.0, 0.1, 3600.0),
        )
        section.end()
        return read

    #: Whether a live page can show it.
    has_page: ClassVar[bool] = True

    @property
    def title(self) -> str:
        """A line for people."""
        network = self.network
        return f"rumour: {network.nodes} nodes, {network.topology}, seed {network.seed}"

    @property
    def steps(self) -> int:
        """Number of results with ``step``."""
        return self.repetitions

    def to_json(self) -> dict[str, Any]:
        """Return the network and the parameters for a result."""
        values = asdict(self)
        return {"kind": "rumour", "network": values.pop("network"), "parameters": values}

    def run(self, monitor_addr: str | None = None) -> Generator[dict[str, Any], None, None]:
        """Run the experiment; yield its results as they are measured.

        With ``monitor_addr`` there is a live page: the first result is its address, the last the
        end of all runs. To close it stops the lab.
        """
        gossip = Gossip(self.network.seed, self.fan_out)
        chance = random.Random(f"rumour {self.network.seed}")
        with self.network.lab(gossip.protocols, monitor_addr) as lab:
            if monitor_addr is not None:
                yield {"type": PAGE, "url": lab.monitor_url}
            # A connection is there before its handlers have begun to read.
            lab.wait_until(lambda: gossip.links == 2 * len(lab.edges), what="all handlers run")
            self.network.begin_churn(lab)
            for run in range(1, self.repetitions + 1):
                origin = chance.choice(lab.running)
                yield from self._run_once(lab, gossip, run, origin)
            if monitor_addr is not None:
                yield {"type": OVER}

    def _run_once(
        self, lab: Lab, gossip: Gossip, run: int, origin: LabNode
    ) -> Iterator[dict[str, Any]]:
        start_s = lab.time_s
        gossip.begin(run, origin)
        has_ended = True
        try:
            lab.wait_until(gossip.is_over, self.limit_s)
        except Timeout:
            has_ended = False
        heard = gossip.heard()
        for node, time_s, hops in heard:
            yield {
                "type": "reached",
                "run": run,
                "node": node,
                "time_s": round(max(0.0, time_s - start_s), 6),
                "hops": hops,
            }
        yield {
            "type": "run",
            "step": run,
            "run": run,
            "origin": origin.name,
            "nodes": len(lab),
            "reached": len(heard),
            "hops": max(hops for _, _, hops in heard),
            "time_s": round(max(0.0, heard[-1][1] - start_s), 6),
            "ended": has_ended,
            **gossip.counts(),
        }

    def summary(self, records: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Return the means over all runs."""
        runs = [record for record in records if record["type"] == "run"]
        if not runs:
            return {"runs": 0}
        names = ("hops", "time_s", "messages", "duplicates")
        means = {name: sum(run[name] for run in runs) / len(runs) for name in names}
        share = sum(run["reached"] for run in runs) / sum(run["nodes"] for run in runs)
        return {"runs": len(runs), "reached_share": share, **means}

    def text(self, record: dict[str, Any]) -> str:
        """Return a result for people; empty for one that is only in JSON."""
        if record["type"] == "summary":
            return _summary_text(record)
        if record["type"] != "run":
            return ""
        text = "run {run}: from {origin}, {reached} of {nodes} nodes in {time_s:.3f} s, {hops} hops"
        text += "; {messages} messages, {duplicates} of them duplicates"
        return text.format(**record) + ("" if record["ended"] else "; given up")

    def charts(self, records: Sequence[dict[str, Any]]) -> list[Chart | Curves]:
        """Return the charts of the report; none if no run has ended."""
        runs = [record for record in records if record["type"] == "run"]
        if not runs:
            return []
        reached = [record for record in records if record["type"] == "reached"]
        hops = Counter(record["hops"] for record in reached)
        nodes = sum(run["nodes"] for run in runs)
        messages = sum(run["messages"] for run in runs)
        duplicates = sum(run["duplicates"] for run in runs)
        rows = [("new", messages - duplicates), ("duplicates", duplicates)]
        return [
            Curves(
                "Nodes reached",
                [(f"run {run['run']}", _times(reached, run["run"])) for run in runs],
                max(run["nodes"] for run in runs),
                "over time, a curve for each run",
            ),
            Chart(
                "Hops",
                [(f"{number}", hops[number]) for number in sorted(hops)],
                "from the origin on the first way that a node heard the rumour, all runs",
                nodes,
            ),
            *([Chart("Messages", rows, "all runs")] if messages else []),
        ]


def _summary_text(summary: dict[str, Any]) -> str:
    if not summary["runs"]:
        return "no run has ended"
    text = "mean of {runs} runs: {reached_share:.1%} of the nodes in {time_s:.3f} s"
    text += ", {hops:.1f} hops; {messages:.0f} messages, {duplicates:.0f} duplicates"
    return text.format(**summary)


def _times(reached: Sequence[dict[str, Any]], run: int) -> list[tuple[float, float]]:
    """Return the time of each node of a run, with the number of nodes reached by then."""
    times = [record["time_s"] for record in reached if record["run"] == run]
    return [(time_s, float(number)) for number, time_s in enumerate(sorted(times), 1)]


class Gossip:
    """The protocol ``rumour/1`` of all nodes of a lab, with one rumour at a time."""

    def __init__(self, seed: int, fan_out: int) -> None:
        # fixed after __init__
        self._seed = seed
        self._fan_out = fan_out
        # guarded by _lock
        self._lock = threading.Lock()
        self._links: dict[str, dict[str, p2p.MsgReadWriter]] = {}
        self._run = 0
        self._heard: dict[str, tuple[float, int]] = {}  # by name: time, hops
        self._under_way: Counter[tuple[str, str]] = Counter()  # by names of sender and receiver
        self._messages = self._duplicates = 0

    def protocols(self, node: LabNode) -> list[p2p.Protocol]:
        """Return the protocol of a node."""
        return [p2p.Protocol("rumour", 1, 1, self._handler(node))]

    @property
    def links(self) -> int:
        """Number of handlers that read, two for each connection."""
        with self._lock:
            return sum(map(len, self._links.values()))

    def begin(self, run: int, origin: LabNode) -> None:
        """Drop the last rumour, and let ``origin`` send a new one."""
        with self._lock:
            self._run, self._heard = run, {}
            self._under_way.clear()
            self._messages = self._duplicates = 0
        self._hear(origin, "", run, 0)

    def is_over(self) -> bool:
        """Whether no message of the rumour is under way."""
        with self._lock:
            return not self._under_way

    def heard(self) -> list[tuple[str, float, int]]:
        """Return the nodes that have heard the rumour: name, time and hops, in order of time."""
        with self._lock:
            found = [(name, *when) for name, when in self._heard.items()]
        return sorted(found, key=lambda each: each[1])

    def counts(self) -> dict[str, int]:
        """Return the numbers of messages sent, and of duplicates."""
        with self._lock:
            return {"messages": self._messages, "duplicates": self._duplicates}

    # threads of the handlers

    def _handler(self, node: LabNode) -> Callable[[p2p.Peer, p2p.MsgReadWriter], None]:
        def run(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
            links = self._links_of(node)
            with self._lock:
                links[peer.name] = rw
            try:
                for msg in rw:
                    number, hops = msg.decode(tuple[int, int])
                    self._hear(node, peer.name, number, hops)
                    self._handled(number, (peer.name, node.name))
            finally:
                with self._lock:
                    if links.get(peer.name) is rw:
                        del links[peer.name]
                    self._drop_locked(node.name, peer.name)

        return run

    def _links_of(self, node: LabNode) -> dict[str, p2p.MsgReadWriter]:
        with self._lock:
            return self._links.setdefault(node.name, {})

    def _hear(self, node: LabNode, teller: str, run: int, hops: int) -> None:
        """Note that a node hears the rumour; if it is new, tell others."""
        time_s = node.lab.time_s
        with self._lock:
            if run != self._run:
                return
            if node.name in self._heard:
                self._duplicates += 1
                return
            self._heard[node.name] = (time_s, hops)
            node.note(f"run {run}, hop {hops}")
            chosen = self._chosen_locked(node, teller)
            self._messages += len(chosen)
            self._under_way.update((node.name, name) for name in chosen)
        for name, rw in chosen.items():
            try:
                rw.send_items(RUMOUR, run, hops + 1)
            except p2p.P2PError:  # the peer has left: no node will handle this message
                self._handled(run, (node.name, name))

    def _chosen_locked(self, node: LabNode, teller: str) -> dict[str, p2p.MsgReadWriter]:
        links = self._links.get(node.name, {})
        others = [name for name in sorted(links) if name != teller]
        if 0 < self._fan_out < len(others):
            chance = random.Random(f"{self._seed} {self._run} {node.name}")
            others = chance.sample(others, self._fan_out)
        return {name: links[name] for name in others}

    def _handled(self, run: int, way: tuple[str, str]) -> None:
        with self._lock:
            if run == self._run and self._under_way[way] > 1:
                self._under_way[way] -= 1
            elif run == self._run:
                del self._under_way[way]

    def _drop_locked(self, name: str, other: str) -> None:
        """Drop what is under way between a node whose handler ends and another one.

        What it has sent may still be handled, until the handler at the other end has ended, too.
        """
        del self._under_way[other, name]
        if name not in self._links.get(other, {}):
            del self._under_way[name, other]
