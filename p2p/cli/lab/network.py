"""The table ``[network]`` of an experiment, and the lab that it makes. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import p2p
from p2p.cli.lab.settings import Section
from p2p.lab import Lab, LabNode

#: Topologies by name, as :func:`p2p.lab.edges_of` takes them.
TOPOLOGIES = ("ring", "star", "random", "small-world", "full")
#: Most nodes: each takes memory and threads.
MAX_NODES = 1000
#: Seeds are numbers that TOML and JSON have.
MAX_SEED = 2**53 - 1


@dataclass(frozen=True)
class Network:
    """The network of an experiment: ``nodes`` servers, connected as ``topology`` says."""

    nodes: int
    topology: str
    seed: int

    @classmethod
    def read(cls, section: Section, nodes: int | None, seed: int | None) -> Network:
        """Read the table; ``nodes`` and ``seed`` replace its values if they are not None."""
        in_file = section.integer("nodes", 20, 2, MAX_NODES)
        topology = section.choice("topology", "small-world", TOPOLOGIES)
        seed_in_file = section.integer("seed", 1, 0, MAX_SEED)
        section.end()
        return cls(nodes or in_file, topology, seed_in_file if seed is None else seed)

    def lab(self, protocols: Callable[[LabNode], Sequence[p2p.Protocol]]) -> Lab:
        """Return a new lab, which is not started."""
        return Lab(self.nodes, protocols=protocols, topology=self.topology, seed=self.seed)
