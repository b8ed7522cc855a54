"""Discovery v4 as a :class:`~p2p.discover.transport.Transport`.

Pure. It translates the shared requests to those of v4: they go to the node's UDP endpoint, a lookup
has a public key as its target, neighbors are described by their key, and a record is RLP.
:class:`Requests` makes the endpoint proofs and the repetitions.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from p2p.crypto import keccak256
from p2p.discover.records import read_record
from p2p.discover.transport import FindDone, Neighbor, PingDone, RecordDone, Target
from p2p.discover.v4.requests import Requests
from p2p.discover.v4.wire import NeighborNode, Pong
from p2p.enode.node import Node
from p2p.enode.nodeid import NodeID
from p2p.errors import InvalidNode, NoEndpoint, NoResponse, PacketError
from p2p.inputs import Now
from p2p.netutil import IPAddress, OwnNetworks


class TransportV4:
    """Sends through ``requests``; hosts in ``own`` networks may name addresses there."""

    def __init__(self, requests: Requests, own: OwnNetworks) -> None:
        self._requests = requests
        self._own = own

    def ping(self, node: Node, done: PingDone, now: Now) -> None:
        """Ping a node once."""
        to = node.udp_endpoint
        if to is None:
            done(None, _no_endpoint(), now)
        else:
            self._requests.ping(node.id, to, partial(_pinged, done), now)

    def find_nodes(self, node: Node, target: Target, done: FindDone, now: Now) -> None:
        """Send a findnode, after a ping if the node has no proof of our endpoint."""
        to = node.udp_endpoint
        if to is None:
            done(None, _no_endpoint(), now)
        else:
            self._requests.find_node(node.id, to, target.key, partial(_found, done), now)

    def request_record(self, node: Node, done: RecordDone, now: Now) -> None:
        """Send an ENR request, after a ping if the node has no proof of our endpoint."""
        to = node.udp_endpoint
        if to is None:
            done(None, _no_endpoint(), now)
        else:
            received = partial(self._received, node, to.ip, done)
            self._requests.request_record(node.id, to, received, now)

    def _received(
        self, node: Node, ip: IPAddress, done: RecordDone, rlp: bytes | None, now: Now
    ) -> None:
        if rlp is None:
            done(None, NoResponse("the node did not answer"), now)
            return
        try:
            found = read_record(node, ip, rlp, self._own)
        except (InvalidNode, PacketError) as error:
            done(None, PacketError("record", f"invalid ENR response: {error}"), now)
        else:
            done(found, None, now)


def _pinged(done: PingDone, pong: Pong | None, now: Now) -> None:
    if pong is None:
        done(None, NoResponse("no answer to the ping"), now)
    else:
        done(pong.enr_seq, None, now)


def _found(done: FindDone, nodes: Sequence[NeighborNode] | None, now: Now) -> None:
    if nodes is None:
        done(None, NoResponse("no answer to the findnode"), now)
    else:
        done([_neighbor(node) for node in nodes], None, now)


def _neighbor(node: NeighborNode) -> Neighbor:
    ip, udp, tcp, key = node
    return Neighbor(NodeID(keccak256(key)), ip, udp, tcp, key)


def _no_endpoint() -> NoEndpoint:
    return NoEndpoint("no UDP endpoint of the node is known")
