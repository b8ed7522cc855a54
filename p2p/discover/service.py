"""Discovery on one UDP socket: its thread, its start and stop, and the threads that wait for it.

A :class:`Service` owns the thread ``p2p-disc``, on which a :class:`p2p.discover.driver.Driver` runs
the UDP socket and the engines that share it, and offers blocking calls to other threads. It knows
no protocol; each has a front for programs, a :class:`p2p.discover.front.Discovery`.

Calls that wait may be made from any thread but ``p2p-disc``, which must not block.
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable
from enum import Enum
from typing import Any, TypeVar

from p2p import forks
from p2p.clock import Clock, Deadline, SystemClock, checked_timeout, finite_timeout
from p2p.discover.clockcheck import NTP_SERVER, ClockCheck
from p2p.discover.driver import Driver
from p2p.discover.runner import MakeEngine, Runner, Start
from p2p.enode.node import Node
from p2p.errors import (
    LoopCrashed,
    NameNotResolved,
    P2PError,
    ServerStateError,
    ServerStopped,
    Timeout,
)
from p2p.leaks import stop_if_leaked
from p2p.net import (
    DatagramSocket,
    Loop,
    NameLookups,
    endpoint_of,
    served_version,
    simulated_networks,
)
from p2p.netutil import Endpoint, IPAddress, Netlist

#: Limit on the wait of ``stop`` for the threads to end, in seconds.
STOP_TIMEOUT_S = 5.0

#: Longest wait for the address of a name, in seconds: as long as for a connection.
NAME_TIMEOUT_S = 15.0

_T = TypeVar("_T")


class _State(Enum):
    NEW = "not started"
    RUNNING = "running"
    STOPPED = "stopped"


class _Waiter:
    """A thread that waits for an operation of an engine; :meth:`end` is called on ``p2p-disc``."""

    __slots__ = ("done", "error", "given_up", "operation", "result")

    def __init__(self) -> None:
        self.done = threading.Event()
        self.given_up = False
        self.operation: int | None = None
        self.result: Any = None
        self.error: P2PError | None = None

    def end(self, result: Any, error: P2PError | None) -> None:
        self.result, self.error = result, error
        self.done.set()


class _Parts:
    """The parts on ``p2p-disc``. They do not refer to the Service, which the program may lose."""

    def __init__(self, clock_check: ClockCheck, lookups: NameLookups) -> None:
        self.clock_check = clock_check
        self.lookups = lookups
        self.runners: list[Runner] = []
        self.driver: Driver | None = None

    def use_zones(self, ips: list[IPAddress]) -> None:
        """Pass on the zones of addresses, if the socket is open."""
        if self.driver is not None:
            self.driver.use_zones(ips)

    def loop_ended(self, cause: BaseException | None) -> None:
        """Called last on ``p2p-disc``, with the exception that ends it, if any."""
        if self.driver is not None:
            self.driver.close()
        for runner in self.runners:
            runner.end(lambda: _end_error(cause), cause)
        self.clock_check.stop()
        self.lookups.stop()


class Service:
    """The engines on one UDP socket.

    ``sock`` comes from :func:`p2p.net.bind_udp` and belongs to this object from now on.
    ``ntp_server`` is asked for the time after many timeouts in a row (None: no check). Engines are
    added before the start; datagrams are passed to them in that order. Call :meth:`stop` after
    :meth:`start`, even if the start failed; it cannot be started again. It belongs to the process
    that made it: in a forked child its calls raise WrongProcess.
    """

    def __init__(
        self,
        sock: DatagramSocket,
        *,
        clock: Clock | None = None,
        logger: logging.Logger | None = None,
        ntp_server: tuple[str, int] | None = NTP_SERVER,
    ) -> None:
        # fixed after __init__
        self.address: Endpoint = endpoint_of(sock.getsockname())
        #: The IP version that the socket serves, 4 or 6; None: both.
        self.ip_version: int | None = served_version(sock)
        #: Special networks that the socket reaches as the Internet.
        self.simulated: Netlist = simulated_networks(sock)
        self._clock = clock or SystemClock()
        logger = logger or logging.getLogger("p2p")
        self._log = logger.getChild("discover")
        self._process = forks.here
        lookups = NameLookups()
        self._clock_check = ClockCheck(self._clock, self._log, ntp_server, lookups=lookups)
        self._parts = _Parts(self._clock_check, lookups)
        self._loop = Loop("p2p-disc", self._clock, self._parts.loop_ended, logger)
        # guarded by _lock
        self._lock = threading.Lock()
        self._state = _State.NEW
        # owned by p2p-disc, and by stop() when that thread does not run
        self._sock = sock
        # fixed after start()
        self._finalizer: weakref.finalize[..., object] | None = None

    # start and stop; any thread

    def add(self, make: MakeEngine) -> Runner:
        """Add the engine that ``make`` makes, before the start, and return its runner."""
        runner = Runner(
            self._loop, self._clock, make, self._clock_check, self._parts.lookups, self._log
        )
        self._parts.runners.append(runner)
        return runner

    def start(self) -> None:
        """Begin to answer, and to search for nodes.

        Raises ServerStateError if it was started before, OSError if the process has no file
        descriptors left.
        """
        self.check_process()
        with self._lock:
            if self._state is not _State.NEW:
                raise ServerStateError(f"cannot start: discovery is {self._state.value}")
            self._state = _State.RUNNING
        try:
            self._loop.start()
            self._loop.call(self._open)
        except BaseException:
            self._loop.stop()  # otherwise calls would wait for it
            raise
        text = f"discovery on UDP {self.address}"
        self._finalizer = stop_if_leaked(self, text, self._loop.stop)
        self._log.info("discovery on UDP %s", self.address)

    def stop(self, timeout: float = STOP_TIMEOUT_S) -> list[str]:
        """End the threads and close the socket; waiting calls raise ServerStopped.

        Takes at most about ``timeout`` seconds; returns the names of threads that have not ended
        by then (they are also logged). Idempotent; in a forked child it does nothing.
        """
        timeout = finite_timeout(timeout)
        if not self._process.is_here:
            return []
        if self._finalizer is not None:
            self._finalizer.detach()
        deadline = Deadline(timeout)
        with self._lock:
            self._state = _State.STOPPED
        self._loop.stop()
        left = [] if self._loop.join(timeout) else ["p2p-disc"]
        for runner in self._parts.runners:
            runner.events.close()  # no effect if a crash of the loop has closed them
        if not left:
            self._sock.close()  # no effect unless the loop never ran
        checking = self._clock_check.thread
        if checking is not None:
            checking.join(deadline.left_s)
            left += [checking.name] if checking.is_alive() else []
        if left:
            self._log.warning("threads that did not end: %s", ", ".join(left))
        return left

    # calls that wait; any thread but p2p-disc

    def ask(self, runner: Runner, start: Start, timeout: float | None) -> Any:
        """Start an operation of an engine, wait for its result and return it.

        Raises Timeout after ``timeout`` real seconds (None: never), the operation's error,
        ArgumentError for a timeout that is no number, and as :meth:`call`.
        """
        self._check_started()
        timeout = checked_timeout(timeout)
        deadline = Deadline(timeout)
        waiter = _Waiter()
        try:
            try:
                self._loop.call(_begin, runner, start, waiter, timeout_s=timeout)
            except TimeoutError:
                pass  # the loop is busy, and the time is up
            if not waiter.done.wait(deadline.left_s):
                raise Timeout(f"no result within {timeout:g} s")
        finally:
            if not waiter.done.is_set():
                self._loop.post(_give_up, runner, waiter)
        if waiter.error is not None:
            raise waiter.error
        return waiter.result

    def at_each_address(self, node: Node, deadline: Deadline) -> list[Node]:
        """Return ``node``, which has a name, at each address of that. Waits.

        Raises NameNotResolved without an address or after ``NAME_TIMEOUT_S``, Timeout at
        ``deadline``, and as :meth:`call`.
        """
        self._check_started()
        timeout_s = deadline.left_at_most(NAME_TIMEOUT_S)
        try:
            found = self._parts.lookups.wait(node.hostname, timeout_s)
        except ServerStopped:
            self._loop.call(int)  # raises the error that has the reason
            raise
        except (OSError, RuntimeError) as error:  # RuntimeError: no more threads
            if deadline.is_over:
                raise Timeout(f"no address of {node.hostname} within {timeout_s:g} s") from error
            text = (isinstance(error, OSError) and error.strerror) or str(error)
            raise NameNotResolved(text) from error
        self._loop.post(self._parts.use_zones, found)
        return [node.with_hostname("").with_ip(ip) for ip in found]

    def call(self, fn: Callable[[], _T]) -> _T:
        """Run ``fn`` on ``p2p-disc`` and return its result.

        Raises ServerStateError before the start, ServerStopped or LoopCrashed after the end.
        """
        self._check_started()
        return self._loop.call(fn)

    # local state; any thread

    @property
    def lost(self) -> dict[str, int]:
        """Numbers of datagrams that the kernel refused, by the name of its error ("ENOBUFS")."""
        driver = self._parts.driver
        return {} if driver is None else driver.lost

    @property
    def state(self) -> str:
        """The state, as text."""
        if not self._process.is_here:
            return f"of process {self._process.pid}"
        return "crashed" if self._loop.crash else self._state.value

    @property
    def is_here(self) -> bool:
        """Whether this process made it; False in a forked child."""
        return self._process.is_here

    def check_process(self) -> None:
        """Raise WrongProcess in a forked child."""
        self._process.check("discovery")

    # inside

    def _check_started(self) -> None:
        self.check_process()
        with self._lock:
            if self._state is _State.NEW:
                raise ServerStateError("discovery is not started")

    def _open(self) -> None:
        self._parts.driver = Driver(self._loop, self._sock, self._parts.runners, self._log)


def _begin(runner: Runner, start: Start, waiter: _Waiter) -> None:
    if not waiter.given_up:
        waiter.operation = runner.begin(start, waiter.end)


def _give_up(runner: Runner, waiter: _Waiter) -> None:
    waiter.given_up = True
    if waiter.operation is not None:
        runner.cancel(waiter.operation)


def _end_error(cause: BaseException | None) -> P2PError:
    if cause is None:
        return ServerStopped("discovery was stopped")
    error = LoopCrashed(f"p2p-disc died of {cause!r}")
    error.__cause__ = cause
    return error
