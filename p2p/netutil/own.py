"""The user's own networks, exempt from the limits per network and from the throttle.

Pure. The limits make it costly to surround a node with addresses of few networks, and the throttle
bounds the handshakes from one host. On a LAN, and in a network whose hosts are all run by the user,
neither attack is expected.

A network in memory has hosts at special addresses, which no router of the Internet forwards. Its
servers have no limits taken away by that: such an address counts as one of the Internet there.
"""

from __future__ import annotations

from dataclasses import dataclass

from p2p.netutil.address import IPAddress, is_lan, scope_of
from p2p.netutil.netlist import Netlist
from p2p.netutil.registry import Scope


@dataclass(frozen=True, eq=False)
class OwnNetworks:
    """The local networks, and the ``named`` ones. Immutable; any thread may use it.

    ``simulated`` are special networks that stand for the Internet, on an underlay in memory.
    """

    named: Netlist = Netlist()
    simulated: Netlist = Netlist()

    def contains(self, ip: IPAddress) -> bool:
        """Whether ``ip`` is on a LAN or in a named network."""
        return is_lan(ip) or self.is_named(ip)

    def is_named(self, ip: IPAddress) -> bool:
        """Whether ``ip`` is in a network that the user has named."""
        return bool(self.named.networks) and self.named.contains(ip)

    def scope_of(self, ip: IPAddress) -> Scope:
        """Return the scope of ``ip``, as :func:`p2p.netutil.scope_of`, on the underlay."""
        scope = scope_of(ip)
        if scope is Scope.NONE and self.simulated.networks and self.simulated.contains(ip):
            return Scope.GLOBAL
        return scope


#: The local networks only.
LAN = OwnNetworks()
