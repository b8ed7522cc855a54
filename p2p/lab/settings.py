"""Settings of a lab: its arguments, checked and fixed. Values; any thread may read them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from p2p.arguments import check_each, check_function, check_int, check_type, wrong
from p2p.clock import Clock, SimulatedClock
from p2p.errors import ConfigError
from p2p.lab.node import LabNode
from p2p.lab.numbers import INT, probability
from p2p.lab.scripts import Script, check_script
from p2p.lab.underlay.clock import LabClock
from p2p.optionchecks import check_clock
from p2p.protocol import Protocol
from p2p.sim.link import Link

#: Ways to join the nodes of a lab.
JOINS = ("memory", "loopback")
#: Options of a server that the lab sets itself.
OWN_OPTIONS = (
    *("private_key", "name", "listen_addr", "underlay", "clock", "no_discovery", "protocols"),
)

ProtocolsOf = Callable[[LabNode], Sequence[Protocol]]
OptionsOf = Callable[[LabNode], Mapping[str, Any]]
#: The protocols of all nodes, or a function that makes those of one.
Protocols = Sequence[Protocol] | ProtocolsOf


@dataclass(frozen=True, slots=True)
class Settings:
    """Arguments of a lab, as :class:`~p2p.lab.Lab` documents them. Raises ArgumentError."""

    protocols: Protocols
    join: str
    link: Link
    seed: int
    clock: Clock
    discovery: bool
    message_events: float
    scripts: Iterable[Script]
    raise_limit: bool
    node_options: OptionsOf | None
    options: Mapping[str, Any]

    def __post_init__(self) -> None:
        if self.join not in JOINS:
            raise wrong("join", self.join, f"one of {', '.join(JOINS)}")
        check_type("link", self.link, Link, "a Link")
        check_int("seed", self.seed, *INT)
        check_clock(self.clock)
        if isinstance(self.clock, SimulatedClock) and not isinstance(self.clock, LabClock):
            raise wrong("clock", self.clock, "the clock of the system, or a LabClock")
        for flag in ("discovery", "raise_limit"):
            check_type(flag, getattr(self, flag), bool, "True or False")
        probability("message_events", self.message_events)
        self._check_protocols()
        self._check_scripts()
        if self.node_options is not None:
            check_function("node_options", self.node_options, "node")
        for option in OWN_OPTIONS:
            if option in self.options:
                raise ConfigError(f"{option}: wanted an option that the lab does not set itself")

    def protocols_of(self, node: LabNode) -> Sequence[Protocol]:
        """Return the protocols of a node."""
        return self.protocols(node) if callable(self.protocols) else self.protocols

    def options_of(self, node: LabNode) -> dict[str, Any]:
        """Return the options of a node's server that the program has given."""
        own = {} if self.node_options is None else self.node_options(node)
        return {**self.options, **own}

    def _check_protocols(self) -> None:
        if callable(self.protocols):
            check_function("protocols", self.protocols, "node")
        else:
            wanted = "a list of Protocol, or a function of a node"
            check_each("protocols", self.protocols, Protocol, wanted)

    def _check_scripts(self) -> None:
        check_type("scripts", self.scripts, Sequence, "a list of scripts")
        for script in self.scripts:
            check_script(script)
