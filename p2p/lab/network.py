"""The network between the nodes of a lab: the kind that its program has asked for.

Any thread. The network in memory is in :mod:`p2p.lab.underlay`.
"""

from __future__ import annotations

import logging
from typing import Any, Protocol

from p2p.clock import Clock
from p2p.lab.loopback import LoopbackNetwork
from p2p.lab.underlay.links import IDEAL
from p2p.lab.underlay.network import MemoryNetwork
from p2p.netutil import IPAddress
from p2p.sim import Link

#: The links of a lab, unless others are given.
NO_DELAY = IDEAL


class Host(Protocol):
    """A host, as a lab uses it; it is an ``Underlay``."""

    ip: IPAddress


class LabNetwork(Protocol):
    """A network, as a lab uses it."""

    link: Link

    def host(self, ip: IPAddress | str | None = None) -> Any:
        """Add a host."""

    def link_of(self, a: Any, b: Any) -> Link:
        """Return the link from one host to another."""

    def set_link(self, a: Any, b: Any, *, one_way: bool = False, **changes: Any) -> Link:
        """Change the link between two hosts."""

    def partition(self, *sides: Any) -> None:
        """Partition the network into groups of hosts."""

    def heal(self) -> None:
        """End the partition."""

    def close(self) -> None:
        """End the network, after its servers."""


def new_network(
    join: str, seed: int, link: Link, clock: Clock, logger: logging.Logger | None
) -> LabNetwork:
    """Return a network. Raises LabError for links over loopback."""
    if join == "memory":
        return MemoryNetwork(seed, link=link, clock=clock, logger=logger)
    network = LoopbackNetwork()
    if link != NO_DELAY:
        network.link = link
    return network
