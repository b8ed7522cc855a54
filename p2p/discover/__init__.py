"""Finding nodes: the wire format of discovery v4 and what is built on it.

Pure, as far as it stands here: bytes and :class:`Now` go in, packets and bytes come out. The
functions that read and write datagrams are named after what they do in each wire format, so they
stay in their module: ``v4wire.decode``.
"""

from __future__ import annotations

from p2p.discover.now import Now
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
    "MAX_NEIGHBORS",
    "MAX_PACKET_SIZE",
    "ENRRequest",
    "ENRResponse",
    "Endpoint",
    "FindNode",
    "NeighborNode",
    "Neighbors",
    "Now",
    "Packet",
    "PacketType",
    "Ping",
    "Pong",
    "Received",
]
