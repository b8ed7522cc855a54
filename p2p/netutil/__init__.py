"""Rules about IP addresses, endpoints, hosts and networks, our own address, ``host:port`` text.

Pure: nothing here resolves a name or opens a socket. An IPv4 address written as IPv6
(``::ffff:10.0.0.1``) is treated as the IPv4 address everywhere, since sockets that serve both
families report peers that way and a rule that misses it is a hole.
"""

from __future__ import annotations

from p2p.netutil.address import (
    IPAddress,
    IPNetwork,
    canonical,
    is_lan,
    is_link_local,
    is_loopback,
    is_multicast,
    is_special_network,
    is_unspecified,
    scope_of,
    unmap,
)
from p2p.netutil.endpoint import Endpoint, NodeEndpoint
from p2p.netutil.host import ip_of, is_name, read_ip, read_zoned_ip
from p2p.netutil.hostport import join_host_port, split_host_port, split_listen_addr
from p2p.netutil.iptracker import IPTracker
from p2p.netutil.netlist import Netlist
from p2p.netutil.network import DistinctNetSet, Network, host_of, network_of
from p2p.netutil.own import LAN, OwnNetworks
from p2p.netutil.printable import printable
from p2p.netutil.registry import Scope
from p2p.netutil.relay import check_relay_addr

__all__ = [
    "LAN",
    "DistinctNetSet",
    "Endpoint",
    "IPAddress",
    "IPNetwork",
    "IPTracker",
    "Netlist",
    "Network",
    "NodeEndpoint",
    "OwnNetworks",
    "Scope",
    "canonical",
    "check_relay_addr",
    "host_of",
    "ip_of",
    "is_lan",
    "is_link_local",
    "is_loopback",
    "is_multicast",
    "is_name",
    "is_special_network",
    "is_unspecified",
    "join_host_port",
    "network_of",
    "printable",
    "read_ip",
    "read_zoned_ip",
    "scope_of",
    "split_host_port",
    "split_listen_addr",
    "unmap",
]
