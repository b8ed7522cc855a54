"""The backlog: peers not made by ``connect``, waiting for ``Server.accept``.

``p2p-io`` puts peers in, any thread takes them out. The peer set bounds the connected ones. Peers
that left before they were accepted are kept because their last messages can still be read; their
number is bounded, and the latest are kept.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from p2p.errors import P2PError, Timeout
from p2p.latch import Condition
from p2p.peers.peer import Peer


class Backlog:
    """A queue of peers that keeps at most ``max_departed`` of those that have left."""

    def __init__(self, max_departed: int) -> None:
        # fixed after __init__
        self._max_departed = max_departed
        # guarded by _changed
        self._changed = Condition()
        self._peers: deque[Peer] = deque()
        self._make_error: Callable[[], P2PError] | None = None

    # p2p-io

    def put(self, peer: Peer) -> list[Peer]:
        """Add a peer, unless it is in the queue.

        Return the peers that were dropped for it: they have left without having been accepted.
        """
        with self._changed:
            if self._make_error is not None or peer in self._peers:
                return []
            waiting = [other for other in self._peers if not other._is_taken]
            departed = [other for other in waiting if not other.is_connected]
            dropped = departed[: max(0, len(departed) - self._max_departed)]
            self._peers = deque(other for other in waiting if other not in dropped)
            self._peers.append(peer)
            # Wake all: a single thread that is woken and interrupted (Ctrl-C) would lose the peer.
            self._changed.notify_all()
        return dropped

    def close(self, make_error: Callable[[], P2PError]) -> None:
        """Drop the peers; all waiting and later calls of :meth:`get` raise ``make_error()``.

        The first call counts.
        """
        with self._changed:
            if self._make_error is None:
                self._make_error = make_error
            self._peers.clear()
            self._changed.notify_all()

    # any thread

    def get(self, timeout_s: float | None) -> Peer:
        """Remove and return the oldest peer that is not taken.

        Waits for one at most ``timeout_s`` seconds (None: forever), then raises Timeout. Raises
        the error of :meth:`close` if the backlog is closed.
        """
        with self._changed:
            if not self._changed.wait_for(self._has_news_locked, timeout_s):
                raise Timeout(f"no peer came within {timeout_s:g} s")
            if self._make_error is None:
                peer = self._peers.popleft()
                peer._is_taken = True
                return peer
        raise self._make_error()

    def _has_news_locked(self) -> bool:
        while self._peers and self._peers[0]._is_taken:
            self._peers.popleft()
        return bool(self._peers) or self._make_error is not None
