"""Hosts and networks of addresses, for every limit that counts them.

Pure. Addresses are cheap in one network and expensive in many, so a limit per network makes it
expensive to surround a node (an eclipse attack). Two sizes are enough
(``docs/design/networks.md``):

=========  ====  =====  ===========================================================
size       IPv4  IPv6   counts as one because
=========  ====  =====  ===========================================================
host       /32   /64    the owner of one IPv6 address of a /64 has all of them
network    /24   /48    it is the smallest that is routed by itself, hence costs
=========  ====  =====  ===========================================================
"""

from __future__ import annotations

from typing import TypeAlias

from p2p.arguments import wrong
from p2p.netutil.address import IPAddress, unmap

_HOST_BITS = {4: 32, 6: 64}
_NETWORK_BITS = {4: 24, 6: 48}

#: IP version and leading bits: a host or a network, as a key for dicts.
Network: TypeAlias = tuple[int, int]


def host_of(ip: IPAddress) -> Network:
    """Return the host of an address: an IPv4 address, or the /64 of an IPv6 one."""
    return _prefix(ip, _HOST_BITS)


def network_of(ip: IPAddress) -> Network:
    """Return the network of an address: the /24 of an IPv4 address, the /48 of an IPv6 one."""
    return _prefix(ip, _NETWORK_BITS)


def _prefix(ip: IPAddress, bits: dict[int, int]) -> Network:
    ip = unmap(ip)
    return ip.version, int(ip) >> (ip.max_prefixlen - bits[ip.version])


class DistinctNetSet:
    """A set of addresses with at most ``limit`` in one network.

    An address may be in it several times: only the number in each network is kept. Not
    thread-safe; its owner is the thread of the node table.
    """

    def __init__(self, limit: int) -> None:
        """Raise ArgumentError unless ``limit`` is at least 0."""
        if limit < 0:
            raise wrong("limit", limit, "an int of at least 0")
        self._limit = limit
        self._counts: dict[Network, int] = {}

    def add(self, ip: IPAddress) -> bool:
        """Add ``ip``. Returns False, and changes nothing, when its network is full."""
        network = network_of(ip)
        count = self._counts.get(network, 0)
        if count >= self._limit:
            return False
        self._counts[network] = count + 1
        return True

    def remove(self, ip: IPAddress) -> None:
        """Remove one address from the network of ``ip``; does nothing when it has none."""
        network = network_of(ip)
        count = self._counts.get(network, 0)
        if count > 1:
            self._counts[network] = count - 1
        else:
            self._counts.pop(network, None)

    def contains(self, ip: IPAddress) -> bool:
        """Whether any address of the network of ``ip`` is in the set."""
        return network_of(ip) in self._counts

    def __len__(self) -> int:
        """Return the number of addresses added and not removed."""
        return sum(self._counts.values())
