"""The observers of a server's peers: one for each connection and observer of the program.

It owns the guard of failing observers (:mod:`p2p.observerguard`), and no observer. ``p2p-io`` only.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from p2p.clock import Clock
from p2p.enode import Node
from p2p.net import StreamSocket, ends_of
from p2p.observe import NewConnection, Observer
from p2p.observerguard import ObserverGuard
from p2p.peers.event import PeerEvent
from p2p.rlpx import ConnectionObserver


class Observing:
    """The questions to each of ``observers`` about connections, and its reports of peers."""

    def __init__(
        self, observers: Sequence[Observer], clock: Clock, logger: logging.Logger
    ) -> None:
        self._observers = observers
        self._factories = [observer.connection for observer in observers]
        self._guard = ObserverGuard(clock, logger)
        self._of_peers = [
            self._guard.guard(observer)
            for observer in observers
            if type(observer).peer_event is not Observer.peer_event
        ]

    @property
    def is_idle(self) -> bool:
        """Whether no observer wants calls about open connections at present."""
        return all(observer._is_idle for observer in self._observers)

    @property
    def wants_peers(self) -> bool:
        """Whether an observer wants :meth:`peer_event`."""
        return bool(self._of_peers)

    def peer_event(self, event: PeerEvent) -> None:
        """Report a peer that was added or has left."""
        for observer in self._of_peers:
            observer.peer_event(event)

    def observer(self, sock: StreamSocket, dest: Node | None) -> ConnectionObserver | None:
        """Return the observer of the connection ``sock``; ``dest`` is the dialed node, if any."""
        if not self._factories:
            return None
        remote, local = ends_of(sock)
        return self._guard.make_all(self._factories, NewConnection(local, remote, dest))
