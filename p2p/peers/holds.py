"""Sessions held in their handshake while another handshake with the same node is under way.

:mod:`p2p.peers.collision` has the rule; this module has the timers, and the dials that a remote
refused in favor of its own connection. Owned by ``p2p-io``.
"""

from __future__ import annotations

from collections.abc import Callable

from p2p.enode import NodeID
from p2p.errors import DiscReason
from p2p.net import Loop, Timer
from p2p.peers.collision import HOLD_S, Collisions
from p2p.peers.session import Session


class Holds:
    """Holds sessions in a collision, and calls ``go_on`` with each when its hold has ended."""

    def __init__(self, self_id: NodeID, loop: Loop, go_on: Callable[[Session], None]) -> None:
        # fixed after __init__
        self._loop = loop
        self._go_on = go_on
        # owned by p2p-io
        self._collisions: Collisions[Session] = Collisions(self_id)
        self._timers: dict[Session, Timer] = {}
        self._deferred: dict[NodeID, list[Callable[[], None]]] = {}

    def __len__(self) -> int:
        """Number of sessions that are held."""
        return len(self._timers)

    def hold(self, session: Session) -> bool:
        """Hold the session at its pause if it must wait; return whether it must."""
        if not self._collisions.must_wait(_node_id(session), session, session.inbound):
            return False
        self._timers[session] = self._loop.call_later(HOLD_S, self.release, session)
        session.hold_handshake()
        return True

    def release(self, session: Session) -> None:
        """End the hold of a session, if it is held."""
        if self._collisions.release(_node_id(session), session):
            self._end_hold(session)

    def settled(self, session: Session) -> None:
        """Note the end of a handshake: end the others with the node, or release one of them."""
        node_id = _node_id(session)
        timer = self._timers.pop(session, None)
        if timer is not None:
            timer.cancel()
        freed = self._collisions.settled(node_id, session)
        if freed is not None:  # posted, not called: hundreds may be released one by another
            self._loop.post(self._end_hold, freed)
        if session.peer is not None:
            for other in self._collisions.of(node_id):
                other.end_locally(DiscReason.ALREADY_CONNECTED)
        if not self._collisions.of(node_id):
            self._run_deferred(node_id)

    def has_handshake(self, node_id: NodeID) -> bool:
        """Whether a handshake with the node is under way."""
        return bool(self._collisions.of(node_id))

    def defer(self, node_id: NodeID, callback: Callable[[], None]) -> None:
        """Call ``callback`` when no handshake with the node is under way, or after ``HOLD_S``."""
        self._deferred.setdefault(node_id, []).append(callback)
        self._loop.call_later(HOLD_S, self._run_deferred, node_id)

    def _end_hold(self, session: Session) -> None:
        timer = self._timers.pop(session, None)
        if timer is not None:  # or it has ended meanwhile
            timer.cancel()
            self._go_on(session)

    def _run_deferred(self, node_id: NodeID) -> None:
        for callback in self._deferred.pop(node_id, ()):
            callback()


def _node_id(session: Session) -> NodeID:
    assert session.node is not None
    return session.node.id
