"""The handlers of peers: their start, their threads, and handlers that linger.

The handler of each protocol of each peer runs in a thread of its own,
``p2p-peer-<id>-<protocol>``. :mod:`p2p.peers.endings` has the effect of its end on the connection.

A handler never runs twice at a time for one node. A connection ends when its socket is closed, and
the node may connect again then, though a handler of the previous connection may not have returned.
The handlers of the new connection start when all handlers of the previous one have returned.

Owned by ``p2p-io``; the threads are those of :mod:`p2p.threads`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

from p2p.arguments import check_has_run
from p2p.enode import NodeID
from p2p.errors import DiscReason
from p2p.net import Loop, Timer
from p2p.peers.endings import EndLog, HandlerEnd, end_by
from p2p.peers.peer import Peer, ProtocolReadWriter
from p2p.peers.session import Session
from p2p.peers.stalls import STALL_REPORT_S, report_lingering
from p2p.threads import Launcher

_OnEnded = Callable[[DiscReason, str], None]


class Handlers:
    """The handlers of all sessions, from their start until they return."""

    def __init__(self, loop: Loop, launcher: Launcher, end_log: EndLog) -> None:
        # fixed after __init__
        self._loop = loop
        self._launcher = launcher
        self._end_log = end_log
        # owned by p2p-io
        #: Sessions whose sockets are closed and whose handlers have not returned, by node.
        self.lingering: dict[NodeID, Session] = {}
        self._waiting: dict[NodeID, Session] = {}
        self._report_timers: dict[Session, Timer] = {}

    def start(self, session: Session) -> None:
        """Start the handlers of an open session, now or after those of the node's previous one."""
        assert session.peer is not None
        if session.peer._handler_count and session.peer.id in self.lingering:
            self._waiting[session.peer.id] = session
        else:
            launch(self._launcher, session.peer, session.worker_ended, self._end_log)

    def connection_closed(self, session: Session) -> None:
        """Note that the session's socket is closed; its handlers may still run."""
        peer = session.peer
        if peer is None or not session.has_handlers:
            return
        if self._waiting.get(peer.id) is session:
            del self._waiting[peer.id]
            session.drop_handlers()
            peer._is_unserved = True
            peer._handlers_begun.open()
            return
        self.lingering[peer.id] = session
        self._report_timers[session] = self._loop.call_later(
            STALL_REPORT_S, report_lingering, peer
        )

    def ended(self, session: Session) -> None:
        """Note that all handlers of the session have returned, and its socket is closed."""
        peer = session.peer
        if peer is None:
            return
        timer = self._report_timers.pop(session, None)
        if timer is not None:
            timer.cancel()
        peer._handlers_returned.open()
        if self.lingering.get(peer.id) is session:
            del self.lingering[peer.id]
            waiting = self._waiting.get(peer.id)
            if waiting is not None and waiting.ending is None:
                del self._waiting[peer.id]
                self.start(waiting)

    def lingering_beside(self, node_id: NodeID) -> int:
        """Return the number of other nodes with handlers that linger."""
        return len(self.lingering) - (node_id in self.lingering)

    def is_waiting(self, peer: Peer) -> bool:
        """Whether the peer's handlers wait for those of the node's previous connection."""
        session = self._waiting.get(peer.id)
        return session is not None and session.peer is peer


def launch(launcher: Launcher, peer: Peer, on_ended: _OnEnded, log: EndLog) -> None:
    """Start the peer's handlers. Each calls ``on_ended(reason, text of the error)`` at its end.

    ``on_ended`` is called on the handler's thread, or on the thread of the launcher if the
    handler's thread cannot be started.
    """
    for rw in peer._running:
        if rw.protocol.run is None:
            continue
        name = f"p2p-peer-{peer.id.short}-{rw.protocol.name}"
        work = partial(_work, peer, rw, on_ended, log)
        launcher.run(name, work, partial(_not_started, peer, rw, on_ended))


def _not_started(
    peer: Peer, rw: ProtocolReadWriter, on_ended: _OnEnded, error: RuntimeError
) -> None:
    peer._handlers_begun.count_down()
    on_ended(DiscReason.TOO_MANY_PEERS, f"cannot start a thread for {rw.protocol.cap}: {error}")
    peer.log.warning("cannot start a thread for %s: %s", rw.protocol.cap, error)


def _work(peer: Peer, rw: ProtocolReadWriter, on_ended: _OnEnded, log: EndLog) -> None:
    """Run a handler, and end the connection when it ends."""
    assert rw.protocol.run is not None
    rw._thread = threading.current_thread()
    end = HandlerEnd(DiscReason.SUBPROTOCOL_ERROR)
    try:
        peer._handlers_begun.count_down()
        result = rw.protocol.run(peer, rw)
        check_has_run(f"the handler of {rw.protocol.cap}", result)
        end = HandlerEnd(DiscReason.QUITTING)
    except SystemExit:  # sys.exit() in a handler ends the handler, as in any thread
        end = HandlerEnd(DiscReason.QUITTING)
    except BaseException as error:
        end = end_by(error, rw)
        log.handler_ended(peer, rw, end, error)
    finally:
        rw._thread = None  # the thread may soon run another handler
        rw._end_timing()
        on_ended(end.reason, end.text)
