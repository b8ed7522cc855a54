"""A list of IP networks, as ``net_restrict`` takes it.

Pure. The text is a comma-separated list of CIDR blocks; spaces and empty parts are passed over, as
go-ethereum does. Unlike :func:`ipaddress.ip_network` it takes no bare address and no mask spelled
as an address, so that ``10.0.0.0/0.255.255.255`` does not quietly mean something. Bits set behind
the prefix are cleared (``10.1.2.3/8`` is ``10.0.0.0/8``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network

from ..errors import ConfigError
from .address import IPAddress, IPNetwork, unmap

_BLANKS = str.maketrans("", "", " \t\n")
_BLOCK = re.compile(r"[0-9a-fA-F:.]+/(?:0|[1-9][0-9]{0,2})", re.ASCII)
#: The prefix of IPv4-mapped addresses, ``::ffff:0:0/96``.
_MAPPED = IPv6Network("::ffff:0:0/96")


@dataclass(frozen=True)
class Netlist:
    """Networks that addresses can be looked up in. Immutable; any thread may use it.

    A list without networks contains no address.
    """

    networks: tuple[IPNetwork, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Netlist:
        """Read ``"10.0.0.0/8, fd00::/8"``.

        Raises ConfigError, which quotes the part that is no network.
        """
        parts = text.translate(_BLANKS).split(",")
        return cls(tuple(_parse_network(part) for part in parts if part))

    def contains(self, ip: IPAddress) -> bool:
        """Whether ``ip`` is in one of the networks. An IPv6 network holds no IPv4 address."""
        ip = unmap(ip)
        return any(ip in network for network in self.networks)

    def __str__(self) -> str:
        """The list as :meth:`parse` reads it."""
        return ",".join(str(network) for network in self.networks)


def _parse_network(part: str) -> IPNetwork:
    try:
        if not _BLOCK.fullmatch(part):
            raise ValueError("want an address, a slash and a prefix length")
        network = ip_network(part, strict=False)
    except ValueError as error:
        raise ConfigError(f"{part[:80]!r} is not a network: {error}") from None
    return _unmap_network(network)


def _unmap_network(network: IPNetwork) -> IPNetwork:
    # Addresses are unmapped before they are looked up, so a mapped network would never match.
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        bits = network.prefixlen - _MAPPED.prefixlen
        return IPv4Network((int(network.network_address) & 0xFFFFFFFF, bits))
    return network
