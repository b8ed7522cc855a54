"""The table ``[network]`` of an experiment, and the lab that it makes. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import p2p
from p2p.cli.lab.settings import Section
from p2p.lab import Lab, LabNode, Link

#: Types of the results that are for the command: the address of a page, and the end of all runs.
PAGE, OVER = "page", "over"
#: Topologies by name, as :func:`p2p.lab.edges_of` takes them.
TOPOLOGIES = ("ring", "star", "random", "small-world", "full")
#: Most nodes: each takes memory and threads.
MAX_NODES = 1000
#: Limits on links: with these, nodes still connect within the time for a dial.
MAX_LATENCY_S, MAX_LOSS = 1.0, 0.2
#: Seeds are numbers that TOML and JSON have.
MAX_SEED = 2**53 - 1


@dataclass(frozen=True)
class Network:
    """The network of an experiment: ``nodes`` servers, connected as ``topology`` says.

    ``latency_s`` is the time in seconds that bytes take on each link, ``loss`` the share of their
    segments that is sent again.
    """

    nodes: int
    topology: str
    seed: int
    latency_s: float
    loss: float

    @classmethod
    def read(cls, section: Section, nodes: int | None, seed: int | None) -> Network:
        """Read the table; ``nodes`` and ``seed`` replace its values if they are not None."""
        in_file = section.integer("nodes", 20, 2, MAX_NODES)
        topology = section.choice("topology", "small-world", TOPOLOGIES)
        seed_in_file = section.integer("seed", 1, 0, MAX_SEED)
        latency_s = section.number("latency_s", 0.0, 0.0, MAX_LATENCY_S)
        loss = section.number("loss", 0.0, 0.0, MAX_LOSS)
        section.end()
        seed = seed_in_file if seed is None else seed
        return cls(nodes or in_file, topology, seed, latency_s, loss)

    def lab(
        self, protocols: Callable[[LabNode], Sequence[p2p.Protocol]], monitor_addr: str | None
    ) -> Lab:
        """Return a new lab, which is not started, with a live page if there is an address."""
        return Lab(
            self.nodes,
            protocols=protocols,
            topology=self.topology,
            link=Link(self.latency_s, loss=self.loss),
            seed=self.seed,
            monitor_addr=monitor_addr,
        )
