"""The user's own networks, exempt from the limits per network and from the throttle.

Pure. The limits make it costly to surround a node with addresses of few networks, and the throttle
bounds the handshakes from one host. On a LAN, and in a network whose hosts are all run by the user,
neither attack is expected.
"""

from __future__ import annotations

from dataclasses import dataclass

from p2p.netutil.address import IPAddress, is_lan
from p2p.netutil.netlist import Netlist


@dataclass(frozen=True, eq=False)
class OwnNetworks:
    """The local networks, and the ``named`` ones. Immutable; any thread may use it."""

    named: Netlist = Netlist()

    def contains(self, ip: IPAddress) -> bool:
        """Whether ``ip`` is on a LAN or in a named network."""
        return is_lan(ip) or self.is_named(ip)

    def is_named(self, ip: IPAddress) -> bool:
        """Whether ``ip`` is in a network that the user has named."""
        return bool(self.named.networks) and self.named.contains(ip)


#: The local networks only.
LAN = OwnNetworks()
