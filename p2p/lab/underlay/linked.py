"""A network of hosts with links between them: the common part of those in memory and over loopback.

The quality is in :mod:`p2p.lab.underlay.links`, the time in :mod:`p2p.lab.underlay.deliveries`. Any
thread.
"""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, Generic, Protocol, TypeVar

from p2p.arguments import check_type, wrong
from p2p.clock import SYSTEM_CLOCK, Clock
from p2p.lab.underlay.deliveries import Deliveries
from p2p.lab.underlay.links import IDEAL, Links
from p2p.netutil import IPAddress
from p2p.sim import Link
from p2p.sim.address import HashedIPv4


class _Host(Protocol):
    """A host, by its address."""

    ip: IPAddress


H = TypeVar("H", bound=_Host)
S = TypeVar("S", bound="LinkedNetwork[Any]")


class LinkedNetwork(ABC, Generic[H]):
    """Hosts, the links between them, and the partition. Subclasses make the hosts."""

    def __init__(
        self,
        seed: int = 1,
        *,
        link: Link = IDEAL,
        clock: Clock = SYSTEM_CLOCK,
        logger: logging.Logger | None = None,
    ) -> None:
        check_type("link", link, Link, "a Link")
        check_type("seed", seed, int, "an int")
        # fixed after __init__
        self._links = Links(seed, link)
        self._deliveries = Deliveries(clock, logger)
        # guarded by _lock
        self._lock = threading.Lock()
        self._hosts: dict[IPAddress, H] = {}

    def __enter__(self: S) -> S:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Drop what is under way, and end the network's thread. Idempotent."""
        self._deliveries.close()

    # hosts

    def host(self, ip: IPAddress | str | None = None) -> H:
        """Add a host and return it; without ``ip``, in a network (/24) of its own.

        Raises ArgumentError if the address is taken, or is not one of this network.
        """
        with self._lock:
            address = self._free_ip_locked() if ip is None else HashedIPv4.of(ip)
            if address in self._hosts or not self._may_be(address):
                raise wrong("ip", str(address), f"{self._wanted_ip} that no other host has")
            host = self._hosts[address] = self._new_host(address)
        return host

    @property
    def hosts(self) -> list[H]:
        """All hosts, in the order in which they were added."""
        with self._lock:
            return list(self._hosts.values())

    # links

    @property
    def link(self) -> Link:
        """The quality of all links that have none of their own; it may be replaced."""
        return self._links.link

    @link.setter
    def link(self, link: Link) -> None:
        check_type("link", link, Link, "a Link")
        self._links.link = link

    def link_of(self, a: H, b: H) -> Link:
        """Return the quality of the link from ``a`` to ``b``."""
        return self._links.between(a.ip, b.ip)

    def set_link(
        self, a: H, b: H, *, one_way: bool = False, **changes: Any
    ) -> Link:
        """Change the link between two hosts, or only from ``a`` to ``b``, and return it.

        ``changes`` are fields of Link. Raises TypeError for unknown fields, and ArgumentError for
        values out of range.
        """
        pairs = [(a.ip, b.ip)] if one_way else [(a.ip, b.ip), (b.ip, a.ip)]
        self._links.change(pairs, changes)
        return self.link_of(a, b)

    def partition(self, *sides: Iterable[H]) -> None:
        """Partition the network into groups of hosts; all other hosts are one more group.

        Between them nothing arrives until :meth:`heal`: dials time out, streams wait, datagrams are
        lost, those under way as well.
        """
        self._links.split([{host.ip for host in side} for side in sides])

    def heal(self) -> None:
        """End the partition. Streams go on after a retransmission."""
        self._links.split(())

    # inside

    #: Words for the addresses of hosts.
    _wanted_ip: str

    @abstractmethod
    def _ip(self, number: int) -> IPAddress:
        """Return the address of host ``number``."""

    @abstractmethod
    def _may_be(self, ip: IPAddress) -> bool:
        """Whether a host may have this address."""

    @abstractmethod
    def _new_host(self, ip: IPAddress) -> H:
        """Return a host with this address."""

    def _free_ip_locked(self) -> IPAddress:
        number = len(self._hosts) + 1
        while self._ip(number) in self._hosts:
            number += 1
        return self._ip(number)
