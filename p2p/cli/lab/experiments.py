"""The experiments of ``p2p lab`` by name, and the file of one. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from p2p.cli.lab.network import Network
from p2p.cli.lab.rumour import FILE, SUMMARY, Rumour
from p2p.cli.lab.settings import Section, parse, refuse_unknown

#: Name, sentence and file to begin with of each experiment.
EXPERIMENTS = {"rumour": (SUMMARY, FILE)}


@dataclass(frozen=True)
class Plan:
    """What a file describes: an experiment in a network."""

    kind: str
    network: Network
    experiment: Rumour

    def to_json(self) -> dict[str, Any]:
        """Return the first line of the results."""
        parameters = self.experiment.to_json()
        network = self.network.to_json()
        return {"type": "plan", "kind": self.kind, "network": network, "parameters": parameters}


def read_plan(text: str, nodes: int | None = None, seed: int | None = None) -> Plan:
    """Read the text of a file; ``nodes`` and ``seed`` replace its values.

    Raises Failure, with the key, for unknown keys and wrong values.
    """
    tables = parse(text)
    refuse_unknown(tables, ("network", "experiment"))
    network = Network.read(Section(tables, "network"), nodes, seed)
    section = Section(tables, "experiment")
    kind = section.choice("kind", None, EXPERIMENTS)
    experiment = Rumour.read(section)
    section.end()
    return Plan(kind, network, experiment)
