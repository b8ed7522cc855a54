"""How long discovery is left alone about a node that it did not find.

Pure; owned by whoever dials. ``now`` is in monotonic seconds.
"""

from __future__ import annotations

#: How long discovery is not asked again for a node that it did not find, at first and at most.
INITIAL_RESOLVE_DELAY_S = 60.0
MAX_RESOLVE_DELAY_S = 3600.0


class ResolveBackoff:
    """When the network may be asked again where a node is.

    A minute after it was found, or the first time it was not; after that, twice as long after each
    time in vain, at most an hour.
    """

    def __init__(self) -> None:
        self._next: dict[bytes, tuple[float, float]] = {}  # ID -> (when, delay after that)

    def may_ask(self, node_id: bytes, now: float) -> bool:
        """Whether it is time to ask for the node."""
        return now >= self._next.get(node_id, (now, 0.0))[0]

    def asked(self, node_id: bytes, found: bool, now: float) -> None:
        """The network was asked, and has found the node or has not."""
        delay = self._next.get(node_id, (now, INITIAL_RESOLVE_DELAY_S))[1]
        if found:
            # Not at once again: perhaps it is still where it was, and just does not take us.
            self._next[node_id] = (now + INITIAL_RESOLVE_DELAY_S, INITIAL_RESOLVE_DELAY_S)
        else:
            self._next[node_id] = (now + delay, min(delay * 2, MAX_RESOLVE_DELAY_S))

    def forget(self, node_id: bytes) -> None:
        """The node is of no interest any more, or something new is known of it."""
        self._next.pop(node_id, None)
