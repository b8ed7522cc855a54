"""A network over loopback: each node has an address in 127.0.0.0/8, and sockets of the system.

Each network has a block (/16) of these addresses, by the number of the process and of its networks,
so that two labs on one machine rarely meet. The system is fast and loses nothing, so there are no
links and no partitions. Any thread; nothing is opened before a server starts.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterable
from ipaddress import IPv4Address
from itertools import count
from typing import Any

from p2p.arguments import wrong
from p2p.errors import LabError
from p2p.lab.underlay.links import IDEAL
from p2p.net import Underlay, bind, bind_udp
from p2p.netutil import IPAddress, ip_of
from p2p.sim import Link

#: Second numbers of the blocks.
BLOCKS = range(16, 255)
_LOOPBACK, _BLOCK_SIZE, _NETWORK_SIZE = int(IPv4Address("127.0.0.0")), 2**16, 2**8

_networks = count(os.getpid())


class LoopbackHost(Underlay):
    """An address of loopback, for the option ``underlay`` of a server."""

    _is_public = False

    def __init__(self, ip: IPAddress) -> None:
        #: The address of the host.
        self.ip = ip

    def _bind(self, host: str | None, port: int) -> socket.socket:
        return bind(host or str(self.ip), port)

    def _bind_udp(self, host: str | None, port: int) -> socket.socket:
        return bind_udp(host or str(self.ip), port)


class LoopbackNetwork:
    """Hosts in one block of addresses, each in a network (/24) of its own while there are any."""

    def __init__(self) -> None:
        block = BLOCKS[next(_networks) % len(BLOCKS)]
        self._first = _LOOPBACK + block * _BLOCK_SIZE + 1
        self._lock = threading.Lock()
        # guarded by _lock
        self._hosts: dict[IPAddress, LoopbackHost] = {}
        self._next = 0

    @property
    def link(self) -> Link:
        """The link of all hosts."""
        return IDEAL

    @link.setter
    def link(self, link: Link) -> None:
        raise _without_links()

    def link_of(self, a: LoopbackHost, b: LoopbackHost) -> Link:
        """Return the link between two hosts."""
        return IDEAL

    def set_link(
        self, a: LoopbackHost, b: LoopbackHost, *, one_way: bool = False, **changes: Any
    ) -> Link:
        """Raise LabError: there are no links."""
        raise _without_links()

    def partition(self, *sides: Iterable[LoopbackHost]) -> None:
        """Raise LabError: there are no partitions."""
        raise _without_links()

    def heal(self) -> None:
        """Do nothing: there are no partitions."""

    def host(self, ip: IPAddress | str | None = None) -> LoopbackHost:
        """Add a host, by default at the next free address."""
        with self._lock:
            address = self._next_ip_locked() if ip is None else ip_of(ip)
            if address in self._hosts:
                raise wrong("ip", str(address), "an address that no other host has")
            host = self._hosts[address] = LoopbackHost(address)
        return host

    def close(self) -> None:
        """Do nothing: the sockets are those of the servers."""

    def _next_ip_locked(self) -> IPAddress:
        while True:
            row, network = divmod(self._next, _NETWORK_SIZE)
            self._next += 1
            address = IPv4Address(self._first + network * _NETWORK_SIZE + row)
            if address not in self._hosts:
                return address


def _without_links() -> LabError:
    return LabError('links and partitions need nodes that are joined in memory: join="memory"', ())
