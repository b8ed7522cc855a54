"""A list of IP networks, as the option ``net_restrict`` takes it.

Pure. The text is a comma-separated list of CIDR blocks; spaces and empty parts are ignored, as in
go-ethereum. Unlike :func:`ipaddress.ip_network` it takes no bare address and no mask in the form of
an address, so that ``10.0.0.0/0.255.255.255`` is an error. Bits set after the prefix are cleared
(``10.1.2.3/8`` is ``10.0.0.0/8``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

from p2p.arguments import check_type, text_of, wrong_type
from p2p.errors import ArgumentError
from p2p.netutil.address import IPAddress, IPNetwork, unmap

_BLANKS = str.maketrans("", "", " \t\n")
_BLOCK = re.compile(r"[0-9a-fA-F:.]+/(?:0|[1-9][0-9]{0,2})", re.ASCII)
_NETWORKS = (IPv4Network, IPv6Network)
#: The prefix of IPv4-mapped addresses, ``::ffff:0:0/96``.
_MAPPED = IPv6Network("::ffff:0:0/96")


@dataclass(frozen=True, slots=True)
class Netlist:
    """A list of networks, to test addresses against. Immutable; any thread may use it.

    A list without networks contains no address.
    """

    networks: tuple[IPNetwork, ...] = ()

    def __post_init__(self) -> None:
        """Raise ArgumentTypeError unless ``networks`` is a tuple of :mod:`ipaddress` networks."""
        given: object = self.networks
        if not isinstance(given, tuple) or not all(isinstance(n, _NETWORKS) for n in given):
            raise wrong_type("networks", given, "a tuple of networks; parse(text) reads a list")

    @classmethod
    def parse(cls, text: str) -> Netlist:
        """Read ``"10.0.0.0/8, fd00::/8"``.

        Raises ArgumentError, which quotes the part that is not a network.
        """
        parts = text_of(text, "networks").translate(_BLANKS).split(",")
        return cls(tuple(_parse_network(part) for part in parts if part))

    def contains(self, ip: IPAddress) -> bool:
        """Whether ``ip`` is in one of the networks. An IPv6 network contains no IPv4 address.

        Raises ArgumentTypeError for anything but an address.
        """
        check_type("ip", ip, (IPv4Address, IPv6Address), "an IPv4Address or an IPv6Address")
        ip = unmap(ip)
        return any(ip in network for network in self.networks)

    def __str__(self) -> str:
        """Return the list as :meth:`parse` reads it."""
        return ",".join(str(network) for network in self.networks)


def _parse_network(part: str) -> IPNetwork:
    try:
        if not _BLOCK.fullmatch(part):
            raise ValueError("want an address, a slash and a prefix length, such as 127.0.0.1/32")
        network = ip_network(part, strict=False)
    except ValueError as error:
        raise ArgumentError(f"{part[:80]!r} is not a network: {error}") from None
    return _unmap_network(network)


def _unmap_network(network: IPNetwork) -> IPNetwork:
    # Addresses are unmapped before the test, so a mapped network would never match.
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        bits = network.prefixlen - _MAPPED.prefixlen
        return IPv4Network((int(network.network_address) & 0xFFFFFFFF, bits))
    return network
