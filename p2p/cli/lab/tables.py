"""The experiment ``tables``: how the tables of discovery fill after the start of all nodes.

The nodes are the engines of discovery in :mod:`p2p.sim`, on simulated time, so a run is the same
each time. Runs in the main thread.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from p2p.cli.lab.network import MAX_NODES, MAX_SEED
from p2p.cli.lab.settings import Section, Tables, count_samples
from p2p.cli.report import Chart, Curves
from p2p.enode import log_distance
from p2p.sim import Network

SUMMARY = "How discovery fills tables: nodes known over time, entries by distance."

FILE = """\
# How discovery fills tables. To run it: p2p lab run FILE.toml

[network]
nodes = 50          # nodes, from 2 to 1000; the first is the bootnode of all others
seed = 1            # keys, links and all random choices come from it
latency_s = 0.05    # seconds that a datagram takes
loss = 0.0          # share of the datagrams that are lost

[experiment]
kind = "tables"
protocol = "v4"     # v4 or v5
duration_s = 120.0  # simulated seconds
sample_s = 10.0     # simulated seconds between two samples
"""


@dataclass(frozen=True)
class FillTables:
    """The network, the parameters, and the experiment itself."""

    nodes: int
    seed: int
    latency_s: float
    loss: float
    protocol: str
    duration_s: float
    sample_s: float

    @classmethod
    def read(cls, tables: Tables, nodes: int | None, seed: int | None) -> FillTables:
        """Read the tables of the file. Raises Failure for wrong values."""
        network, experiment = Section(tables, "network"), Section(tables, "experiment")
        nodes_in_file = network.integer("nodes", 50, 2, MAX_NODES)
        seed_in_file = network.integer("seed", 1, 0, MAX_SEED)
        experiment.accept("kind")
        read = cls(
            nodes or nodes_in_file,
            seed_in_file if seed is None else seed,
            network.number("latency_s", 0.05, 0.001, 10.0),
            network.number("loss", 0.0, 0.0, 1.0),
            experiment.choice("protocol", "v4", ("v4", "v5")),
            experiment.number("duration_s", 120.0, 1.0, 86_400.0),
            experiment.number("sample_s", 10.0, 0.1, 86_400.0),
        )
        network.end()
        experiment.end()
        count_samples(read.duration_s, read.sample_s)
        return read

    #: Whether a live page can show it.
    has_page: ClassVar[bool] = False

    @property
    def title(self) -> str:
        """A line for people."""
        return f"tables: {self.nodes} nodes, discovery {self.protocol}, seed {self.seed}"

    @property
    def steps(self) -> int:
        """Number of results with ``step``."""
        return count_samples(self.duration_s, self.sample_s)

    def to_json(self) -> dict[str, Any]:
        """Return the network and the parameters for a result."""
        values = asdict(self)
        network = {key: values.pop(key) for key in ("nodes", "seed", "latency_s", "loss")}
        return {"kind": "tables", "network": network, "parameters": values}

    def run(self, monitor_addr: str | None = None) -> Generator[dict[str, Any], None, None]:
        """Run the experiment; yield its results as they are measured. There is no page."""
        network = Network(self.seed, latency=self.latency_s, loss=self.loss, protocol=self.protocol)
        boot = network.add("boot")
        for _ in range(self.nodes - 1):
            network.add(bootnodes=[boot])
        for step in range(1, self.steps + 1):
            network.run_for(self.sample_s)
            yield _sample(network, step)
        for node in network.nodes:
            distances = Counter(log_distance(node.id, other.id) for other in node.known())
            by_distance = {str(each): distances[each] for each in sorted(distances)}
            yield {"type": "node", "node": node.name, "distances": by_distance}

    def summary(self, records: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Return the last sample."""
        samples = [record for record in records if record["type"] == "sample"]
        if not samples:
            return {"samples": 0}
        return {"samples": len(samples), **without(samples[-1], "type", "step")}

    def text(self, record: dict[str, Any]) -> str:
        """Return a result for people; empty for one that is only in JSON."""
        if record["type"] == "node":
            return ""
        if record["type"] == "summary" and not record["samples"]:
            return "no sample was taken"
        text = "at the end, " if record["type"] == "summary" else ""
        text += "after {time_s:g} s a node knows {known_mean:.1f} others"
        text += " in {buckets_mean:.1f} buckets, from {known_least} to {known_most}"
        return text.format(**record)

    def charts(self, records: Sequence[dict[str, Any]]) -> list[Chart | Curves]:
        """Return the charts of the report; none without a sample."""
        samples = [record for record in records if record["type"] == "sample"]
        if not samples:
            return []
        names = ("known_least", "known_mean", "known_most")
        distances: Counter[int] = Counter()
        for record in records:
            if record["type"] == "node":
                distances.update({int(far): n for far, n in record["distances"].items()})
        rows = [(str(far), distances[far]) for far in sorted(distances, reverse=True)]
        curves = [(name, [(each["time_s"], each[name]) for each in samples]) for name in names]
        return [
            Curves("Nodes known", curves, self.nodes - 1, "least, mean and most of all nodes"),
            *([Chart("Entries by distance", rows, "of all tables, in bits")] if rows else []),
        ]


def without(record: dict[str, Any], *keys: str) -> dict[str, Any]:
    """Return a result without some of its keys."""
    return {key: value for key, value in record.items() if key not in keys}


def _sample(network: Network, step: int) -> dict[str, Any]:
    tables = [node.table() for node in network.nodes]
    counts = [len(table) for table in tables]
    buckets = [sum(bool(bucket.nodes) for bucket in table.buckets) for table in tables]
    return {
        "type": "sample",
        "step": step,
        "time_s": round(network.time, 6),
        "known_least": min(counts),
        "known_mean": sum(counts) / len(counts),
        "known_most": max(counts),
        "buckets_mean": sum(buckets) / len(buckets),
    }
