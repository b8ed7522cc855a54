"""Threads for code that blocks: handlers of peers, name look-ups, dialers.

A thread whose job is over waits a moment for another one, under the name ``p2p-idle``, and takes
the name of each job that it gets: handing a job over costs a fifth of starting a thread. If no
thread is idle, one must be started. That means to wait until it runs, which the I/O thread must not
do, so a thread of its own, ``p2p-launch``, does it. The launcher keeps all its running threads, for
``join``. The reasons are in ``docs/design/connecting-fast.md``.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import Context
from functools import partial
from queue import SimpleQueue

from p2p import forks
from p2p.clock import Deadline
from p2p.usercode import where_is

#: Limit on the threads that wait for a job. Only a burst leaves more, and each takes some 17 KiB.
MAX_IDLE_THREADS = 16
#: Time after which an idle thread ends; where peers come and go, they do so more often than this.
IDLE_S = 1.0
IDLE_NAME = "p2p-idle"
#: Number of jobs after which a thread ends. The system's allocator (glibc) reserves up to 230 KiB
#: of freed memory for the thread that freed it: with 1,000 peers that come and go, memory would
#: grow for hours. More jobs would save hardly any more: three of four threads need not be started.
MAX_JOBS = 4

_Job = Callable[[], None]


class _Worker:
    """A thread for one job after the other; it calls ``idle`` to wait for the next.

    ``idle`` returns whether there is another job; ``on_end`` is called when the thread ends.
    """

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
        self._given = threading.Lock()  # locked, except while a job is handed over
        self._given.acquire()
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)
        # owned by the thread, and by the launcher while it is idle
        self._job: _Job | None = job

    def give(self, job: _Job | None, name: str) -> None:
        """Run ``job`` in the idle thread, under ``name``; None ends the thread."""
        self._job = job
        self.thread.name = name
        self._given.release()

    def wait(self, timeout_s: float) -> bool:
        """Wait for :meth:`give`. Returns whether it was called in time. Its own thread only."""
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
        """Run the job. Drops the reference to it, so that the peer is not kept alive."""
        job, self._job = self._job, None
        if job is not None:
            # As in a thread of its own: a job does not see the context variables of the last one.
            Context().run(job)
        return job is not None


class Launcher:
    """Runs jobs in threads with their names. Any thread may use it."""

    def __init__(self) -> None:
        # fixed after start()
        self._process = forks.here
        self._thread = self._new_thread()
        # fixed after __init__
        self._queue: SimpleQueue[_Job | None] = SimpleQueue()
        # Threads add themselves when they are about to end; the launcher's thread then drops them.
        self._ending: deque[threading.Thread] = deque()
        # guarded by _lock; but a thread may look for itself in _workers at any time
        self._lock = threading.Lock()
        self._workers: dict[threading.Thread, _Worker] = {}
        self._idle: list[_Worker] = []  # the one that became idle last is the last
        self._stopping = False

    def start(self) -> None:
        """Start the launcher's thread. Raises RuntimeError if the system has no more threads."""
        if not self._process.is_here:
            self._thread = self._new_thread()  # Python 3.13 starts no thread made before a fork
            self._process = forks.here
        self._thread.start()

    def run(self, name: str, job: _Job, on_failed: Callable[[RuntimeError], None]) -> None:
        """Run ``job`` in a daemon thread called ``name``; returns at once.

        If the system has no more threads, ``on_failed`` gets its error instead, on the launcher's
        thread. After :meth:`stop` neither is called.
        """
        with self._lock:
            if self._idle:
                self._idle.pop().give(job, name)
                return
        self._queue.put(partial(self._start, name, job, on_failed))

    def stop(self) -> None:
        """Ask the launcher to end when it has started the jobs given before. Does not wait."""
        with self._lock:
            self._stopping = True
            while self._idle:
                self._idle.pop().give(None, IDLE_NAME)
        self._queue.put(None)

    def join(self, deadline: Deadline) -> list[str]:
        """Wait, until ``deadline`` at most, for the launcher and for all threads it has started.

        Returns the names of the threads that still run. Does not wait for the calling thread.
        """
        # The launcher first: the threads that it starts until its end must be joined, too.
        left = join_threads([self._thread], deadline)
        with self._lock:
            threads = list(self._workers)
        return left + join_threads(threads, deadline)

    def place_of(self, name: str) -> str:
        """Return the current line of program code of a thread of that name, preferably of ours."""
        with self._lock:
            threads = list(self._workers)
        for thread in (*threads, *threading.enumerate()):
            if thread.name == name and thread.is_alive():
                return where_is(thread)
        return where_is(None)

    def is_current(self) -> bool:
        """Whether the calling thread is one that the launcher has started."""
        return threading.current_thread() in self._workers

    def _new_thread(self) -> threading.Thread:
        return threading.Thread(target=self._run, name="p2p-launch", daemon=True)

    def _run(self) -> None:
        while self._do_next():
            pass

    def _do_next(self) -> bool:
        """Run one order. Drops the reference to it, so that the peer is not kept alive."""
        order = self._queue.get()
        if order is not None:
            try:
                order()
            except BaseException:  # raised by program code, such as its log; other jobs must start
                threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), self._thread)))
        return order is not None

    def _start(self, name: str, job: _Job, on_failed: Callable[[RuntimeError], None]) -> None:
        worker = _Worker(job, name, self._become_idle, self._ending.append)
        self._drop_ended()
        with self._lock:
            self._workers[worker.thread] = worker  # before it runs: it may ask is_current()
        try:
            worker.thread.start()
        except RuntimeError as error:  # the system has no more threads
            with self._lock:
                del self._workers[worker.thread]
            on_failed(error)

    def _drop_ended(self) -> None:
        for _ in range(len(self._ending)):
            thread = self._ending.popleft()
            if thread.is_alive():
                self._ending.append(thread)
                continue
            with self._lock:
                del self._workers[thread]

    def _become_idle(self, worker: _Worker) -> bool:
        """Wait for the next job. Returns whether there is one. Called on the worker's thread."""
        if not self._process.is_here:
            return False  # the handler has forked, and this is the child
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
        return worker.wait(0)  # it has been given a job meanwhile


def join_threads(threads: Sequence[threading.Thread], deadline: Deadline) -> list[str]:
    """Join threads, all under one deadline.

    Returns the names of those that still run. Does not wait for the calling thread, nor for threads
    that are not running.
    """
    current = threading.current_thread()
    left = []
    for thread in threads:
        if thread is not current and thread.is_alive():
            thread.join(deadline.left_s)
            if thread.is_alive():
                left.append(thread.name)
    return left
