"""Rules for the addresses that one host may relay to us.

Pure. A node that is asked for its neighbors may answer with any address. Without these rules an
unknown node could make us send packets into our own network, or to addresses that no host has.
"""

from __future__ import annotations

from p2p.netutil.address import IPAddress, is_loopback, is_unspecified
from p2p.netutil.own import LAN, OwnNetworks
from p2p.netutil.registry import Scope


def check_relay_addr(
    sender_ip: IPAddress, ip: IPAddress | None, own: OwnNetworks = LAN
) -> str | None:
    """Return the reason not to use ``ip``, relayed by a host at ``sender_ip``, or None.

    A loopback address is used only from a loopback host; one of a local network only from a host in
    ``own``; one of a special network only from there and if the user has named the network; all
    other addresses always. Any thread.
    """
    if ip is None:
        return "no address"
    scope = own.scope_of(ip)
    if scope is Scope.GLOBAL:  # nearly all
        return None
    if is_unspecified(ip):
        return "zero address"
    if scope is Scope.HOST and not is_loopback(sender_ip):
        return "loopback address from another host"
    if scope is Scope.NONE and not (own.is_named(ip) and own.contains(sender_ip)):
        return "special network"
    if scope is not Scope.NONE and not own.contains(sender_ip):
        return "LAN address from a WAN host"
    return None
