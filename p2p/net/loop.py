"""One selector on one thread: posted functions, timers and ready sockets, in bounded passes.

The loop owns its thread, the poller and the wake-up. It does not own the sockets
registered with it: whoever registered one unregisters and closes it, at the latest in ``on_end``.

A pass runs the functions posted before it began, then the timers that are due, then the handlers of
the sockets that are ready, so nothing that these add can starve the others. The loop sleeps only in
the selector, for as long as its clock says. Another thread reaches it by :meth:`Loop.post` alone,
which costs a system call only when the loop is asleep and nobody has woken it yet.

It fails fast: an exception that escapes from a function, a timer or a handler ends the thread, is
logged, is kept in :attr:`Loop.crash`, and wakes every thread that waits in :meth:`Loop.call` or for
a :class:`Request`.
"""

from __future__ import annotations

import logging
import socket
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Generic, TypeVar

from p2p.clock import Clock
from p2p.errors import LoopCrashed, ServerStopped
from p2p.net.poller import EDGE, ERROR, READ, Poller, new_poller
from p2p.net.timer import Timer, TimerQueue
from p2p.net.wakeup import WakeUp

_logger = logging.getLogger("p2p.net")

_T = TypeVar("_T")
_Posted = tuple[Callable[..., object], tuple[Any, ...]]

# A selector takes no time-out beyond 24 days; an early wake-up now and then does no harm.
_MAX_SLEEP_S = 3600.0
# What a stopping loop still runs of the functions that its last functions post, in generations.
# A chain of closing steps is shorter; a function that posts itself for ever must not hold it up.
_LAST_ROUNDS = 16


def _nothing(error: BaseException | None) -> None:
    """The ``on_end`` of a loop that owns nothing."""


def _no_drain(ready: int) -> None:
    """A wake-up that is told of once needs no more than the pass that it causes."""


class Request(ABC):
    """Something to be done on a loop that has to hear of it when it will not be.

    Post its :meth:`run`, with no arguments: if that was accepted, ``run`` or ``abandon`` is called.
    """

    __slots__ = ()

    @abstractmethod
    def run(self) -> None:
        """Do it. Loop thread."""

    @abstractmethod
    def abandon(self) -> None:
        """The loop has ended first. Any thread."""


class _Call(Request, Generic[_T]):
    """A function whose caller waits in another thread. ``ran`` stays False if the loop ends."""

    __slots__ = ("_args", "_fn", "done", "error", "ran", "result")

    def __init__(self, fn: Callable[..., _T], args: tuple[Any, ...]) -> None:
        self._fn = fn
        self._args = args
        self.done = threading.Event()
        self.ran = False
        self.result: _T
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.result = self._fn(*self._args)
        except BaseException as error:  # whatever it is, it is the caller's
            self.error = error
        self.ran = True
        self.done.set()

    def abandon(self) -> None:
        self.done.set()


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

    ``clock`` tells the time of the timers. ``on_end`` is called last on the loop's thread, with the
    exception that ended it or ``None``; it unregisters and closes what is still registered. Only
    what ``on_end`` itself posts runs after it.
    """

    def __init__(
        self,
        name: str,
        clock: Clock,
        on_end: Callable[[BaseException | None], None] = _nothing,
    ) -> None:
        # fixed after __init__
        self.name = name
        self._clock = clock
        self._on_end = on_end
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        # fixed after start()
        self._started = False
        self._poller: Poller
        self._wake_up: WakeUp
        # guarded by _lock (the loop's thread also reads _posted and takes from it)
        self._lock = threading.Lock()
        self._posted: deque[_Posted] = deque()
        self._stopping = False  # only the loop's own thread may post
        self._ended = False  # nobody may
        # Set by the loop's thread before it sleeps; cleared, under _lock, by whoever wakes it, and
        # set again by whoever failed to.
        self._asleep = False
        # owned by the loop's thread; others may read these
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
        """Whether it has been neither started nor stopped."""
        return not self._started and not self._stopping

    @property
    def crash(self) -> BaseException | None:
        """The exception that ended the loop, if one did."""
        return self._crash

    @property
    def passes(self) -> int:
        """How many times the loop has asked the selector."""
        return self._passes

    @property
    def wake_ups(self) -> int:
        """How many times another thread had to wake the loop."""
        return self._wake_up.sent if self._started else 0

    def start(self) -> None:
        """Start the thread, once. Functions posted earlier run then.

        Raises ``RuntimeError`` when the loop was started or stopped before, or when the system has
        no more threads (which counts as a start), and ``OSError`` when the process has no file
        descriptors left.
        """
        if not self.can_start:
            raise RuntimeError(f"loop {self.name} was started or stopped before")
        self._wake_up = WakeUp()
        try:
            self._poller = new_poller()
        except OSError:
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
        except BaseException:  # a Ctrl-C: the thread may run, and closes everything itself
            self.stop()
            raise

    def stop(self) -> None:
        """Ask the thread to end, after the functions already posted. Does not wait; idempotent.

        From now on only the loop's own thread can post.
        """
        with self._lock:
            self._stopping = True
            if not self._started:
                self._ended = True
        if self._ended:  # it never ran, and will not, or it has ended
            self._drop_posted()
        else:
            # Though it may be awake: a Ctrl-C may have come between a post and its wake-up.
            self._wake_up.send()

    def join(self, timeout_s: float | None) -> bool:
        """Wait for the thread to end; ``None`` waits without end. Returns whether it has.

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
        """Have ``fn(*args)`` run on the loop's thread, in the order of the posts.

        Returns False if the loop has ended or was told to: ``fn`` will never run. After True it
        runs unless the loop crashes first.
        """
        try:
            with self._lock:
                if self._stopping and (self._ended or not self.is_current()):
                    return False
                self._posted.append((fn, args))
                if not self._asleep:
                    return True
                self._asleep = False
            self._wake_up.send()
        except BaseException:  # a Ctrl-C, perhaps when nobody else would wake the loop any more
            self._asleep = True  # if it fails again, as at the end of the stack: the next post does
            if self._started:
                self._wake_up.send()
            raise
        return True

    def call(self, fn: Callable[..., _T], *args: Any, timeout_s: float | None = None) -> _T:
        """Run ``fn(*args)`` on the loop's thread and return its result.

        What ``fn`` raises is raised here and does not harm the loop. Raises ``TimeoutError`` after
        ``timeout_s`` real seconds (``fn`` may still run later), ``LoopCrashed`` when the loop died,
        ``ServerStopped`` when it ended. On the loop's own thread ``fn`` is called directly.
        """
        if self.is_current():
            return fn(*args)
        call = _Call(fn, args)
        if self.post(call.run) and not call.done.wait(timeout_s):
            raise TimeoutError(f"no answer from {self.name} within {timeout_s} s")
        if not call.ran:
            raise self._end_error()
        if call.error is None:
            return call.result
        try:
            raise call.error
        finally:
            del call  # its error's traceback leads back to this frame

    def _end_error(self) -> Exception:
        if self._crash is None:
            return ServerStopped(f"{self.name} has stopped")
        error = LoopCrashed(f"{self.name} died of {self._crash!r}")
        error.__cause__ = self._crash
        return error

    def _wake(self) -> None:
        with self._lock:
            if not self._asleep:
                return
            self._asleep = False
        self._wake_up.send()

    # loop thread only

    def now(self) -> float:
        """Seconds on the loop's clock."""
        return self._clock.monotonic()

    def call_at(self, when: float, fn: Callable[..., object], *args: Any) -> Timer:
        """Call ``fn(*args)`` when :meth:`now` has reached ``when``."""
        assert self.is_current(), "only the loop's own thread sets timers"
        return self._timers.push(when, fn, args)

    def call_later(self, delay_s: float, fn: Callable[..., object], *args: Any) -> Timer:
        """Call ``fn(*args)`` after ``delay_s`` seconds, in the next pass at the earliest."""
        return self.call_at(self._clock.monotonic() + delay_s, fn, *args)

    def register(self, sock: socket.socket, interest: int, on_ready: Callable[[int], None]) -> None:
        """Have ``on_ready(ready)`` called whenever ``sock`` is ready (level-triggered).

        ``interest`` is ``READ``, ``WRITE``, both or 0. ``ready`` has the bits of the interest that
        are met. When the connection is dead, it has ``ERROR`` and all bits of the interest, and
        this comes even for interest 0, where the platform tells (Linux does): the handler then has
        to unregister. Raises ``ValueError`` when the socket is registered or closed.
        """
        assert self.is_current(), "only the loop's own thread registers sockets"
        fd = sock.fileno()
        if fd < 0 or fd in self._registered:
            raise ValueError(f"socket is closed or registered already: {sock}")
        self._poller.add(fd, interest)
        self._registered[fd] = _Registration(fd, interest, on_ready, self._passes)

    def set_interest(self, sock: socket.socket, interest: int) -> None:
        """Wait for something else. Raises ``KeyError`` when the socket is not registered."""
        registration = self._registered[sock.fileno()]
        if registration.interest != interest:
            self._poller.change(registration.fd, registration.interest, interest)
            registration.interest = interest

    def unregister(self, sock: socket.socket) -> None:
        """Forget the socket, which must not be closed yet; no effect when it is not registered."""
        registration = self._registered.pop(sock.fileno(), None)
        if registration is not None:
            with suppress(OSError):  # the program has closed its number: nobody watches it
                self._poller.remove(registration.fd, registration.interest)

    def scratch(self, size_bytes: int) -> memoryview:
        """Memory that every handler of this loop may use until it returns; may be longer."""
        if len(self._scratch) < size_bytes:
            self._scratch = memoryview(bytearray(size_bytes))
        return self._scratch

    # inside

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
            self._ident = None  # the system gives the number to another thread

    def _run_posted(self) -> None:
        posted = self._posted
        for _ in range(len(posted)):
            fn, args = posted.popleft()
            fn(*args)

    def _run_timers(self) -> None:
        when = self._timers.next_when()
        if when is None or when > (now := self._clock.monotonic()):
            return
        for timer in self._timers.pop_due(now):
            timer.fire()

    def _sleep_time(self) -> float | None:
        # The order matters: whoever posts, stops or moves the clock after this line sees that the
        # loop is asleep and wakes it; what was done before is seen below.
        self._asleep = True
        if self._posted or self._stopping:
            return 0.0
        when = self._timers.next_when()
        if when is None:
            return None
        timeout_s = self._clock.sleep_for(when)
        return None if timeout_s is None else min(timeout_s, _MAX_SLEEP_S)

    def _run_ready(self, timeout_s: float | None) -> None:
        events = self._poller.poll(timeout_s)
        # A thread that saw True a moment ago still sends its wake-up, which then costs a pass.
        self._asleep = False
        self._passes += 1
        for fd, ready in events:
            registration = self._registered.get(fd)
            # A handler before may have closed this socket, and registered another of its number.
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
        # Whoever waits must wake, even if the program's own logging is what fails.
        with suppress(Exception):
            _logger.critical("loop %s died", self.name, exc_info=error)

    def _end(self) -> None:
        """Wake who waits, tell the owner, and run what the owner posts to close its things."""
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
            fn, args = self._posted.popleft()
            try:
                fn(*args)
            except Exception as error:
                self._die(error)

    def _drop_posted(self) -> None:
        with self._lock:
            dropped = list(self._posted)
            self._posted.clear()
        for fn, _ in dropped:
            request = getattr(fn, "__self__", None)
            if isinstance(request, Request):
                request.abandon()

    def _close(self) -> None:
        with self._lock:
            self._stopping = self._ended = True
        self._clock.off_advance(self._wake)
        self._wake_up.close()
        self._poller.close()
        self._drop_posted()
