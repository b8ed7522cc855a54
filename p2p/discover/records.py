"""Checks of the node records that other nodes send.

Pure. The record must be signed by the node that was asked, and be no older than ours. Its endpoint
is used unless it is an address that the sender may not name (EIP-868), or the port of another
service. In that case the endpoint that has just answered stays, and the rest of the record is used.
"""

from __future__ import annotations

from p2p.discover.lookup import MAX_LOW_PORT
from p2p.enode.node import Node
from p2p.enr import Record
from p2p.errors import PacketError
from p2p.netutil import LAN, IPAddress, OwnNetworks, check_relay_addr


def read_record(node: Node, ip: IPAddress, rlp: bytes, own: OwnNetworks = LAN) -> Node:
    """Return the node that a record describes; ``node`` has sent it, as ``rlp``, from ``ip``.

    If the record names no endpoint, or one that is refused, the endpoint of ``node`` stays. If the
    record is older than that of ``node``, the result is ``node`` itself. Raises InvalidNode for a
    record that is not valid, PacketError for the record of another node.
    """
    found = Node.from_record(Record.from_rlp(rlp))
    if found.id != node.id:
        raise PacketError("record", "the record is of another node")
    if found.seq < node.seq:
        return node
    if found.udp_endpoint == node.udp_endpoint:
        return found
    # A node behind a NAT or on a LAN may not know its address; it has just answered from here.
    is_believed = check_relay_addr(ip, found.ip, own) is None and found.udp > MAX_LOW_PORT
    return found if is_believed else at_endpoint_of(node, found)


def at_endpoint_of(node: Node, found: Node) -> Node:
    """Return ``found`` with the endpoint of ``node``, but with its own TCP port if it has one."""
    return found.with_endpoint(node.ip, found.tcp or node.tcp, node.udp)
