"""The end of a handler, its effect on the connection, and the log lines about both.

An error ends the connection with its own reason if this peer is responsible for it: the error came
from the connection (its read-writer, a message received from it), or the program raised it. Any
other error, such as an unanswered ping or the end of another peer, is a failure of the handler.

Log lines that a remote can cause are limited in number (:mod:`p2p.loglimit`); lines beyond the
limit are logged at DEBUG. Any thread may use this module.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from p2p.clock import Clock
from p2p.errors import (
    Disconnect,
    DiscReason,
    InvalidMessageCode,
    P2PError,
    PeerDisconnected,
    RemoteProtocolError,
    Timeout,
    UnexpectedMessage,
)
from p2p.loglimit import LogLimit, log_limited
from p2p.netutil import printable
from p2p.peers.peer import Peer, ProtocolReadWriter
from p2p.usercode import is_raised_by_library, where_raised

#: Errors caused by a remote that breaks the protocol or does not answer.
_CAUSED_BY_REMOTE = (RemoteProtocolError, UnexpectedMessage, Timeout)

#: Characters of a handler's error shown in logs and events: its text may contain remote data.
ERROR_LENGTH = 255

#: Reasons given by a remote that may mean a mistake in this program, with the level and the text of
#: the line. Nodes of public networks give SUBPROTOCOL_ERROR for any small difference.
_COMPLAINTS = {
    DiscReason.PROTOCOL_ERROR: (logging.WARNING, "it did not accept a message of ours"),
    DiscReason.SUBPROTOCOL_ERROR: (logging.INFO, "its handler has failed, or has ended"),
}


@dataclass(frozen=True)
class HandlerEnd:
    """The end of a handler.

    ``reason`` is that of the connection's end. ``text`` describes the error, with the message code
    and the line of the program; it is empty without an error. ``level`` is the level of the log
    line, NOTSET for none.
    """

    reason: DiscReason
    text: str = ""
    level: int = logging.NOTSET


def end_by(error: BaseException, rw: ProtocolReadWriter) -> HandlerEnd:
    """Return the end of a handler that raised ``error``; call it in the ``except`` block."""
    if not answers_for(error, rw):
        return HandlerEnd(DiscReason.SUBPROTOCOL_ERROR, _text(error, rw), logging.ERROR)
    reason = _carried_reason(error)
    if isinstance(error, PeerDisconnected) and rw.is_closed:
        return HandlerEnd(reason)  # the usual end of a handler that runs as long as its connection
    if isinstance(error, Disconnect):
        level = logging.DEBUG
    else:
        level = logging.WARNING if isinstance(error, _CAUSED_BY_REMOTE) else logging.ERROR
    return HandlerEnd(reason, _text(error, rw), level)


def answers_for(error: BaseException, rw: ProtocolReadWriter) -> bool:
    """Whether the peer of ``rw`` is responsible for an error that its handler raised."""
    if isinstance(error, P2PError) and error.connection_id is not None:
        return error.connection_id == rw.connection_id
    return not is_raised_by_library(error)


def _carried_reason(error: BaseException) -> DiscReason:
    """Return the reason an exception carries; a program may give one to its own exceptions."""
    try:
        carried: Any = getattr(error, "disc_reason", None)
        return DiscReason(carried)
    except Exception:  # no number, or a property that fails: the error is the program's code
        return DiscReason.SUBPROTOCOL_ERROR


def _text(error: BaseException, rw: ProtocolReadWriter) -> str:
    shown = type(error).__name__
    if isinstance(error, P2PError) and error.msg_code is not None:
        shown += f" in message {error.msg_code}"
    try:
        shown += f": {error}"
    except Exception:  # as above
        shown += ": its text cannot be made"
    shown = printable(shown, ERROR_LENGTH)
    return f"handler of {rw.protocol.cap} was ended by {shown} (at {where_raised(error)})"


class EndLog:
    """Writer of the log lines about ends, for one server. Any thread may use it."""

    def __init__(self, clock: Clock) -> None:
        # fixed after __init__
        self._failures = LogLimit(clock)
        self._breaches = LogLimit(clock)
        self._complaints = LogLimit(clock)

    def handler_ended(
        self, peer: Peer, rw: ProtocolReadWriter, end: HandlerEnd, error: BaseException
    ) -> None:
        """Log the end of a handler by ``error``.

        Only a failure of the program is logged with its traceback: the causes of other errors may
        contain remote data.
        """
        kind = (rw.protocol.cap, type(error).__name__)
        if end.level == logging.ERROR:
            left_out = self._failures.admit(kind, peer.connection_id)
            text = "handler of %s failed"
            log_limited(peer.log, logging.ERROR, left_out, text, rw.protocol.cap, error=error)
        elif end.level == logging.WARNING:
            left_out = self._breaches.admit(kind, peer.id)
            log_limited(peer.log, logging.WARNING, left_out, "%s", end.text)
        elif end.level == logging.DEBUG:
            peer.log.debug("%s", end.text)

    def peer_left(
        self, peer: Peer, reason: DiscReason, by_remote: bool, cause: BaseException | None
    ) -> None:
        """Log the end of a peer if it may mean a mistake in our program or in the peer's."""
        if by_remote and reason in _COMPLAINTS:
            level, meaning = _COMPLAINTS[reason]
            if peer.log.isEnabledFor(level):
                left_out = self._complaints.admit(int(reason), peer.id)
                text = "remote left after %.1f s: %s; %s"
                log_limited(peer.log, level, left_out, text, peer.lifetime, reason, meaning)
        elif isinstance(cause, InvalidMessageCode):
            left_out = self._breaches.admit("code", peer.id)
            text = "%s: %s; the length of a protocol may differ"
            log_limited(peer.log, logging.WARNING, left_out, text, reason, cause)
