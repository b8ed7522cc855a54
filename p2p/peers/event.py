"""Events of peers, for subscribers of the server's feed (:mod:`p2p.feed`). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from p2p.netutil import Endpoint

PeerEventType = Literal["add", "drop", "msgsend", "msgrecv"]


@dataclass(frozen=True, slots=True)
class PeerEvent:
    """An event of a peer: it was added or dropped, or a message was sent or received.

    ``type`` is "add", "drop", "msgsend" or "msgrecv"; ``peer`` the 32-byte node ID. ``error`` is
    the cause of a drop: the reason, and the side that gave it or the error behind it, with the
    line of the program if that was a handler's. ``protocol``, ``msg_code`` and ``msg_size`` (bytes
    of the payload) are set for messages. ``local`` and ``remote`` are the ends of the connection.
    """

    type: PeerEventType
    peer: bytes
    error: str = ""
    protocol: str = ""
    msg_code: int | None = None
    msg_size: int | None = None
    local: Endpoint | None = None
    remote: Endpoint | None = None

    def to_json(self) -> dict[str, str | int]:
        """Return the event under the keys of go-ethereum, without empty values.

        A message code of 0 is not empty: it is a code like any other.
        """
        event: dict[str, str | int] = {"type": self.type, "peer": self.peer.hex()}
        optional = {
            "error": self.error or None,
            "protocol": self.protocol or None,
            "msg_code": self.msg_code,
            "msg_size": self.msg_size,
            "local": self.local and str(self.local),
            "remote": self.remote and str(self.remote),
        }
        event.update({key: value for key, value in optional.items() if value is not None})
        return event
