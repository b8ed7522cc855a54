"""Fetching node records: what an ENR response must be to be believed.

Pure. The record must be signed by the node that was asked, be no older than what we have, and not
send us to an address that its sender may not tell of (EIP-868), nor to the port of another service.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from p2p.discover.exchange import Exchange
from p2p.discover.now import Now
from p2p.discover.search import MAX_LOW_PORT
from p2p.enode.node import Node
from p2p.enr import Record
from p2p.errors import InvalidNode, NoEndpoint, P2PError, PacketError, RemoteTimeout
from p2p.netutil import IPAddress, check_relay_addr

NodeDone: TypeAlias = Callable[[Node | None, P2PError | None, Now], None]


def fetch_node(exchange: Exchange, node: Node, done: NodeDone, now: Now) -> None:
    """Ask ``node`` for its record; ``done`` gets the node made of it, or an error.

    The errors: NoEndpoint, RemoteTimeout, and PacketError for a record that cannot be believed. A
    record that is older than what ``node`` has gives ``node`` itself.
    """
    to = node.udp_endpoint
    if to is None:
        done(None, NoEndpoint("no UDP endpoint of the node is known"), now)
        return
    exchange.request_record(node.id, to, partial(_received, node, to.ip, done), now)


def _received(node: Node, ip: IPAddress, done: NodeDone, rlp: bytes | None, now: Now) -> None:
    if rlp is None:
        done(None, RemoteTimeout("the node did not answer"), now)
        return
    try:
        found = read_record(node, ip, rlp)
    except (InvalidNode, PacketError) as error:
        done(None, PacketError("record", f"invalid ENR response: {error}"), now)
    else:
        done(found, None, now)


def read_record(node: Node, ip: IPAddress, rlp: bytes) -> Node:
    """The node that a record, sent by ``node`` from ``ip``, describes.

    Where the record says nothing of the address, what we know of it stays. Raises InvalidNode and
    PacketError.
    """
    found = Node.from_record(Record.from_rlp(rlp))
    if found.id != node.id:
        raise PacketError("record", "the record is of another node")
    if found.seq < node.seq:
        return node
    if found.udp_endpoint is None:
        # A node behind a NAT may not know its address yet; it has just answered from here.
        return found.with_endpoint(node.ip, found.tcp or node.tcp, node.udp)
    problem = check_relay_addr(ip, found.ip)
    if problem is not None:
        raise PacketError("record", problem)
    # A low port where the node has just answered needs no belief.
    if found.udp <= MAX_LOW_PORT and found.udp_endpoint != node.udp_endpoint:
        raise PacketError("record", f"UDP port {found.udp} is not above {MAX_LOW_PORT}")
    return found
