"""Reasons for the end of a connection, as sent in Disconnect (RLPx, "Disconnect (0x01)").

Pure; any module may import it. Programs import :class:`DiscReason` from ``p2p`` or ``p2p.errors``.
"""

from __future__ import annotations

from enum import IntEnum


class DiscReason(IntEnum):
    """Reason for the end of a connection, as sent in Disconnect (RLPx, "Disconnect (0x01)").

    Numbers outside the specification are kept: ``DiscReason(0x42)`` is a member named
    ``UNKNOWN_66``.
    """

    REQUESTED = 0x00
    NETWORK_ERROR = 0x01
    PROTOCOL_ERROR = 0x02
    USELESS_PEER = 0x03
    TOO_MANY_PEERS = 0x04
    ALREADY_CONNECTED = 0x05
    INCOMPATIBLE_VERSION = 0x06
    INVALID_IDENTITY = 0x07
    QUITTING = 0x08
    UNEXPECTED_IDENTITY = 0x09
    SELF = 0x0A
    READ_TIMEOUT = 0x0B
    SUBPROTOCOL_ERROR = 0x10
    #: Stands for a Disconnect that cannot be decoded. Never sent.
    INVALID = 0xFF

    @classmethod
    def _missing_(cls, value: object) -> DiscReason | None:
        if not isinstance(value, int) or value < 0:
            return None
        unknown = int.__new__(cls, value)
        unknown._name_ = f"UNKNOWN_{value}"
        unknown._value_ = value
        return unknown

    def __str__(self) -> str:
        """Return the text of the reason, as go-ethereum has it."""
        return _REASON_TEXT.get(int(self)) or f"unknown disconnect reason {int(self)}"


_REASON_TEXT = {
    0x00: "disconnect requested",
    0x01: "network error",
    0x02: "breach of protocol",
    0x03: "useless peer",
    0x04: "too many peers",
    0x05: "already connected",
    0x06: "incompatible p2p protocol version",
    0x07: "invalid node identity",
    0x08: "client quitting",
    0x09: "unexpected identity",
    0x0A: "connected to self",
    0x0B: "read timeout",
    0x10: "subprotocol error",
    0xFF: "invalid disconnect reason",
}
