"""What a connection machine reports.

Pure data. ``IdentityKnown`` and ``HelloReceived`` pause the machine: it reads nothing more until it
is told to go on. ``DisconnectReceived`` and ``ConnectionFailed`` are the last event of a machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from p2p.crypto import PublicKey
from p2p.errors import DiscReason, P2PError
from p2p.rlpx.base import Hello
from p2p.rlpx.capability import SharedCap


@dataclass(frozen=True)
class IdentityKnown:
    """The secrets are agreed, and the remote says that it holds this key.

    An auth or ack in anybody's name can be made by everybody. Only who holds the key knows the
    secrets, too, so the proof is the first frame with a good MAC: the hello.
    """

    public_key: PublicKey


@dataclass(frozen=True)
class HelloReceived:
    """The remote's hello, which proves its key, and the capabilities that both ends have."""

    hello: Hello
    shared: Sequence[SharedCap]


@dataclass(frozen=True)
class MessagesReceived:
    """A run of messages of one capability, in order.

    Each is (code counted from the capability's offset, payload, time of arrival).
    """

    capability: int
    messages: list[tuple[int, bytes, float]]


@dataclass(frozen=True)
class DisconnectReceived:
    """The remote ends the connection."""

    reason: DiscReason


@dataclass(frozen=True)
class ConnectionFailed:
    """The connection is of no more use; ``error.disc_reason`` is what the remote was told."""

    error: P2PError


Event = IdentityKnown | HelloReceived | MessagesReceived | DisconnectReceived | ConnectionFailed
