"""The threads of a server that run other people's code, or wait: workers and blocking jobs.

Starting a thread means waiting for it to have started, which the I/O thread must not do. So a
thread of its own, ``p2p-launch``, starts them: for each protocol of each peer a worker,
``p2p-peer-<id>-<protocol>``, and a thread for each blocking job that the I/O thread has (a look-up,
a dialer). A worker calls the handler, turns its end into a reason to disconnect, and reports that
it has ended. The launcher remembers what it has started until it has ended, for ``join``.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from queue import SimpleQueue
from typing import Any

from p2p.errors import (
    Disconnect,
    DiscReason,
    PeerDisconnected,
    ReadTimeout,
    RemoteProtocolError,
    UnexpectedMessage,
)
from p2p.peer import Peer, ProtocolReadWriter

#: What a handler fails of when the remote does what it should not, or leaves out what it should.
_CAUSED_BY_REMOTE = (RemoteProtocolError, UnexpectedMessage, ReadTimeout)


class Launcher:
    """Starts threads, one after the other, on a thread of its own. Any thread may use it."""

    def __init__(self) -> None:
        # fixed after __init__
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="p2p-launch", daemon=True)
        # replaced, never changed, by p2p-launch; read by any thread
        self._started: tuple[threading.Thread, ...] = ()

    def start(self) -> None:
        """Start the launcher's thread. Raises RuntimeError if the system has no more threads."""
        self._thread.start()

    def launch(self, peer: Peer, on_ended: Callable[[], None]) -> None:
        """Have the peer's workers started; each calls ``on_ended`` once, from its own thread."""
        self._queue.put(partial(self._start_workers, peer, on_ended))

    def run(
        self, name: str, job: Callable[[], None], on_failed: Callable[[RuntimeError], None]
    ) -> None:
        """Have ``job`` run in a daemon thread called ``name``.

        If the system has no more threads, ``on_failed`` gets its error instead, on the launcher's
        thread. After :meth:`stop` neither is called.
        """
        self._queue.put(partial(self._start, name, job, on_failed))

    def stop(self) -> None:
        """Ask the launcher to end when it has started what was asked for before."""
        self._queue.put(None)

    def join(self, deadline: float) -> list[str]:
        """Wait, until ``deadline`` at most, for the launcher and for all that it has started.

        The time is that of ``time.monotonic()``. Returns the names of the threads that go on. The
        calling thread is not waited for.
        """
        # The launcher first: what it starts until it ends has to be joined, too.
        return join_threads([self._thread], deadline) + join_threads(self._started, deadline)

    def is_current(self) -> bool:
        """Whether the calling thread is one that the launcher has started."""
        return threading.current_thread() in self._started

    def _run(self) -> None:
        while self._do_next():
            pass

    def _do_next(self) -> bool:
        """One order; it is forgotten on the way out, and the peer with it."""
        order = self._queue.get()
        if order is not None:
            order()
        return order is not None

    def _start_workers(self, peer: Peer, on_ended: Callable[[], None]) -> None:
        for rw in peer.running:
            name = f"p2p-peer-{peer.id.short}-{rw.protocol.name}"
            work = partial(_work, peer, rw, on_ended)
            self._start(name, work, partial(_not_started, peer, rw, on_ended))

    def _start(
        self, name: str, job: Callable[[], None], on_failed: Callable[[RuntimeError], None]
    ) -> None:
        thread = threading.Thread(target=job, name=name, daemon=True)
        before = tuple(other for other in self._started if other.is_alive())
        self._started = (*before, thread)  # before it runs: it may ask is_current()
        try:
            thread.start()
        except RuntimeError as error:  # the system has no more threads
            self._started = before
            on_failed(error)


def join_threads(threads: Sequence[threading.Thread], deadline: float) -> list[str]:
    """Join threads, all under one deadline; returns the names of those that go on.

    Neither the calling thread is waited for nor one that does not run, or not yet.
    """
    current = threading.current_thread()
    left = []
    for thread in threads:
        if thread is not current and thread.is_alive():
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                left.append(thread.name)
    return left


def _not_started(
    peer: Peer, rw: ProtocolReadWriter, on_ended: Callable[[], None], error: RuntimeError
) -> None:
    peer.disconnect(DiscReason.TOO_MANY_PEERS)
    on_ended()
    peer.log.warning("cannot start a thread for %s: %s", rw.protocol.cap, error)


def _work(peer: Peer, rw: ProtocolReadWriter, on_ended: Callable[[], None]) -> None:
    """Run a handler, and end the connection when it ends."""
    rw.thread = threading.current_thread()
    reason = DiscReason.SUBPROTOCOL_ERROR
    try:
        rw.protocol.run(peer, rw)
        reason = DiscReason.QUITTING
    except SystemExit:  # sys.exit() in a handler ends the handler, as in any thread
        reason = DiscReason.QUITTING
    except PeerDisconnected as error:
        if rw.is_closed:  # the usual end of a handler that lives as long as its connection
            reason = error.reason
        else:  # it has let out what happened to another peer
            _log_failure(peer, rw, logging.ERROR)
    except BaseException as error:
        reason = _reason_of(error)
        expected = isinstance(error, (*_CAUSED_BY_REMOTE, Disconnect))
        _log_failure(peer, rw, logging.DEBUG if expected else logging.ERROR)
    finally:
        peer.disconnect(reason)
        on_ended()


def _log_failure(peer: Peer, rw: ProtocolReadWriter, level: int) -> None:
    peer.log.log(level, "handler of %s failed", rw.protocol.cap, exc_info=True)


def _reason_of(error: BaseException) -> DiscReason:
    """The reason an exception carries; a program may give one to its own exceptions, too."""
    carried: Any = getattr(error, "disc_reason", None)
    try:
        return DiscReason(carried)
    except ValueError:
        return DiscReason.SUBPROTOCOL_ERROR
