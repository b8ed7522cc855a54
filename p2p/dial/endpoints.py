"""The endpoints at which a node is dialed. Pure.

A node may have one for IPv4 and one for IPv6 (:attr:`p2p.enode.Node.endpoints`). A dial begins at
the first that has a TCP port and that ``net_restrict`` allows; if that fails, it tries the other.
"""

from __future__ import annotations

from p2p.enode.node import Node
from p2p.netutil import Endpoint, Netlist, is_loopback


def at_first_endpoint(node: Node, net_restrict: Netlist | None) -> Node:
    """Return ``node`` at the first endpoint where it may be dialed; as it is, if there is none."""
    if node.hostname:
        return node  # its addresses are looked up
    for ip, udp, tcp in node.endpoints:
        if ip is not None and tcp and (net_restrict is None or net_restrict.contains(ip)):
            return node if ip == node.ip else node.with_endpoint(ip, tcp, udp)
    return node


def dial_endpoints(node: Node) -> list[Endpoint]:
    """Return the TCP endpoints at which to dial ``node``, in order.

    A loopback address beside another one is left out: it is the node's own guess, and here leads to
    this machine.
    """
    endpoints = node.tcp_endpoints
    return [at for at in endpoints if not is_loopback(at.ip) or is_loopback(endpoints[0].ip)]


def at_endpoint(node: Node, endpoint: Endpoint) -> Node:
    """Return ``node`` at the TCP ``endpoint``, with the UDP port that it has there."""
    udp = next((udp for ip, udp, _ in node.endpoints if ip == endpoint.ip), node.udp)
    return node.with_endpoint(endpoint.ip, endpoint.port, udp)
