"""Phases of a session, the transitions between them, and the end of a session.

Pure data. :meth:`Session._enter` is the only place that changes a phase, and it enforces the table.
A test compares this drawing with the table::

    phase        leaves by                                            for
    HANDSHAKE    both hellos accepted                                 OPEN
    HANDSHAKE    refusal, Disconnect received, failure, end of data   CLOSING
    OPEN         disconnect(): what was written goes out first        FLUSHING
    OPEN         Disconnect received, failure, end of data            CLOSING
    FLUSHING     all is in the kernel, or the remote is gone          CLOSING
    any          the socket is closed                                 CLOSED

A CLOSED session is no peer any more. It has ended for its owner when the handlers of its peer have
also returned.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from p2p.errors import DiscReason, P2PError, PeerDisconnected
from p2p.rlpx.state import State


class Phase(Enum):
    """Phase of a session; see the table at the head of the module."""

    HANDSHAKE = "handshake"
    OPEN = "open"
    FLUSHING = "flushing"
    CLOSING = "closing"
    CLOSED = "closed"


#: The phases that may follow each; a session begins in the first.
TRANSITIONS: dict[Phase, set[Phase]] = {
    Phase.HANDSHAKE: {Phase.OPEN, Phase.CLOSING, Phase.CLOSED},
    Phase.OPEN: {Phase.FLUSHING, Phase.CLOSING, Phase.CLOSED},
    Phase.FLUSHING: {Phase.CLOSING, Phase.CLOSED},
    Phase.CLOSING: {Phase.CLOSED},
    Phase.CLOSED: set(),
}


@dataclass(frozen=True)
class Ending:
    """The end of a session.

    ``reason`` is the reason, and ``by_remote`` is true if the remote gave it. ``state`` is the last
    state of the connection before its end, ``cause`` the error behind it, ``detail`` the text about
    a handler that ended it by an error.
    """

    reason: DiscReason
    by_remote: bool
    state: State
    cause: P2PError | OSError | None = None
    detail: str = ""

    def error(self) -> PeerDisconnected:
        """Return a new copy of the error that reading and writing raise."""
        detail = self.cause or self.detail
        text = f"{self.reason}: {detail}" if detail else ""
        error = PeerDisconnected(self.reason, self.by_remote, text)
        error.__cause__ = self.cause
        return error

    def __str__(self) -> str:
        return str(self.error())
