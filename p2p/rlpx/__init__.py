"""RLPx, the encrypted transport of devp2p (rlpx.md), as a machine without I/O.

Pure: bytes and ``now`` go in, events and bytes come out. :class:`Connection` ties together the
handshake (``handshake``), frames (``frame``), compression (``snappy``), the base protocol's
messages (``base``) and the sharing of message codes among protocols (``capability``).
"""

from __future__ import annotations

from p2p.rlpx.base import Hello
from p2p.rlpx.capability import BASE_LENGTH, Cap, SharedCap, match
from p2p.rlpx.connection import Connection, State
from p2p.rlpx.event import (
    ConnectionFailed,
    DisconnectReceived,
    Event,
    HelloReceived,
    IdentityKnown,
    MessagesReceived,
)
from p2p.rlpx.frame import MAX_MESSAGE_SIZE
from p2p.rlpx.snappy import check_fits

__all__ = [
    "BASE_LENGTH",
    "MAX_MESSAGE_SIZE",
    "Cap",
    "Connection",
    "ConnectionFailed",
    "DisconnectReceived",
    "Event",
    "Hello",
    "HelloReceived",
    "IdentityKnown",
    "MessagesReceived",
    "SharedCap",
    "State",
    "check_fits",
    "match",
]
