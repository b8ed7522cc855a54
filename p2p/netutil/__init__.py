"""Rules about IP addresses, lists of networks, and ``host:port`` text.

Pure: nothing here resolves a name or opens a socket. An IPv4 address written as IPv6
(``::ffff:10.0.0.1``) is treated as the IPv4 address everywhere, since sockets that serve both
families report peers that way and a rule that misses it is a hole.
"""

from __future__ import annotations

from .address import IPAddress, is_lan, is_special_network, unmap
from .hostport import join_host_port, split_listen_addr
from .netlist import Netlist

__all__ = [
    "IPAddress",
    "Netlist",
    "is_lan",
    "is_special_network",
    "join_host_port",
    "split_listen_addr",
    "unmap",
]
