"""Events that a connection machine reports.

Pure data. ``IdentityKnown`` and ``HelloReceived`` pause the machine: it reads nothing more until
the caller accepts. ``DisconnectReceived`` and ``ConnectionFailed`` are the last event of a machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from p2p.crypto import PublicKey
from p2p.errors import DiscReason, P2PError
from p2p.rlpx.capability import SharedCap
from p2p.rlpx.messages import Hello


@dataclass(frozen=True, slots=True)
class IdentityKnown:
    """The secrets are agreed, and the remote claims to have this key.

    Anyone can make an auth or ack in the name of any key. Only the owner of the key gets the same
    secrets, so the proof is the first frame with a valid MAC: the hello.
    """

    public_key: PublicKey


@dataclass(frozen=True, slots=True)
class HelloReceived:
    """The remote's hello, which proves its key, and the capabilities that both ends have."""

    hello: Hello
    shared: Sequence[SharedCap]


@dataclass(frozen=True, slots=True)
class MessageWaiting:
    """A frame other than a Disconnect has arrived after a hello that is not accepted yet.

    The remote considers the connection open.
    """


@dataclass(frozen=True, slots=True)
class MessagesReceived:
    """A run of messages of one capability, in order.

    ``capability`` is the index in the shared capabilities. A message is (code counted from the
    capability's offset, payload, time of arrival in seconds).
    """

    capability: int
    messages: list[tuple[int, bytes, float]]


@dataclass(frozen=True, slots=True)
class DisconnectReceived:
    """The remote has ended the connection."""

    reason: DiscReason


@dataclass(frozen=True, slots=True)
class ConnectionFailed:
    """The connection has failed; ``error.disc_reason`` is the reason sent to the remote."""

    error: P2PError


Event = (
    IdentityKnown
    | HelloReceived
    | MessageWaiting
    | MessagesReceived
    | DisconnectReceived
    | ConnectionFailed
)
