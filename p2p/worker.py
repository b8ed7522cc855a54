"""The threads that run handlers: one for each protocol of each peer.

Starting a thread means waiting for it to have started, which the I/O thread must not do. So a
thread of its own, ``p2p-launch``, starts the workers, ``p2p-peer-<id>-<protocol>``. A worker calls
the handler, turns its end into a reason to disconnect, and reports that it has ended.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from p2p.errors import (
    Disconnect,
    DiscReason,
    PeerDisconnected,
    RemoteProtocolError,
)
from p2p.peer import Peer, ProtocolReadWriter


class Launcher:
    """Starts workers, one peer after the other, on a thread of its own."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[tuple[Peer, Callable[[], None]] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="p2p-launch", daemon=True)

    def start(self) -> None:
        """Start the launcher's thread."""
        self._thread.start()

    def launch(self, peer: Peer, on_ended: Callable[[], None]) -> None:
        """Have the peer's workers started; each calls ``on_ended`` once, from its own thread."""
        self._queue.put((peer, on_ended))

    def stop(self) -> threading.Thread:
        """Ask the thread to end when it has started what was asked for; returns it, for joining."""
        self._queue.put(None)
        return self._thread

    def _run(self) -> None:
        while (order := self._queue.get()) is not None:
            peer, on_ended = order
            for rw in peer.running:
                _start(peer, rw, on_ended)


def _start(peer: Peer, rw: ProtocolReadWriter, on_ended: Callable[[], None]) -> None:
    name = f"p2p-peer-{peer.id.short}-{rw.protocol.name}"
    rw.thread = threading.Thread(target=_work, args=(peer, rw, on_ended), name=name, daemon=True)
    try:
        rw.thread.start()
    except RuntimeError as error:  # the system has no more threads
        rw.thread = None
        peer.log.warning("cannot start a thread for %s: %s", rw.protocol.cap, error)
        peer.disconnect(DiscReason.TOO_MANY_PEERS)
        on_ended()


def _work(peer: Peer, rw: ProtocolReadWriter, on_ended: Callable[[], None]) -> None:
    """Run a handler, and end the connection when it ends."""
    reason = DiscReason.SUBPROTOCOL_ERROR
    try:
        rw.protocol.run(peer, rw)
        reason = DiscReason.QUITTING
    except SystemExit:  # sys.exit() in a handler ends the handler, as in any thread
        reason = DiscReason.QUITTING
    except PeerDisconnected as error:
        reason = error.reason
    except BaseException as error:
        reason = _reason_of(error)
        expected = isinstance(error, (RemoteProtocolError, Disconnect))
        level = logging.DEBUG if expected else logging.ERROR
        peer.log.log(level, "handler of %s failed", rw.protocol.cap, exc_info=True)
    finally:
        peer.disconnect(reason)
        on_ended()


def _reason_of(error: BaseException) -> DiscReason:
    """The reason an exception carries; a program may give one to its own exceptions, too."""
    carried: Any = getattr(error, "disc_reason", None)
    try:
        return DiscReason(carried)
    except ValueError:
        return DiscReason.SUBPROTOCOL_ERROR
