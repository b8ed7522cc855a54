"""Rules about IP addresses, lists of networks, our own address, and ``host:port`` text.

Pure: nothing here resolves a name or opens a socket. An IPv4 address written as IPv6
(``::ffff:10.0.0.1``) is treated as the IPv4 address everywhere, since sockets that serve both
families report peers that way and a rule that misses it is a hole.
"""

from __future__ import annotations

from .address import IPAddress, is_lan, is_special_network, unmap
from .distinct import DistinctNetSet, Network, network_of, routed_network_of
from .hostport import join_host_port, split_listen_addr
from .iptracker import IPTracker
from .netlist import Netlist
from .relay import check_relay_addr

__all__ = [
    "DistinctNetSet",
    "IPAddress",
    "IPTracker",
    "Netlist",
    "Network",
    "check_relay_addr",
    "is_lan",
    "is_special_network",
    "join_host_port",
    "network_of",
    "routed_network_of",
    "split_listen_addr",
    "unmap",
]
