"""RLPx, the encrypted transport of devp2p (rlpx.md), as a machine without I/O.

Pure: bytes and ``now`` go in, events and bytes come out. :class:`Connection` combines the key
exchange (``keyexchange``, with the packets of ``handshake``), frames (``frame``), compression
(``snappy``), the base protocol's messages (``messages``) and the sharing of message codes among
protocols (``capability``). An observer (``observer``) may follow everything.
"""

from __future__ import annotations

from p2p.rlpx.capability import BASE_LENGTH, Cap, SharedCap, match
from p2p.rlpx.connection import Connection
from p2p.rlpx.event import (
    ConnectionFailed,
    DisconnectReceived,
    Event,
    HelloReceived,
    IdentityKnown,
    MessagesReceived,
    MessageWaiting,
)
from p2p.rlpx.frame import MAX_MESSAGE_SIZE
from p2p.rlpx.messages import Hello
from p2p.rlpx.observer import ConnectionObserver
from p2p.rlpx.snappy import check_fits
from p2p.rlpx.state import State

__all__ = [
    "BASE_LENGTH",
    "MAX_MESSAGE_SIZE",
    "Cap",
    "Connection",
    "ConnectionFailed",
    "ConnectionObserver",
    "DisconnectReceived",
    "Event",
    "Hello",
    "HelloReceived",
    "IdentityKnown",
    "MessageWaiting",
    "MessagesReceived",
    "SharedCap",
    "State",
    "check_fits",
    "match",
]
