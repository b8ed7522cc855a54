"""One selector on one thread: posted functions, timers and ready sockets, in bounded passes.

The loop owns its thread, the poller and the wake-up. It does not own the sockets registered with
it: the code that registered one unregisters and closes it, at the latest in ``on_end``.

A pass runs the functions posted before it began, then the timers that are due, then the handlers of
the sockets that are ready, so that no function, timer or handler added by these can starve the
others. The loop sleeps only in the selector, for as long as its clock says. Another thread reaches
it by :meth:`Loop.post` alone, which costs a system call only when the loop is asleep and has not
been woken yet.

It fails fast: an exception that escapes from a function, a timer or a handler ends the thread, is
logged, is kept in :attr:`Loop.crash`, and fails the futures of :meth:`Loop.submit` and
:meth:`Loop.call` that have no outcome yet.
"""

from __future__ import annotations

import logging
import math
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout  # another class before Python 3.11
from contextlib import suppress
from typing import Any, TypeVar

from p2p import forks
from p2p.clock import Clock
from p2p.errors import LoopCrashed, ServerStopped
from p2p.net.poller import EDGE, ERROR, READ, Poller, new_poller
from p2p.net.sockets import Socket
from p2p.net.timer import Timer, TimerQueue
from p2p.net.virtual import VirtualSocket
from p2p.net.wakeup import WakeUp

_T = TypeVar("_T")
# A function with its arguments, and the future that fails if it is dropped.
_Posted = tuple[Callable[..., object], tuple[Any, ...], Future[Any] | None]

# A selector takes no time-out beyond 24 days; a rare early wake-up does no harm.
_MAX_SLEEP_S = 3600.0
# Limit on the generations of functions, each posted by the last, that a stopping loop still runs.
# A chain of closing steps is shorter; a function that posts itself for ever must not hold it up.
_LAST_ROUNDS = 16
# No time: the loop does not sleep, or has not yet looked for how long.
_UNKNOWN = -math.inf


def _nothing(error: BaseException | None) -> None:
    """Do nothing, as the ``on_end`` of a loop that owns nothing."""


def _no_drain(ready: int) -> None:
    """Do nothing: an edge-triggered wake-up needs only the pass that it causes."""


class _Registration:
    """A socket of the loop. ``born`` is the pass in which it was registered."""

    __slots__ = ("born", "fd", "interest", "on_ready")

    def __init__(self, fd: int, interest: int, on_ready: Callable[[int], None], born: int) -> None:
        self.fd = fd
        self.interest = interest
        self.on_ready = on_ready
        self.born = born


class Loop:
    """A selector loop on a daemon thread called ``name``.

    ``clock`` gives the time for the timers. ``on_end`` is called last on the loop's thread, with
    the exception that ended it or ``None``; it unregisters and closes the sockets that are still
    registered. Only functions that ``on_end`` itself posts run after it. The loop and all that runs
    on it log to :attr:`log`, the child ``net`` of ``logger`` (None: of the logger "p2p").
    """

    def __init__(
        self,
        name: str,
        clock: Clock,
        on_end: Callable[[BaseException | None], None] = _nothing,
        logger: logging.Logger | None = None,
    ) -> None:
        # fixed after __init__
        self.name = name
        self.log = (logger or logging.getLogger("p2p")).getChild("net")
        self._clock = clock
        self._on_end = on_end
        # fixed after start()
        self._thread = self._new_thread()
        self._started = False
        self._process = forks.here
        self._poller: Poller
        self._wake_up: WakeUp
        # guarded by _lock (the loop's thread also reads _posted and takes from it)
        self._lock = threading.Lock()
        self._posted: deque[_Posted] = deque()
        self._stopping = False  # only the loop's own thread may post
        self._ended = False  # no thread may post
        # Set by the loop's thread before it sleeps; cleared, under _lock, by the thread that wakes
        # it, and set again by a thread that failed to.
        self._asleep = False
        # owned by the loop's thread; others may read these
        self._sleeps_until = _UNKNOWN  # time of the next timer, or infinity, while it sleeps
        self._ident: int | None = None
        self._crash: BaseException | None = None
        self._passes = 0
        # owned by the loop's thread
        self._timers = TimerQueue()
        self._registered: dict[int, _Registration] = {}
        self._scratch = memoryview(bytearray())

    # any thread

    @property
    def can_start(self) -> bool:
        """Whether the loop has been neither started nor stopped."""
        return not self._started and not self._stopping

    @property
    def crash(self) -> BaseException | None:
        """The exception that ended the loop, if one did."""
        return self._crash

    @property
    def passes(self) -> int:
        """Number of passes, that is calls of the selector."""
        return self._passes

    @property
    def waiting(self) -> int:
        """Number of functions that were posted and have not run yet."""
        return len(self._posted)

    @property
    def sleeps_until(self) -> float | None:
        """Time of the next timer, infinity without one, while the loop sleeps; None: it does not.

        What a socket of the kernel has for the loop shows only when the loop has woken.
        """
        with self._lock:
            until = self._sleeps_until
            has_work = bool(self._posted) or self._stopping or until == _UNKNOWN
            return until if self._asleep and not has_work else None

    @property
    def wake_ups(self) -> int:
        """Number of times another thread had to wake the loop."""
        return self._wake_up.sent if self._started else 0

    def start(self) -> None:
        """Start the thread, once. Functions posted earlier run then.

        Raises ``RuntimeError`` when the loop was started or stopped before, or when the system has
        no more threads (which counts as a start), and ``OSError`` when the process has no file
        descriptors left.
        """
        if not self.can_start:
            raise RuntimeError(f"loop {self.name} was started or stopped before")
        if not self._process.is_here:
            self._thread = self._new_thread()  # Python 3.13 starts no thread made before a fork
            self._process = forks.here
        self._wake_up = WakeUp()
        try:
            self._poller = new_poller()
            forks.in_child(self._poller)
        except BaseException:  # a Ctrl-C, too
            self._wake_up.close()
            raise
        self._started = True
        try:
            self._watch_wake_up()
            self._clock.on_advance(self._wake)
            self._thread.start()
        except Exception:
            self._close()
            raise

    def stop(self) -> None:
        """Ask the thread to end, after the functions already posted. Does not wait; idempotent.

        From now on only the loop's own thread can post.
        """
        with self._lock:
            self._stopping = True
            if not self._started:
                self._ended = True
        if self._ended:  # it never ran and will not, or it has ended
            self._drop_posted()
        else:
            # Even if it seems awake: a Ctrl-C may have come between a post and its wake-up.
            self._wake_up.send()

    def join(self, timeout_s: float | None) -> bool:
        """Wait for the thread to end; ``None`` waits without limit. Returns whether it has ended.

        On the loop's own thread it returns False at once.
        """
        if self.is_current():
            return False
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def is_current(self) -> bool:
        """Whether the calling thread is the loop's."""
        return threading.get_ident() == self._ident

    def post(self, fn: Callable[..., object], *args: Any) -> bool:
        """Run ``fn(*args)`` later on the loop's thread, in the order of the posts.

        Returns False if the loop has ended or was asked to, or runs in another process: ``fn`` will
        never run. After True it runs unless the loop crashes first.
        """
        return self._post((fn, args, None))

    def submit(self, fn: Callable[..., _T], *args: Any) -> Future[_T]:
        """Post ``fn(*args)``; the future gets its result or exception, which does not end the loop.

        If ``fn`` will not run, the future gets ``LoopCrashed`` if the loop died, ``ServerStopped``
        if it ended, ``WrongProcess`` in a child of the process in which the loop runs.
        """
        future: Future[_T] = Future()
        if not self._post((_fulfil, (future, fn, args), future)):
            future.set_exception(self._end_error())
        return future

    def call(self, fn: Callable[..., _T], *args: Any, timeout_s: float | None = None) -> _T:
        """Run ``fn(*args)`` on the loop's thread and return its result.

        Raises the exception of ``fn``, ``TimeoutError`` after ``timeout_s`` real seconds (``fn``
        may still run later; None waits without limit), and the errors of :meth:`submit`. On the
        loop's own thread ``fn`` is called directly.
        """
        if self.is_current():
            return fn(*args)
        future = self.submit(fn, *args)
        try:
            return future.result(timeout_s)
        except FutureTimeout:
            if future.done():  # by a TimeoutError of fn's, or at the last moment
                return future.result()
            raise TimeoutError(f"no answer from {self.name} within {timeout_s} s") from None
        finally:
            del future  # its error's traceback leads back to this frame

    def _post(self, posted: _Posted) -> bool:
        if self._is_elsewhere:
            return False
        with self._lock:
            if self._stopping and (self._ended or not self.is_current()):
                return False
            self._posted.append(posted)
            if not self._asleep:
                return True
            self._asleep = False
        try:
            self._wake_up.send()
        except BaseException:  # a Ctrl-C, or the end of a handler's stack
            self._asleep = True  # or no thread would wake the loop any more
            raise
        return True

    @property
    def _is_elsewhere(self) -> bool:
        """Whether the loop runs in another process; a loop not yet started is in none."""
        return self._started and self._process is not forks.here

    def _end_error(self) -> Exception:
        if self._is_elsewhere:
            return self._process.error("server")
        if self._crash is None:
            return ServerStopped(f"{self.name} has stopped")
        error = LoopCrashed(f"{self.name} died of {self._crash!r}")
        error.__cause__ = self._crash
        return error

    def _wake(self) -> None:
        if self._is_elsewhere:  # called by the copy of a simulated clock in the child
            return
        with self._lock:
            if not self._asleep or self._sleeps_until > self._clock.monotonic():
                return
            self._asleep = False
        self._wake_up.send()

    # loop thread only

    def now(self) -> float:
        """Return the time on the loop's clock, in seconds."""
        return self._clock.monotonic()

    def call_at(self, when: float, fn: Callable[..., object], *args: Any) -> Timer:
        """Call ``fn(*args)`` when :meth:`now` has reached ``when``, in seconds."""
        assert self.is_current(), "only the loop's own thread sets timers"
        return self._timers.push(when, fn, args)

    def call_later(self, delay_s: float, fn: Callable[..., object], *args: Any) -> Timer:
        """Call ``fn(*args)`` after ``delay_s`` seconds, in the next pass at the earliest."""
        return self.call_at(self._clock.monotonic() + delay_s, fn, *args)

    def register(self, sock: Socket, interest: int, on_ready: Callable[[int], None]) -> None:
        """Call ``on_ready(ready)`` whenever ``sock`` is ready (level-triggered).

        ``interest`` is ``READ``, ``WRITE``, both or 0. ``ready`` has the bits of the interest that
        are met. When the connection is dead, it has ``ERROR`` and all bits of the interest, even
        for interest 0 if the platform reports it (Linux does): the handler then has to unregister.
        Raises ``ValueError`` when the socket is registered or closed.
        """
        assert self.is_current(), "only the loop's own thread registers sockets"
        if isinstance(sock, VirtualSocket):
            sock.watch(self, interest, on_ready)
            return
        fd = sock.fileno()
        if fd < 0 or fd in self._registered:
            raise ValueError(f"socket is closed or registered already: {sock}")
        self._poller.add(fd, interest)
        self._registered[fd] = _Registration(fd, interest, on_ready, self._passes)

    def set_interest(self, sock: Socket, interest: int) -> None:
        """Replace the interest. Raises ``KeyError`` when the socket is not registered."""
        if isinstance(sock, VirtualSocket):
            sock.set_interest(interest)
            return
        registration = self._registered[sock.fileno()]
        if registration.interest != interest:
            self._poller.change(registration.fd, registration.interest, interest)
            registration.interest = interest

    def unregister(self, sock: Socket) -> None:
        """Remove the socket, which must not be closed yet; no effect when it is not registered."""
        if isinstance(sock, VirtualSocket):
            sock.unwatch()
            return
        registration = self._registered.pop(sock.fileno(), None)
        if registration is not None:
            with suppress(OSError):  # the program has closed the descriptor: it is not watched
                self._poller.remove(registration.fd, registration.interest)

    def scratch(self, size_bytes: int) -> memoryview:
        """Return memory that every handler of this loop may use until it returns.

        It has ``size_bytes`` or more.
        """
        if len(self._scratch) < size_bytes:
            self._scratch = memoryview(bytearray(size_bytes))
        return self._scratch

    # inside

    def _new_thread(self) -> threading.Thread:
        return threading.Thread(target=self._run, name=self.name, daemon=True)

    def _watch_wake_up(self) -> None:
        fd, on_ready, interest = self._wake_up.fd, self._wake_up.drain, READ
        if self._poller.knows_edges and not self._wake_up.needs_drain:
            on_ready, interest = _no_drain, READ | EDGE
        self._poller.add(fd, interest)
        self._registered[fd] = _Registration(fd, READ, on_ready, -1)

    def _run(self) -> None:
        self._ident = threading.get_ident()
        try:
            try:
                while not self._stopping:
                    self._run_posted()
                    self._run_timers()
                    self._run_ready(self._sleep_time())
                self._run_last_posted()
            except BaseException as error:
                self._die(error)
            self._end()
        finally:
            self._close()
            self._ident = None  # the system reuses the number for another thread

    def _run_posted(self) -> None:
        posted = self._posted
        for _ in range(len(posted)):
            fn, args, _ = posted.popleft()
            fn(*args)

    def _run_timers(self) -> None:
        when = self._timers.next_when()
        if when is None or when > (now := self._clock.monotonic()):
            return
        for timer in self._timers.pop_due(now):
            timer.fire()

    def _sleep_time(self) -> float | None:
        # The order matters: a thread that posts, stops or moves the clock after this line sees that
        # the loop is asleep and wakes it; a post, stop or move before it is seen below.
        self._sleeps_until = _UNKNOWN
        self._asleep = True
        if self._posted or self._stopping:
            return 0.0
        when = self._timers.next_when()
        if when is None:
            self._sleeps_until = math.inf
            return None
        # Before the clock is read: a thread that moves it later sees whether the loop must wake.
        self._sleeps_until = when
        timeout_s = self._clock.sleep_for(when)
        return None if timeout_s is None else min(timeout_s, _MAX_SLEEP_S)

    def _run_ready(self, timeout_s: float | None) -> None:
        events = self._poller.poll(timeout_s)
        # A thread that saw True a moment ago still sends its wake-up, which then costs a pass.
        self._asleep = False
        self._passes += 1
        for fd, ready in events:
            registration = self._registered.get(fd)
            # An earlier handler may have closed this socket, and registered another with its
            # number.
            if registration is None or registration.born == self._passes:
                continue
            interest = registration.interest
            ready = ready & interest if not ready & ERROR else ERROR | interest
            if ready:
                registration.on_ready(ready)

    def _run_last_posted(self) -> None:
        for _ in range(_LAST_ROUNDS):
            if not self._posted:
                return
            self._run_posted()

    def _die(self, error: BaseException) -> None:
        if self._crash is None:
            self._crash = error
        # Waiting threads must wake, even if it is the program's own logging that fails.
        with suppress(Exception):
            self.log.critical("loop %s died", self.name, exc_info=error)

    def _end(self) -> None:
        """Fail the waiting futures, call ``on_end``, and run the functions that it posts."""
        with self._lock:
            self._stopping = True
        self._drop_posted()
        try:
            self._on_end(self._crash)
        except Exception as error:
            self._die(error)
        for _ in range(_LAST_ROUNDS * len(self._posted)):
            if not self._posted:
                return
            fn, args, _ = self._posted.popleft()
            try:
                fn(*args)
            except Exception as error:
                self._die(error)

    def _drop_posted(self) -> None:
        with self._lock:
            dropped = list(self._posted)
            self._posted.clear()
        for _, _, future in dropped:
            if future is not None:
                future.set_exception(self._end_error())

    def _close(self) -> None:
        with self._lock:
            self._stopping = self._ended = True
        self._clock.off_advance(self._wake)
        self._wake_up.close()
        self._poller.close()
        self._drop_posted()


def _fulfil(future: Future[_T], fn: Callable[..., _T], args: tuple[Any, ...]) -> None:
    """Run ``fn`` and give the future its result or exception. Loop thread."""
    try:
        future.set_result(fn(*args))
    except BaseException as error:
        future.set_exception(error)
