"""Connection collision: two nodes that dial each other at the same time.

Two connections are in their handshake then, and one of them must stay. RLPx has no rule for that.
go-ethereum makes a peer of the connection on which it gets the remote's hello first and refuses the
other; the two ends can choose differently, and then both connections are lost. So each end holds
one step of the handshake back, by the order of the node IDs:

::

    our ID     held back                                            until
    greater    our hello, while our hello is out on another         the other has failed
    smaller    the opening of a connection, while our hello is      the others have failed, or a
               out on another                                       message arrives on this one

The greater node chooses: the remote can only take the connection that has our hello, whatever its
own rule is. The smaller node follows: it sends each hello at once and waits for the remote's
Disconnect on all connections but one. Any remote can claim any ID up to the hello, so nothing is
held for more than ``HOLD_S``. Reasons and figures: ``docs/design/connection-collision.md``.

Pure; the peer set owns it. BGP calls the problem by this name (RFC 4271, section 6.8).
"""

from __future__ import annotations

from typing import Generic, TypeVar

#: Longest hold of a connection, in seconds. Longer than a round trip on Earth, and short enough
#: within the 5 s of a handshake for the connection to succeed after a needless hold.
HOLD_S = 1.0

C = TypeVar("C")


class Collisions(Generic[C]):
    """The connections in their handshake, by node ID. ``C`` is any hashable connection."""

    def __init__(self, self_id: bytes) -> None:
        self._self_id = self_id
        # by node: the connections on which our hello is out, and those that are held, each with
        # whether it is inbound; only a connection of the other direction can collide with it
        self._greeted: dict[bytes, dict[C, bool]] = {}
        self._held: dict[bytes, dict[C, bool]] = {}

    def must_wait(self, node_id: bytes, connection: C, inbound: bool) -> bool:
        """Return whether to hold ``connection`` at the pause that it has reached.

        The first call for a connection is for the pause before our hello, the second for the pause
        before its opening.
        """
        greeted = self._greeted.setdefault(node_id, {})
        is_first_pause = connection not in greeted
        holds_here = is_first_pause == (self._self_id > node_id)
        if holds_here and (not inbound) in greeted.values():
            self._held.setdefault(node_id, {})[connection] = inbound
            return True
        greeted[connection] = inbound
        return False

    def release(self, node_id: bytes, connection: C) -> bool:
        """End the hold of ``connection``; return whether it was held."""
        held = self._held.get(node_id, {})
        if connection not in held:
            return False
        self._greeted.setdefault(node_id, {})[connection] = held.pop(connection)
        return True

    def settled(self, node_id: bytes, connection: C) -> C | None:
        """Remove ``connection``: it is open or closed. Return a connection that this releases."""
        greeted = self._greeted.get(node_id, {})
        held = self._held.get(node_id, {})
        greeted.pop(connection, None)
        held.pop(connection, None)
        for other, inbound in held.items():
            if (not inbound) not in greeted.values():
                self.release(node_id, other)
                return other
        if not greeted:
            self._greeted.pop(node_id, None)
            self._held.pop(node_id, None)
        return None

    def of(self, node_id: bytes) -> list[C]:
        """Return the connections of a node on which our hello is out or held."""
        return list({**self._greeted.get(node_id, {}), **self._held.get(node_id, {})})
