"""The table ``[network]`` of an experiment, and the lab that it makes. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import p2p
from p2p.cli.lab.settings import Section, wrong
from p2p.lab import Churn, Lab, LabClock, LabNode, Link

#: Types of the results that are for the command: the address of a page, and the end of all runs.
PAGE, OVER = "page", "over"
#: Topologies by name, as :func:`p2p.lab.edges_of` takes them.
TOPOLOGIES = ("ring", "star", "random", "small-world", "full")
#: Most nodes: each takes memory and threads.
MAX_NODES = 1000
#: Limits on links: with these, nodes still connect within the time for a dial.
MAX_LATENCY_S, MAX_LOSS = 1.0, 0.2
#: Limits on bandwidth, in bytes a second: with the least, nodes still connect in time.
MIN_BANDWIDTH, MAX_BANDWIDTH = 1024.0, 1e9
#: Most nodes that stop in a minute, and the longest time until they start again.
MAX_CHURN, MAX_DOWNTIME_S = 600.0, 3600.0
#: Seeds are numbers that TOML and JSON have.
MAX_SEED = 2**53 - 1


@dataclass(frozen=True)
class Network:
    """The network of an experiment: ``nodes`` servers, connected as ``topology`` says.

    ``latency_s`` is the time in seconds that bytes take on each link, ``loss`` the share of their
    segments that is sent again, ``bandwidth`` in bytes a second (0: no limit). ``time`` is "real"
    or "simulated". Each minute ``churn_per_min`` nodes stop, and start again ``downtime_s`` later.
    """

    nodes: int
    topology: str
    seed: int
    latency_s: float
    loss: float
    bandwidth: float
    time: str
    churn_per_min: float
    downtime_s: float

    @classmethod
    def read(cls, section: Section, nodes: int | None, seed: int | None) -> Network:
        """Read the table; ``nodes`` and ``seed`` replace its values if they are not None."""
        in_file = section.integer("nodes", 20, 2, MAX_NODES)
        topology = section.choice("topology", "small-world", TOPOLOGIES)
        seed_in_file = section.integer("seed", 1, 0, MAX_SEED)
        latency_s = section.number("latency_s", 0.0, 0.0, MAX_LATENCY_S)
        loss = section.number("loss", 0.0, 0.0, MAX_LOSS)
        read = cls(
            nodes or in_file,
            topology,
            seed_in_file if seed is None else seed,
            latency_s,
            loss,
            _bandwidth(section),
            section.choice("time", "real", ("real", "simulated")),
            section.number("churn_per_min", 0.0, 0.0, MAX_CHURN),
            section.number("downtime_s", 5.0, 0.1, MAX_DOWNTIME_S),
        )
        section.end()
        return read

    def lab(
        self, protocols: Callable[[LabNode], Sequence[p2p.Protocol]], monitor_addr: str | None
    ) -> Lab:
        """Return a new lab, which is not started, with a live page if there is an address."""
        clock: dict[str, Any] = {"clock": LabClock()} if self.time == "simulated" else {}
        return Lab(
            self.nodes,
            protocols=protocols,
            topology=self.topology,
            link=Link(self.latency_s, loss=self.loss, bandwidth=self.bandwidth or None),
            seed=self.seed,
            monitor_addr=monitor_addr,
            **clock,
        )

    def begin_churn(self, lab: Lab) -> None:
        """Let nodes of a running lab stop and start, if they are to."""
        if self.churn_per_min:
            lab.run_script(Churn(self.churn_per_min / 60, self.downtime_s))


def _bandwidth(section: Section) -> float:
    bandwidth = section.number("bandwidth", 0.0, 0.0, MAX_BANDWIDTH)
    if 0 < bandwidth < MIN_BANDWIDTH:
        raise wrong(f"network.bandwidth: want 0 or at least {MIN_BANDWIDTH:g}, got {bandwidth:g}")
    return bandwidth
