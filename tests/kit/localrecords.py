"""Our own node, where a test does not want it to learn where it is."""

from __future__ import annotations

from p2p.clock import SimulatedClock
from p2p.crypto import PrivateKey
from p2p.enode.db.nodedb import NodeDB
from p2p.enode.localnode import LocalNode
from p2p.enode.localrecord import LocalRecord
from p2p.netutil import IPAddress


def fixed_local(
    private_key: PrivateKey, endpoint: tuple[IPAddress | None, int, int], seq: int = 1
) -> LocalRecord:
    """A record with number ``seq``, and whose endpoint stays what it is; for one thread."""
    local = LocalRecord(private_key, seq - 1)
    _set_endpoint(local, endpoint)
    return local


def fixed_node(
    private_key: PrivateKey, endpoint: tuple[IPAddress | None, int, int], seq: int = 1
) -> LocalNode:
    """The same for any thread, as :class:`p2p.discover.UDPv4` wants it."""
    start_unix = (seq + 0.5) / 1000  # the first number is that of the milliseconds
    local = LocalNode(private_key, NodeDB(), clock=SimulatedClock(start_unix=start_unix))
    _set_endpoint(local, endpoint)
    return local


def _set_endpoint(
    local: LocalRecord | LocalNode, endpoint: tuple[IPAddress | None, int, int]
) -> None:
    ip, udp, tcp = endpoint
    if ip is not None:
        local.set_static_ip(ip)
        local.set_fallback_udp(udp)
        if tcp:
            local.set("tcp", tcp)
