"""Which addresses one host may tell us of.

Pure. A node that is asked for its neighbors may answer with any address. Without these rules a
stranger could have us send packets into our own network, or to addresses that are no host's.
"""

from __future__ import annotations

from p2p.netutil.address import IPAddress, is_lan, is_special_network, unmap


def check_relay_addr(sender_ip: IPAddress, ip: IPAddress | None) -> str | None:
    """Why ``ip``, told by a host at ``sender_ip``, is not to be used; None when it may be.

    Special networks never are; loopback only when a loopback host tells of it; a local network
    only when a host of one does; all other addresses always. Any thread.
    """
    if ip is None:
        return "no address"
    ip, sender_ip = unmap(ip), unmap(sender_ip)
    if ip.is_unspecified:
        return "zero address"
    if is_special_network(ip):
        return "special network"
    if ip.is_loopback and not sender_ip.is_loopback:
        return "loopback address from another host"
    if is_lan(ip) and not is_lan(sender_ip):
        return "LAN address from a WAN host"
    return None
