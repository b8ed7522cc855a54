"""The interface between the shared part of discovery and the packets of one protocol.

Pure. Lookups, maintenance and commands know no packets. They send requests through a
:class:`Transport`, and each protocol has its own, such as :mod:`p2p.discover.v4.transport`.
``docs/design/discovery-seam.md`` has the reason for exactly these three methods.

Each request calls ``done(result, error, now)`` once, perhaps before the method returns: with the
result, or with None and an error. The errors are NoEndpoint for a node without a UDP endpoint,
NoResponse for a node that does not answer, PacketError for an invalid answer. The transport
repeats lost packets, makes handshakes and endpoint proofs, and matches answers with requests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, TypeAlias

from p2p.crypto import Entropy, keccak256
from p2p.enode.node import Node
from p2p.enode.nodeid import NodeID
from p2p.errors import LocalProtocolError, P2PError
from p2p.inputs import Now
from p2p.netutil import IPAddress

#: Size of a public key, in bytes.
KEY_SIZE = 64


class Target(NamedTuple):
    """The target of a lookup: an ID, and the public key that hashes to it.

    Discovery v4 queries by the key. For a protocol that queries by the ID, ``key`` may be empty.
    """

    id: NodeID
    key: bytes = b""

    @classmethod
    def of_key(cls, key: bytes) -> Target:
        """Return the target of a public key, or of any other 64 bytes.

        Raises LocalProtocolError for any other length.
        """
        if len(key) != KEY_SIZE:
            raise LocalProtocolError(f"a target has {KEY_SIZE} bytes, not {len(key)}")
        return cls(NodeID(keccak256(key)), key)

    @classmethod
    def random(cls, entropy: Entropy) -> Target:
        """Return a random target."""
        return cls.of_key(entropy(KEY_SIZE))


class Neighbor(NamedTuple):
    """A node as another node describes it. Nothing is proven; the key may not be on the curve.

    ``node`` is the node of a signed record; without it, ``key`` is the public key (64 bytes).
    """

    id: NodeID
    ip: IPAddress | None
    udp: int
    tcp: int
    key: bytes = b""
    node: Node | None = None


#: Callback with the sequence number of the node's record, None if it names none.
PingDone: TypeAlias = Callable[[int | None, P2PError | None, Now], None]
#: Callback with the nodes of an answer.
FindDone: TypeAlias = Callable[[Sequence[Neighbor] | None, P2PError | None, Now], None]
#: Callback with the node that a record describes.
RecordDone: TypeAlias = Callable[[Node | None, P2PError | None, Now], None]


class Transport(Protocol):
    """Requests to other nodes, in one protocol."""

    def ping(self, node: Node, done: PingDone, now: Now) -> None:
        """Ping a node. Whether a lost ping is repeated is the transport's affair."""

    def find_nodes(self, node: Node, target: Target, done: FindDone, now: Now) -> None:
        """Ask a node for the nodes near ``target`` that it knows."""

    def request_record(self, node: Node, done: RecordDone, now: Now) -> None:
        """Ask a node for its record, and check that it is the node's own.

        If its endpoint is refused, the endpoint of ``node`` stays; if the record is older than that
        of ``node``, the result is ``node`` itself (:mod:`p2p.discover.records`).
        """
