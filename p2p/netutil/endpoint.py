"""Endpoints: an address with one port, and the address of a node with both of its ports. Pure."""

from __future__ import annotations

from typing import NamedTuple

from p2p.netutil.address import IPAddress
from p2p.netutil.hostport import join_host_port


class Endpoint(NamedTuple):
    """An address and a port, 0 to 65535; equal to the tuple ``(ip, port)``.

    Its text is ``192.0.2.1:30303`` or ``[2001:db8::1]:30303``.
    """

    ip: IPAddress
    port: int

    def __str__(self) -> str:
        return join_host_port(*self)


class NodeEndpoint(NamedTuple):
    """The address and both ports of a node; unknown are an ``ip`` of None and a port of 0."""

    ip: IPAddress | None
    udp: int
    tcp: int
