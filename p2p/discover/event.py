"""What the engine tells its owner, and what it counts.

Pure values. Events come out of ``Engine.poll_events``; the counters are read, never reset.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TypeAlias

from p2p.discover.v4wire import PacketType
from p2p.enode.node import Node
from p2p.errors import P2PError

#: What a command comes to: a record's sequence number or None of a ping, the nodes of a lookup,
#: the node of an ENR request or of a resolve.
Result: TypeAlias = int | list[Node] | Node | None


@dataclass(frozen=True, slots=True)
class OperationDone:
    """A command has ended. ``result`` is None when ``error`` is set."""

    operation: int
    result: Result = None
    error: P2PError | None = None


@dataclass(frozen=True, slots=True)
class NodeAdded:
    """A node has come into a bucket of the table."""

    node: Node


@dataclass(frozen=True, slots=True)
class NodeRemoved:
    """A node has left its bucket."""

    node: Node


@dataclass(frozen=True, slots=True)
class ManyTimeouts:
    """``count`` requests in a row were left unanswered: perhaps our clock is wrong."""

    count: int


Event: TypeAlias = OperationDone | NodeAdded | NodeRemoved | ManyTimeouts


@dataclass(slots=True)
class Counters:
    """What has passed through an engine since it was made.

    Packets are counted by type, what was dropped by its reason. ``unproven_bytes_in`` came from
    nodes that had not proved their address, ``unproven_bytes_out`` went there in answer to it.
    Packets that we send of our own accord to an address nobody has proved yet, such as the ping to
    a node we have just heard of, are in ``uninvited_bytes_out``.
    """

    packets_in: Counter[PacketType] = field(default_factory=Counter)
    bytes_in: Counter[PacketType] = field(default_factory=Counter)
    packets_out: Counter[PacketType] = field(default_factory=Counter)
    bytes_out: Counter[PacketType] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    unproven_bytes_in: int = 0
    unproven_bytes_out: int = 0
    uninvited_bytes_out: int = 0
    timeouts: int = 0
