"""The threads of a server that run other people's code, or wait: workers and blocking jobs.

For each protocol of each peer there is a worker, ``p2p-peer-<id>-<protocol>``, and a thread for
each blocking job that the I/O thread has (a look-up, a dialer). A worker calls the handler, turns
its end into a reason to disconnect, and reports that it has ended.

A thread whose job is over waits a moment for another one, under the name ``p2p-idle``, and takes
the name of each that it gets: handing a job over costs a fifth of starting a thread. Where none is
idle one has to be started, and that means to wait until it has, which the I/O thread must not do:
a thread of its own, ``p2p-launch``, does. The launcher remembers all its threads that go on, for
``join``. Why: ``docs/design/connecting-fast.md``.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import Context
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
from p2p.peer import Peer, ProtocolReadWriter, printable
from p2p.whereis import where_is, where_raised

#: What a handler fails of when the remote does what it should not, or leaves out what it should.
_CAUSED_BY_REMOTE = (RemoteProtocolError, UnexpectedMessage, ReadTimeout)

#: Threads that wait for a job at most. More at a time come from nothing but a burst, and each
#: takes some 17 KiB.
MAX_IDLE_THREADS = 16
#: How long one waits before it ends: peers that come and go do so more often than this.
IDLE_S = 1.0
IDLE_NAME = "p2p-idle"
#: Jobs of a thread until it ends. The system's allocator (glibc) keeps up to 230 KiB of what a
#: thread has freed for that thread alone: with 1,000 peers that come and go, memory would grow for
#: hours. More jobs would spare hardly any more: three of four threads need not be started.
MAX_JOBS = 4

#: Characters of a handler's error that the log shows, when a remote can bring it about.
ERROR_LENGTH = 255

_Job = Callable[[], None]


class _Worker:
    """A thread for one job after the other, which asks ``idle`` whether to wait for the next."""

    def __init__(
        self,
        job: _Job,
        name: str,
        idle: Callable[[_Worker], bool],
        on_end: Callable[[threading.Thread], object],
    ) -> None:
        # fixed after __init__
        self._become_idle = idle
        self._on_end = on_end
        self._given = threading.Lock()  # held but for the moment in which a job is handed over
        self._given.acquire()
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)
        # owned by the thread, and by the launcher while it is idle
        self._job: _Job | None = job

    def give(self, job: _Job | None, name: str) -> None:
        """Let an idle thread do ``job``; None ends it."""
        self._job = job
        self.thread.name = name
        self._given.release()

    def wait(self, timeout_s: float) -> bool:
        """Whether a job, or the order to end, has come in time. Its own thread."""
        return self._given.acquire(timeout=timeout_s)

    def _run(self) -> None:
        jobs = 0
        try:
            while self._do_job():
                jobs += 1
                self.thread.name = IDLE_NAME
                if jobs == MAX_JOBS or not self._become_idle(self):
                    return
        finally:
            self._on_end(self.thread)

    def _do_job(self) -> bool:
        """The job; it is forgotten on the way out, however it ends, and the peer with it."""
        job, self._job = self._job, None
        if job is not None:
            # As in a thread of its own: what one job sets in its context, the next does not see.
            Context().run(job)
        return job is not None


class Launcher:
    """Has jobs done in threads that bear their names. Any thread may use it."""

    def __init__(self) -> None:
        # fixed after __init__
        self._queue: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="p2p-launch", daemon=True)
        # Threads add themselves when they are about to end; the launcher's forgets them after that.
        self._ending: deque[threading.Thread] = deque()
        # guarded by _lock; but a thread may look for itself in _workers at any time
        self._lock = threading.Lock()
        self._workers: dict[threading.Thread, _Worker] = {}
        self._idle: list[_Worker] = []  # the one that worked last comes last
        self._stopping = False

    def start(self) -> None:
        """Start the launcher's thread. Raises RuntimeError if the system has no more threads."""
        self._thread.start()

    def launch(self, peer: Peer, on_ended: Callable[[DiscReason], None]) -> None:
        """Have the peer's handlers run; each ends with ``on_ended``.

        It is called from the handler's thread, or from the launcher's where that cannot be started.
        """
        for rw in peer.running:
            name = f"p2p-peer-{peer.id.short}-{rw.protocol.name}"
            work = partial(_work, peer, rw, on_ended)
            self.run(name, work, partial(_not_started, peer, rw, on_ended))

    def run(self, name: str, job: _Job, on_failed: Callable[[RuntimeError], None]) -> None:
        """Have ``job`` run in a daemon thread called ``name``.

        If the system has no more threads, ``on_failed`` gets its error instead, on the launcher's
        thread. After :meth:`stop` neither is called.
        """
        with self._lock:
            if self._idle:
                self._idle.pop().give(job, name)
                return
        self._queue.put(partial(self._start, name, job, on_failed))

    def stop(self) -> None:
        """Ask the launcher to end when it has started what was asked for before."""
        with self._lock:
            self._stopping = True
            while self._idle:
                self._idle.pop().give(None, IDLE_NAME)
        self._queue.put(None)

    def join(self, deadline: float) -> list[str]:
        """Wait, until ``deadline`` at most, for the launcher and for all that it has started.

        The time is that of ``time.monotonic()``. Returns the names of the threads that go on. The
        calling thread is not waited for.
        """
        # The launcher first: what it starts until it ends has to be joined, too.
        left = join_threads([self._thread], deadline)
        with self._lock:
            threads = list(self._workers)
        return left + join_threads(threads, deadline)

    def place_of(self, name: str) -> str:
        """The line of the program at which a thread stands: one of ours, or another of the name."""
        with self._lock:
            threads = list(self._workers)
        for thread in (*threads, *threading.enumerate()):
            if thread.name == name and thread.is_alive():
                return where_is(thread)
        return where_is(None)

    def is_current(self) -> bool:
        """Whether the calling thread is one that the launcher has started."""
        return threading.current_thread() in self._workers

    def _run(self) -> None:
        while self._do_next():
            pass

    def _do_next(self) -> bool:
        """One order; it is forgotten on the way out, and the peer with it."""
        order = self._queue.get()
        if order is not None:
            try:
                order()
            except BaseException:  # of the program: its log, perhaps; others want their threads
                threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), self._thread)))
        return order is not None

    def _start(self, name: str, job: _Job, on_failed: Callable[[RuntimeError], None]) -> None:
        worker = _Worker(job, name, self._become_idle, self._ending.append)
        self._forget_ended()
        with self._lock:
            self._workers[worker.thread] = worker  # before it runs: it may ask is_current()
        try:
            worker.thread.start()
        except RuntimeError as error:  # the system has no more threads
            with self._lock:
                del self._workers[worker.thread]
            on_failed(error)

    def _forget_ended(self) -> None:
        for _ in range(len(self._ending)):
            thread = self._ending.popleft()
            if thread.is_alive():
                self._ending.append(thread)
                continue
            with self._lock:
                del self._workers[thread]

    def _become_idle(self, worker: _Worker) -> bool:
        """Wait for the next job; returns whether to look for one. On the worker's thread."""
        with self._lock:
            if self._stopping or len(self._idle) >= MAX_IDLE_THREADS:
                return False
            self._idle.append(worker)
        if worker.wait(IDLE_S):
            return True
        with self._lock:
            if worker in self._idle:
                self._idle.remove(worker)
                return False
        # It has been given a job meanwhile, unless a Ctrl-C came between two steps of stop().
        return worker.wait(0)


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
    peer: Peer, rw: ProtocolReadWriter, on_ended: Callable[[DiscReason], None], error: RuntimeError
) -> None:
    on_ended(DiscReason.TOO_MANY_PEERS)
    peer.log.warning("cannot start a thread for %s: %s", rw.protocol.cap, error)


def _work(peer: Peer, rw: ProtocolReadWriter, on_ended: Callable[[DiscReason], None]) -> None:
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
            _log_failure(peer, rw)
    except BaseException as error:
        reason = _reason_of(error)
        if isinstance(error, (*_CAUSED_BY_REMOTE, Disconnect)):
            _log_end(peer, rw, error)
        else:
            _log_failure(peer, rw)
    finally:
        rw.thread = None  # it is soon another handler's
        on_ended(reason)


def _log_failure(peer: Peer, rw: ProtocolReadWriter) -> None:
    peer.log.error("handler of %s failed", rw.protocol.cap, exc_info=True)


def _log_end(peer: Peer, rw: ProtocolReadWriter, error: BaseException) -> None:
    """Without the traceback: the errors behind this one may repeat what the remote has sent."""
    if peer.log.isEnabledFor(logging.DEBUG):
        text = printable(f"{type(error).__name__}: {error}", ERROR_LENGTH)
        peer.log.debug("handler of %s: %s (at %s)", rw.protocol.cap, text, where_raised(error))


def _reason_of(error: BaseException) -> DiscReason:
    """The reason an exception carries; a program may give one to its own exceptions, too."""
    try:
        carried: Any = getattr(error, "disc_reason", None)
        return DiscReason(carried)
    except Exception:  # no number, or a property that fails: the error is the program's code
        return DiscReason.SUBPROTOCOL_ERROR
