"""Events of a decoded capture. Pure data.

Times are wall-clock seconds, as in the capture; ``connection`` numbers the RLPx connections of a
capture from 1. Texts and values are of a remote: escape what is shown.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from p2p.enode.nodeid import NodeID
from p2p.netutil import Endpoint
from p2p.rlpx.capability import Cap


@dataclass(frozen=True, slots=True)
class ConnectionSeen:
    """An RLPx connection. ``source`` has dialed, or has sent the first packet of the capture.

    ``has_keys`` is False if the key log has no secrets of it: nothing of it can be read.
    ``from_start`` is False if its handshake is not in the capture: until it has ended, its messages
    are taken for compressed, and their protocols for the given ones.
    """

    time: float
    connection: int
    source: Endpoint
    destination: Endpoint
    has_keys: bool
    from_start: bool


@dataclass(frozen=True, slots=True)
class MessageSeen:
    """A message. ``cap`` is None for the base protocol, and for codes of an unknown protocol.

    ``code`` is counted within the protocol, ``wire_code`` is that of the frame; ``name`` is that of
    the message, or its code. ``value`` is the message as its protocol decodes it, None if there is
    no decoder; ``error`` says why a message could not be read. ``size`` are its bytes on the wire.
    ``is_authentic`` tells whether its MACs fit, None if they cannot be checked, as after a gap.
    """

    time: float
    connection: int
    source: Endpoint
    destination: Endpoint
    cap: Cap | None
    code: int
    wire_code: int
    name: str
    payload: bytes = field(repr=False)
    value: object
    error: str
    size: int
    is_authentic: bool | None


@dataclass(frozen=True, slots=True)
class MessagesLost:
    """Messages that cannot be read, since the capture has a gap; those after it can be again.

    ``size`` is the number of bytes in all, ``count`` that of the messages, None if unknown. If the
    capture begins within the connection, ``size`` has only what is captured, perhaps nothing.
    """

    time: float
    connection: int
    source: Endpoint
    destination: Endpoint
    size: int
    count: int | None


@dataclass(frozen=True, slots=True)
class ConnectionEnded:
    """The end of a connection: ``how`` is "FIN" (both ends) or "RST"; ``source`` sent it."""

    time: float
    connection: int
    source: Endpoint
    destination: Endpoint
    how: str


@dataclass(frozen=True, slots=True)
class PacketSeen:
    """A packet of discovery. ``protocol`` is "v4" or "v5", ``kind`` the name of its type.

    ``sender`` is the node that has signed it (v4) or that it names (v5), None for a WHOAREYOU.
    ``packet`` is the decoded packet, None if it cannot be read, for the reason in ``error``.
    """

    time: float
    source: Endpoint
    destination: Endpoint
    protocol: str
    kind: str
    sender: NodeID | None
    packet: object
    error: str
    size: int


@dataclass(frozen=True, slots=True)
class Remark:
    """Something about the capture itself, such as an end in the middle of a packet."""

    time: float
    text: str


Event: TypeAlias = (
    ConnectionSeen | MessageSeen | MessagesLost | ConnectionEnded | PacketSeen | Remark
)
