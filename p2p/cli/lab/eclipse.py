"""The experiment ``eclipse``: how much of one node's world an attacker takes.

It reads the parameters, runs the same attack with and without the limits for addresses of one
network, and has the texts and charts. The network is that of :mod:`p2p.cli.lab.attack`, the servers
are those of :mod:`p2p.cli.lab.slots`. Runs in the main thread.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, ClassVar

import p2p
from p2p.cli.lab.attack import HOSTS, MAX_NETWORKS, AttackedNetwork, Attacker
from p2p.cli.lab.network import MAX_NODES, MAX_SEED
from p2p.cli.lab.settings import Section, Tables, count_samples
from p2p.cli.lab.slots import SAMPLES, Dialing, Slots
from p2p.cli.report import Chart, Curves
from p2p.sim import Link, Network

SUMMARY = "What an eclipse attacker gets: part of a table, of the nodes found and of the peers."

FILE = """\
# What an eclipse attacker gets. To run it: p2p lab run FILE.toml

[network]
nodes = 40          # honest nodes, from 2 to 1000: the bootnode first, the victim last
seed = 1            # keys, links and all random choices come from it
latency_s = 0.05    # seconds that a datagram takes
loss = 0.0          # share of the datagrams that are lost

[experiment]
kind = "eclipse"
protocol = "v4"     # v4 or v5
limits = "both"     # whether nodes limit the addresses of a network (/24): on, off, or both in turn
identities = 60     # node IDs of the attacker
addresses = 4       # its IP addresses, which the identities share
networks = 2        # the networks (/24) of these addresses
pings_per_s = 2.0   # pings to the victim in a simulated second, of all identities together
attack_s = 30.0     # simulated second in which the attack begins
restart_s = 90.0    # simulated second in which the victim restarts; 0: never
database = "kept"   # kept or lost: the node database of the victim when it restarts
duration_s = 180.0  # simulated seconds
sample_s = 30.0     # simulated seconds between two samples
max_peers = 25      # then, with servers: slots for peers of the victim; 0: no servers
dial_ratio = 3      # one of so many slots is for peers that the victim dials
dial_s = 60.0       # simulated seconds in which each other node dials the victim, once
"""

#: The values of ``limits``, and the runs that they stand for.
RUNS = {"both": (True, False), "on": (True,), "off": (False,)}
#: Measured numbers of nodes, with their titles.
MEASURED = {"table": "table", "replacements": "replacements", "found": "nodes found"}


@dataclass(frozen=True)
class Eclipse:
    """The network, the parameters, and the experiment itself."""

    nodes: int
    seed: int
    latency_s: float
    loss: float
    protocol: str
    limits: str
    attacker: Attacker
    restart_s: float
    database: str
    duration_s: float
    sample_s: float
    dialing: Dialing

    @classmethod
    def read(cls, tables: Tables, nodes: int | None, seed: int | None) -> Eclipse:
        """Read the tables of the file. Raises Failure for wrong values."""
        network, experiment = Section(tables, "network"), Section(tables, "experiment")
        nodes_in_file = network.integer("nodes", 40, 2, MAX_NODES)
        seed_in_file = network.integer("seed", 1, 0, MAX_SEED)
        experiment.accept("kind")
        duration_s = experiment.number("duration_s", 180.0, 1.0, 86_400.0)
        read = cls(
            nodes or nodes_in_file,
            seed_in_file if seed is None else seed,
            network.number("latency_s", 0.05, 0.001, 10.0),
            network.number("loss", 0.0, 0.0, 1.0),
            experiment.choice("protocol", "v4", ("v4", "v5")),
            experiment.choice("limits", "both", RUNS),
            _read_attacker(experiment, duration_s),
            experiment.number("restart_s", 90.0, 0.0, duration_s),
            experiment.choice("database", "kept", ("kept", "lost")),
            duration_s,
            experiment.number("sample_s", 30.0, 1.0, 86_400.0),
            _read_dialing(experiment),
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
        attacker = self.attacker
        text = f"eclipse: {self.nodes} nodes, discovery {self.protocol}, seed {self.seed}; "
        text += f"{_count(attacker.identities, 'identity', 'identities')} "
        text += f"at {_count(attacker.addresses, 'address', 'addresses')} "
        return text + f"of {_count(attacker.networks, 'network', 'networks')}"

    @property
    def steps(self) -> int:
        """Number of results with ``step``."""
        return self._steps * len(RUNS[self.limits])

    @property
    def _samples(self) -> int:
        return count_samples(self.duration_s, self.sample_s)

    @property
    def _steps(self) -> int:
        return self._samples + (SAMPLES if self.dialing.max_peers else 0)

    @property
    def _since_s(self) -> float:
        """Time from which on the nodes found are counted for the summary, and dialed."""
        return self.restart_s or self.attacker.attack_s

    def to_json(self) -> dict[str, Any]:
        """Return the network and the parameters for a result."""
        values = asdict(self)
        values |= values.pop("attacker") | values.pop("dialing")
        network = {key: values.pop(key) for key in ("nodes", "seed", "latency_s", "loss")}
        return {"kind": "eclipse", "network": network, "parameters": values}

    def run(self, monitor_addr: str | None = None) -> Generator[dict[str, Any], None, None]:
        """Run the experiment; yield its results as they are measured. There is no page."""
        for number, has_limits in enumerate(RUNS[self.limits]):
            yield from self._run_once(has_limits, number * self._steps)

    def _run_once(self, has_limits: bool, steps_before: int) -> Iterator[dict[str, Any]]:
        network = Network(
            self.seed,
            latency=self.latency_s,
            loss=self.loss,
            protocol=self.protocol,
            signed=False,  # of v4, whose signatures decide nothing here
        )
        attacked = AttackedNetwork(network, self.nodes, self.attacker, has_limits)
        if self.restart_s:
            restart = partial(attacked.victim.restart, keep_store=self.database == "kept")
            network.at(self.restart_s, restart)
        found: dict[bytes, p2p.Node] = {}
        for step in range(1, self._samples + 1):
            attacked.run_for(self.sample_s)
            if network.time > self._since_s:
                found |= {node.id: node for node in attacked.found() if node.id not in found}
            yield {
                "type": "sample",
                "step": steps_before + step,
                "limits": has_limits,
                "time_s": round(network.time, 6),
                **attacked.counts(),
            }
        yield {"type": "places", "limits": has_limits, "distances": attacked.distances()}
        if self.dialing.max_peers:
            yield from self._run_servers(
                attacked, list(found.values()), has_limits, steps_before + self._samples
            )

    def _run_servers(
        self, attacked: AttackedNetwork, found: Sequence[p2p.Node], has_limits: bool, steps: int
    ) -> Iterator[dict[str, Any]]:
        link = Link(self.latency_s, jitter=0.0)
        with Slots(attacked, found, self.dialing, link, self.seed) as slots:
            for step, sample in enumerate(slots.samples(), steps + 1):
                yield {"type": "peers", "step": step, "limits": has_limits, **sample}

    def summary(self, records: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Return the attacker's shares at the end: of the table, its replacements and the slots.

        That of the nodes found is of all lookups since the restart, or else since the attack began.
        """
        samples, peers = _of_type(records, "sample"), _of_type(records, "peers")
        shares: dict[str, Any] = {"samples": len(samples)}
        for has_limits in RUNS[self.limits]:
            run = [each for each in samples if each["limits"] is has_limits]
            late = [each for each in run if each["time_s"] > self._since_s]
            for name in MEASURED if run else ():
                of = late if name == "found" else run[-1:]
                shares[f"{name}_share_limits_{_on(has_limits)}"] = _share(of, name)
            for last in [each for each in peers if each["limits"] is has_limits][-1:]:
                taken = last["dialed_attacker"] + last["inbound_attacker"]
                shares[f"slots_share_limits_{_on(has_limits)}"] = taken / self.dialing.max_peers
        return shares

    def text(self, record: dict[str, Any]) -> str:
        """Return a result for people; empty for one that is only in JSON."""
        if record["type"] == "sample":
            text = "limits {on}, after {time_s:g} s: {table_attacker} of {table} nodes in the table"
            text += ", {replacements_attacker} of {replacements} replacements"
            text += ", {found_attacker} of {found} nodes found"
            return text.format(on=_on(record["limits"]), **record)
        if record["type"] == "peers":
            text = "limits {on}, after {time_s:g} s with servers: "
            text += "{dialed_attacker} of {dialed} dialed peers"
            text += ", {inbound_attacker} of {inbound} inbound peers"
            return text.format(on=_on(record["limits"]), **record)
        if record["type"] != "summary":
            return ""
        lines = [_summary_line(record, _on(has_limits)) for has_limits in RUNS[self.limits]]
        return "\n".join(filter(None, lines)) or "no sample was taken"

    def charts(self, records: Sequence[dict[str, Any]]) -> list[Chart | Curves]:
        """Return the charts of the report; none without a sample."""
        samples = _of_type(records, "sample")
        charts: list[Chart | Curves] = []
        for name, title in MEASURED.items():
            for has_limits in RUNS[self.limits]:
                run = [each for each in samples if each["limits"] is has_limits]
                points = [(each["time_s"], 100 * _share([each], name)) for each in run]
                if points:
                    title_of_run = f"Share of the {title}, limits {_on(has_limits)}"
                    note = "the attacker's part in percent, over time"
                    charts.append(Curves(title_of_run, [(title, points)], 100.0, note))
        charts += [*self._peer_charts(_of_type(records, "peers"))]
        for record in _of_type(records, "places"):
            rows = list(record["distances"].items())
            title = f"The attacker's places, limits {_on(record['limits'])}"
            if rows:
                charts.append(Chart(title, rows, "in the table, by distance in bits"))
        return charts

    def _peer_charts(self, peers: Sequence[dict[str, Any]]) -> Iterator[Curves]:
        for has_limits in RUNS[self.limits]:
            run = [each for each in peers if each["limits"] is has_limits]
            names = ("dialed_attacker", "inbound_attacker")
            points = [(each["time_s"], sum(each[name] for name in names)) for each in run]
            if points:
                title = f"The attacker's peers, limits {_on(has_limits)}"
                note = "slots of the victim that the attacker has, over time"
                yield Curves(title, [("peers", points)], self.dialing.max_peers, note)


def _read_attacker(section: Section, duration_s: float) -> Attacker:
    identities = section.integer("identities", 60, 1, MAX_NODES)
    addresses = section.integer("addresses", 4, 1, identities)
    fewest = -(-addresses // HOSTS)
    return Attacker(
        identities,
        addresses,
        section.integer("networks", 2, fewest, min(addresses, MAX_NETWORKS)),
        section.number("pings_per_s", 2.0, 0.01, 100.0),
        section.number("attack_s", 30.0, 0.0, duration_s),
    )


def _read_dialing(section: Section) -> Dialing:
    return Dialing(
        section.integer("max_peers", 25, 0, MAX_NODES),
        section.integer("dial_ratio", 3, 1, MAX_NODES),
        section.number("dial_s", 60.0, 0.1, 3600.0),
    )


def _of_type(records: Sequence[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [record for record in records if record["type"] == kind]


def _share(samples: Sequence[dict[str, Any]], name: str) -> float:
    """Return the attacker's share of all that was counted under ``name``; 0 of nothing."""
    total = sum(sample[name] for sample in samples)
    return sum(sample[f"{name}_attacker"] for sample in samples) / total if total else 0.0


def _summary_line(summary: dict[str, Any], on: str) -> str:
    """Return the shares of the runs with limits ``on`` or off, as far as there are any."""
    names = {"table": "of the table", "found": "of the nodes found", "slots": "of the slots"}
    keys = {f"{name}_share_limits_{on}": text for name, text in names.items()}
    parts = [f"{summary[key]:.0%} {text}" for key, text in keys.items() if key in summary]
    return f"with limits {on}, at the end: {', '.join(parts)}" if parts else ""


def _on(has_limits: bool) -> str:
    return "on" if has_limits else "off"


def _count(number: int, one: str, many: str) -> str:
    return f"1 {one}" if number == 1 else f"{number} {many}"
