"""The interface of the owner of sessions, as a session uses it; all calls on ``p2p-io``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from p2p.peers.peer import Peer

if TYPE_CHECKING:
    from p2p.peers.session import Session


class SessionOwner(Protocol):
    """Interface of the owner, which decides about sessions; all calls on ``p2p-io``.

    The first two calls need a decision, at once or later: ``session.go_on()`` or
    ``session.end_locally(reason)``, with ``session.hold_handshake()`` before a later one.
    """

    def identity_known(self, session: Session) -> None:
        """Decide: the remote has named its key, without proof yet. The next step is our hello."""

    def hello_received(self, session: Session) -> None:
        """Decide: the remote's hello has proven its key. The next step opens the session."""

    def message_waiting(self, session: Session) -> None:
        """Note a message on a session that is held after the remote's hello."""

    def session_opened(self, session: Session) -> Peer:
        """Make and return the peer, and start its handlers: the handshake is complete."""

    def session_closing(self, session: Session) -> None:
        """Note that the session is about to end; called once."""

    def socket_closed(self, session: Session) -> None:
        """Note that the socket is closed; handlers may still run. Called once."""

    def session_ended(self, session: Session) -> None:
        """Note that the socket is closed and all handlers have returned; called once, last."""
