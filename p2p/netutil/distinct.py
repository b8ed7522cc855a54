"""Counting addresses by network, so that no one network can fill a list.

Pure. The node table is what it protects: addresses are cheap to have in one network and dear to
have in many, so a limit for each network makes it expensive to surround a node (an eclipse
attack). Not thread-safe; its owner is the thread of the table.
"""

from __future__ import annotations

from p2p.netutil.address import IPAddress, unmap

#: IP version, and the leading bits of the address.
Network = tuple[int, int]


def network_of(ip: IPAddress, subnet_bits: int) -> Network:
    """What the addresses of one network have in common; a key for dicts."""
    ip = unmap(ip)
    return ip.version, int(ip) >> max(0, ip.max_prefixlen - subnet_bits)


#: Leading bits of the smallest networks that are routed by themselves, which is what an address of
#: one's own elsewhere costs, by IP version.
_ROUTED_BITS = {4: 24, 6: 48}


def routed_network_of(ip: IPAddress) -> Network:
    """The /24 of an IPv4 address, the /48 of an IPv6 one; a key for dicts."""
    return network_of(ip, _ROUTED_BITS[unmap(ip).version])


class DistinctNetSet:
    """Addresses, of which at most ``limit`` have their first ``subnet_bits`` bits in common.

    An address may be in it several times: only the number in each network is kept.
    """

    def __init__(self, subnet_bits: int, limit: int) -> None:
        """Raises ValueError unless both numbers are at least 0."""
        if subnet_bits < 0 or limit < 0:
            raise ValueError("subnet_bits and limit are at least 0")
        self._subnet_bits = subnet_bits
        self._limit = limit
        self._counts: dict[Network, int] = {}

    def add(self, ip: IPAddress) -> bool:
        """Add ``ip``. False, and nothing changes, when its network is full."""
        network = self._network(ip)
        count = self._counts.get(network, 0)
        if count >= self._limit:
            return False
        self._counts[network] = count + 1
        return True

    def remove(self, ip: IPAddress) -> None:
        """Take one address out of the network of ``ip``; nothing happens when it has none."""
        network = self._network(ip)
        count = self._counts.get(network, 0)
        if count > 1:
            self._counts[network] = count - 1
        else:
            self._counts.pop(network, None)

    def contains(self, ip: IPAddress) -> bool:
        """Whether any address of the network of ``ip`` is in the set."""
        return self._network(ip) in self._counts

    def __len__(self) -> int:
        """How many addresses were added and not removed."""
        return sum(self._counts.values())

    def _network(self, ip: IPAddress) -> Network:
        return network_of(ip, self._subnet_bits)
