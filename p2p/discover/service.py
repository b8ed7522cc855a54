"""Discovery v4 as a program uses it: started, stopped and asked from any thread.

A :class:`UDPv4` owns the thread ``p2p-disc``, on which a :class:`p2p.discover.driver.Driver` runs
the engine and the UDP socket, and lets other threads ask and wait. What discovery v4 *is* stands in
:mod:`p2p.discover.engine`; here nothing is decided. The node database and the local node belong to
the caller, who closes them after :meth:`UDPv4.stop`.

Calls that wait may be made from any thread but ``p2p-disc``, where nothing waits.
"""

from __future__ import annotations

import logging
import os
import random
import socket
import threading
import time
from collections.abc import Sequence
from enum import Enum
from functools import partial
from types import TracebackType
from typing import Any

from p2p.clock import Clock, SystemClock, checked_timeout, finite_timeout
from p2p.crypto import PrivateKey, PublicKey
from p2p.discover.driver import Driver, Start, TableEvent
from p2p.discover.engine import Engine
from p2p.discover.event import Counters
from p2p.discover.local import LocalView
from p2p.discover.now import Now
from p2p.discover.ntp import NTP_SERVER, ClockCheck
from p2p.discover.store import MemoryStore, NodeStore
from p2p.discover.view import TableView
from p2p.discover.walk import RandomNodes
from p2p.enode import Node
from p2p.errors import (
    ConfigError,
    LoopCrashed,
    P2PError,
    ReadTimeout,
    ServerStateError,
    ServerStopped,
)
from p2p.events import DEFAULT_CAPACITY, Feed, Subscription
from p2p.net import Address, Loop, address_of, format_address
from p2p.netutil import Netlist

#: How long ``stop`` waits for the threads to end.
STOP_TIMEOUT_S = 5.0

_KEY_BYTES = 64


class _State(Enum):
    NEW = "not started"
    RUNNING = "running"
    STOPPED = "stopped"


class _Waiter:
    """A thread that waits for an operation of the engine. Told once, on ``p2p-disc``."""

    __slots__ = ("done", "error", "given_up", "operation", "result")

    def __init__(self) -> None:
        self.done = threading.Event()
        self.given_up = False
        self.operation: int | None = None
        self.result: Any = None
        self.error: P2PError | None = None

    def tell(self, result: Any, error: P2PError | None) -> None:
        self.result, self.error = result, error
        self.done.set()


class UDPv4:
    """Discovery v4 on one UDP socket.

    ``sock`` comes from :func:`p2p.net.bind_udp` and belongs to this object from now on. ``local``
    is our own node, ``store`` what is known of others (None: nothing, and it is forgotten at the
    end). ``bootnodes`` are asked when nobody else is known, ``net_restrict`` bounds the addresses
    that are spoken to, ``ping_version`` is the version in our pings. ``ntp_server`` is asked for
    the time when nobody answers any more (None: it is not). ``seed`` makes the engine's choices
    repeatable, for tests. Use it in a ``with`` block, or call
    :meth:`start` and :meth:`stop`, also after a start that failed; it cannot be started again.
    """

    def __init__(
        self,
        private_key: PrivateKey,
        local: LocalView,
        sock: socket.socket,
        *,
        store: NodeStore | None = None,
        bootnodes: Sequence[Node] = (),
        net_restrict: Netlist | None = None,
        ping_version: int = 4,
        clock: Clock | None = None,
        logger: logging.Logger | None = None,
        ntp_server: tuple[str, int] | None = NTP_SERVER,
        seed: int | None = None,
    ) -> None:
        # fixed after __init__
        self._local = local
        self._clock = clock or SystemClock()
        self._log = (logger or logging.getLogger("p2p")).getChild("discover")
        self._make_engine = partial(
            Engine,
            private_key,
            local,
            MemoryStore() if store is None else store,
            bootnodes=tuple(bootnodes),
            net_restrict=net_restrict,
            ping_version=ping_version,
            entropy=os.urandom,
            random=random.Random(seed),
        )
        self._address = address_of(sock.getsockname())
        self._loop = Loop("p2p-disc", self._clock, self._loop_ended)
        self._events: Feed[TableEvent] = Feed()
        # guarded by _lock
        self._lock = threading.Lock()
        self._state = _State.NEW
        # owned by p2p-disc, and by stop() when that does not run
        self._sock = sock
        self._driver: Driver | None = None
        self._clock_check = ClockCheck(self._clock, self._log, ntp_server)

    # life; any thread

    def start(self) -> None:
        """Begin to answer, and to look for nodes.

        Raises ServerStateError if it was started before, OSError if the process has no file
        descriptors left.
        """
        with self._lock:
            if self._state is not _State.NEW:
                raise ServerStateError(f"cannot start: discovery is {self._state.value}")
            self._state = _State.RUNNING
        self._loop.start()
        self._loop.call(self._open)
        self._log.info("discovery on UDP %s", format_address(self._address))

    def stop(self, timeout: float = STOP_TIMEOUT_S) -> list[str]:
        """End the threads and close the socket; whoever waits gets ServerStopped.

        Takes at most about ``timeout`` seconds; returns the names of threads that have not ended
        by then (they are logged, too). Idempotent.
        """
        timeout = finite_timeout(timeout)
        deadline = time.monotonic() + timeout
        with self._lock:
            self._state = _State.STOPPED
        self._loop.stop()
        left = [] if self._loop.join(timeout) else ["p2p-disc"]
        self._events.close()  # without effect if the loop has done so with the fault it died of
        if not left:
            self._sock.close()  # it is closed already, unless the loop never ran
        checking = self._clock_check.thread
        if checking is not None:
            checking.join(max(0.0, deadline - time.monotonic()))
            left += [checking.name] if checking.is_alive() else []
        if left:
            self._log.warning("threads that did not end: %s", ", ".join(left))
        return left

    def __enter__(self) -> UDPv4:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    # questions to the network; any thread but p2p-disc

    def ping(self, node: Node, timeout: float | None = None) -> int | None:
        """Ask ``node`` whether it is there. Returns its record's sequence, None if it has none.

        As with all calls that ask the network, ``timeout`` is in real seconds and ends the wait
        with ReadTimeout; without one the wait ends by itself when the engine has given up. Raises
        RemoteTimeout when the node does not answer, NoEndpoint when it has no UDP address,
        ConfigError for a time that is no number, ServerStateError before the start, ServerStopped
        or LoopCrashed at the end.
        """
        _check_node(node)
        seq: int | None = self._ask(lambda engine, now: engine.start_ping(node, now), timeout)
        return seq

    def lookup(self, target: PublicKey | bytes, timeout: float | None = None) -> list[Node]:
        """Ask the way to ``target``, a public key or any 64 bytes.

        Returns the nodes found closest to it, at most 16, nearest first. Raises as :meth:`ping`.
        """
        key = target.to_bytes() if isinstance(target, PublicKey) else bytes(target)
        if len(key) != _KEY_BYTES:
            raise ConfigError(f"a lookup's target has {_KEY_BYTES} bytes, not {len(key)}")
        nodes: list[Node] = self._ask(lambda engine, now: engine.start_lookup(key, now), timeout)
        return nodes

    def resolve(self, node: Node, timeout: float | None = None) -> Node:
        """The newest that the network knows of ``node``: asked of itself, or found by a lookup.

        Raises NodeNotFound when it is nowhere to be found, and as :meth:`ping`.
        """
        _check_node(node)
        found: Node = self._ask(lambda engine, now: engine.start_resolve(node, now), timeout)
        return found

    def request_enr(self, node: Node, timeout: float | None = None) -> Node:
        """Ask ``node`` for its record, and return the node that the record describes.

        Raises RemoteTimeout when it does not answer, and as :meth:`ping`.
        """
        _check_node(node)
        found: Node = self._ask(lambda engine, now: engine.start_request_enr(node, now), timeout)
        return found

    def random_nodes(self) -> RandomNodes:
        """Nodes from all over the network, without end; close the iterator when done.

        Raises ServerStateError before the start, ServerStopped or LoopCrashed at the end.
        """
        driver = self._running_driver()
        return RandomNodes(self._loop, driver.begin_random_lookup, driver.cancel, driver.walking)

    # what is known here; any thread

    def self(self) -> Node:
        """Our own node, as others may find it."""
        return Node.from_record(self._local.record)

    @property
    def address(self) -> Address:
        """The address and the UDP port of the socket."""
        return self._address

    def table(self) -> TableView:
        """The node table as it is now; ``str`` makes it a text. Raises as :meth:`random_nodes`."""
        return self._loop.call(self._running_driver().table)

    def nodes(self) -> list[Node]:
        """The nodes of the table, nearest buckets first. Raises as :meth:`random_nodes`."""
        return self.table().nodes

    def counters(self) -> Counters:
        """What has come in and gone out since the start. Raises as :meth:`random_nodes`."""
        return self._loop.call(self._running_driver().counters)

    @property
    def lost(self) -> dict[str, int]:
        """Datagrams that the kernel did not take, by the name of its error ("ENOBUFS")."""
        driver = self._driver
        return {} if driver is None else driver.lost

    def subscribe_events(self, capacity: int = DEFAULT_CAPACITY) -> Subscription[TableEvent]:
        """Hear of nodes that come into the table and leave it."""
        return self._events.subscribe(capacity)

    # inside; any thread

    def _ask(self, start: Start, timeout: float | None) -> Any:
        """Have the engine begin something, and wait for its result."""
        self._check_started()
        timeout = checked_timeout(timeout)
        deadline = None if timeout is None else time.monotonic() + timeout
        waiter = _Waiter()
        try:
            try:
                self._loop.call(self._begin, start, waiter, timeout_s=timeout)
            except TimeoutError:
                pass  # the loop is busy; nothing is left of the time
            left_s = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not waiter.done.wait(left_s):
                raise ReadTimeout(f"no result within {timeout:g} s")
        finally:
            if not waiter.done.is_set():
                self._loop.post(self._give_up, waiter)
        if waiter.error is not None:
            raise waiter.error
        return waiter.result

    def _check_started(self) -> None:
        with self._lock:
            if self._state is _State.NEW:
                raise ServerStateError("discovery is not started")

    def _running_driver(self) -> Driver:
        """The driver of a loop that runs. Raises ServerStateError, ServerStopped, LoopCrashed."""
        self._check_started()
        return self._loop.call(self._get_driver)

    # inside; p2p-disc

    def _open(self) -> None:
        now = Now(self._clock.monotonic(), self._clock.time_unix())
        self._driver = Driver(
            self._loop,
            self._clock,
            self._make_engine(now=now),
            self._sock,
            self._events,
            self._clock_check,
            self._log,
        )

    def _get_driver(self) -> Driver:
        if self._driver is None:
            raise ServerStateError("discovery is not started")
        return self._driver

    def _begin(self, start: Start, waiter: _Waiter) -> None:
        if not waiter.given_up:
            waiter.operation = self._get_driver().begin(start, waiter.tell)

    def _give_up(self, waiter: _Waiter) -> None:
        waiter.given_up = True
        if waiter.operation is not None:
            self._get_driver().cancel(waiter.operation)

    def _loop_ended(self, cause: BaseException | None) -> None:
        """Last call on ``p2p-disc``; with a cause, it is dying of it."""
        if self._driver is not None:
            fault = None if cause is None else _end_error(cause)
            self._driver.end(lambda: _end_error(cause), fault)
        self._clock_check.stop()
        self._events.close(cause)


def _end_error(cause: BaseException | None) -> P2PError:
    if cause is None:
        return ServerStopped("discovery was stopped")
    error = LoopCrashed(f"p2p-disc died of {cause!r}")
    error.__cause__ = cause
    return error


def _check_node(node: Node) -> None:
    if not isinstance(node, Node):
        raise ConfigError(f"want a Node, not {node!r}; parse_node(text) makes one of a URL")
