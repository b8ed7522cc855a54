"""Events of an engine for its owner.

Pure values, returned by ``Engine.poll_events``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from p2p.enode.node import Node
from p2p.enode.nodeid import NodeID
from p2p.errors import P2PError
from p2p.netutil import Endpoint

#: Result of a command: for a ping the record's sequence number or None, for a lookup the nodes, for
#: an ENR request or a resolve the node, for a talk request the response.
Result: TypeAlias = int | list[Node] | Node | bytes | None


@dataclass(frozen=True, slots=True)
class OperationDone:
    """The end of a command. ``result`` is None if ``error`` is set."""

    operation: int
    result: Result = None
    error: P2PError | None = None


@dataclass(frozen=True, slots=True)
class NodeAdded:
    """The addition of a node to a bucket of the table."""

    node: Node


@dataclass(frozen=True, slots=True)
class NodeRemoved:
    """The removal of a node from its bucket."""

    node: Node


@dataclass(frozen=True, slots=True)
class ManyTimeouts:
    """``count`` requests in a row without an answer; perhaps our clock is wrong."""

    count: int


@dataclass(frozen=True, slots=True)
class BootnodeSilent:
    """A bootnode that does not answer; ``pings`` were lost in a row."""

    node: Node
    pings: int


@dataclass(frozen=True, slots=True)
class BootnodeLeftOut:
    """A bootnode that cannot be asked for ``reason``, such as its address."""

    node: Node
    reason: str


@dataclass(frozen=True, slots=True)
class NameWanted:
    """A host name of a bootnode to look up.

    The owner passes the outcome to ``receive_addresses`` or ``receive_no_address`` of the engine.
    """

    name: str


@dataclass(frozen=True, slots=True)
class ClockAhead:
    """Our wall clock is ahead of other clocks by ``seconds``.

    ``votes`` is the number of networks and bootnodes that agree on it; ``bootnodes`` are the
    bootnodes among them.
    """

    seconds: float
    votes: int
    bootnodes: tuple[NodeID, ...]


@dataclass(frozen=True, slots=True)
class TalkReceived:
    """A node at ``address`` sends a request of an application's ``protocol`` (discovery v5)."""

    node_id: NodeID
    address: Endpoint
    request_id: bytes
    protocol: bytes
    request: bytes


Event: TypeAlias = (
    OperationDone
    | NodeAdded
    | NodeRemoved
    | ManyTimeouts
    | BootnodeSilent
    | BootnodeLeftOut
    | NameWanted
    | ClockAhead
    | TalkReceived
)
