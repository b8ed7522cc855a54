"""Finding nodes: discovery v4, from its wire format to the engine that speaks it.

Pure, as far as it stands here: bytes and :class:`Now` go in, packets and bytes come out. The
functions that read and write datagrams are named after what they do in each wire format, so they
stay in their module: ``v4wire.decode``.
"""

from __future__ import annotations

from p2p.discover.engine import Engine
from p2p.discover.event import Counters, Event, ManyTimeouts, NodeAdded, NodeRemoved, OperationDone
from p2p.discover.limits import Limits
from p2p.discover.local import FixedLocal, LocalView
from p2p.discover.now import Now
from p2p.discover.store import MemoryStore, NodeStore
from p2p.discover.v4wire import (
    MAX_NEIGHBORS,
    MAX_PACKET_SIZE,
    Endpoint,
    ENRRequest,
    ENRResponse,
    FindNode,
    NeighborNode,
    Neighbors,
    Packet,
    PacketType,
    Ping,
    Pong,
    Received,
)

__all__ = [
    "Counters",
    "ENRRequest",
    "ENRResponse",
    "Endpoint",
    "Engine",
    "Event",
    "FindNode",
    "FixedLocal",
    "Limits",
    "LocalView",
    "MAX_NEIGHBORS",
    "MAX_PACKET_SIZE",
    "ManyTimeouts",
    "MemoryStore",
    "NeighborNode",
    "Neighbors",
    "NodeAdded",
    "NodeRemoved",
    "NodeStore",
    "Now",
    "OperationDone",
    "Packet",
    "PacketType",
    "Ping",
    "Pong",
    "Received",
]
