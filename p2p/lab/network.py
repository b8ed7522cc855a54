"""The network between the nodes of a lab: the kind that its program has asked for.

Any thread. The networks are in :mod:`p2p.lab.underlay`. Over loopback, a lab has a block (/16) of
addresses by the number of its process and of its labs, so that two on one machine rarely meet.
"""

from __future__ import annotations

import logging
import os
from ipaddress import IPv4Address
from itertools import count
from typing import Any, Protocol

from p2p.clock import Clock
from p2p.lab.underlay.links import IDEAL
from p2p.lab.underlay.loopback import LoopbackNetwork
from p2p.lab.underlay.network import MemoryNetwork
from p2p.netutil import IPAddress
from p2p.sim import Link

#: The links of a lab, unless others are given.
NO_DELAY = IDEAL


#: Second numbers of the blocks of addresses.
BLOCKS = range(16, 255)
_LOOPBACK = int(IPv4Address("127.0.0.0"))
_blocks = count(os.getpid())


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


class LoopbackBlock(LoopbackNetwork):
    """A network over loopback with a block of addresses of its own."""

    def __init__(
        self, seed: int, link: Link, clock: Clock, logger: logging.Logger | None
    ) -> None:
        super().__init__(seed, link=link, clock=clock, logger=logger)
        self._first = _LOOPBACK + BLOCKS[next(_blocks) % len(BLOCKS)] * 2**16

    def _ip(self, number: int) -> IPAddress:
        row, network = divmod(number, 2**8)  # a /24 each while there are any
        return IPv4Address(self._first + network * 2**8 + row + 1)


def new_network(
    join: str, seed: int, link: Link, clock: Clock, logger: logging.Logger | None
) -> LabNetwork:
    """Return a network."""
    if join == "memory":
        return MemoryNetwork(seed, link=link, clock=clock, logger=logger)
    return LoopbackBlock(seed, link, clock, logger)
