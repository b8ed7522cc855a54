"""Runner: one engine on ``p2p-disc``, and the threads and iterators that wait for its results.

A :class:`Runner` passes time and commands to its engine, sends its datagrams, and passes on its
events: results to waiting threads and iterators, changes of the table to subscribers, warnings to
the log. It makes no decisions about discovery. The order of calls is that of
:mod:`p2p.discover.engine`; datagrams come from the :class:`p2p.discover.driver.Driver`.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any, NamedTuple, TypeAlias, TypeVar

from p2p.clock import Clock
from p2p.discover.clockcheck import ClockCheck, warn_of_drift
from p2p.discover.counters import Counters
from p2p.discover.engine import Engine
from p2p.discover.event import (
    BootnodeLeftOut,
    BootnodeSilent,
    ClockAhead,
    Event,
    ManyTimeouts,
    NameWanted,
    NodeAdded,
    NodeRemoved,
    OperationDone,
    TalkReceived,
)
from p2p.discover.iterator import FoundNodes, OnLookup, RandomNodes, TopicNodes
from p2p.discover.observer import DiscoveryObserver
from p2p.discover.operations import Operations
from p2p.discover.table.snapshot import TableView, view_of
from p2p.enode import Node
from p2p.errors import P2PError, ServerStateError, ServerStopped
from p2p.feed import Feed
from p2p.inputs import Now
from p2p.net import Loop, NameLookups, Timer
from p2p.netutil import Endpoint, IPAddress, join_host_port
from p2p.observerguard import ObserverGuard

_T = TypeVar("_T")
#: Makes an engine, with an observer or None.
MakeEngine: TypeAlias = Callable[[Now, DiscoveryObserver | None], Engine]
#: Starts an operation and returns its number.
Start: TypeAlias = Callable[[Operations, Now], int]
#: Called once, with the result of an operation or with its error.
OnDone: TypeAlias = Callable[[Any, P2PError | None], None]
#: Sends a datagram; it may be lost.
Send: TypeAlias = Callable[[bytes, Endpoint], object]
#: Takes an address with a zone: datagrams to it go by that interface.
UseZone: TypeAlias = Callable[[IPAddress], object]
#: Changes of the table.
TableEvent: TypeAlias = NodeAdded | NodeRemoved


class Restored(NamedTuple):
    """The state of an earlier run: the nodes of the table.

    ``on_ready`` is called once, on p2p-disc: when the table was refreshed or has nodes, and at the
    end at the latest.
    """

    nodes: Sequence[Node]
    on_ready: Callable[[Runner], object]


class Runner:
    """A thread for the engine that ``make`` makes when it starts.

    ``events`` publishes the changes of the table; ``clock_check`` is started after many timeouts in
    a row; ``lookups`` looks up the names of bootnodes. Set ``observer`` and ``restored``, if any,
    before :meth:`open`. Loop thread only, except for ``events``. Before :meth:`open` all calls
    raise ServerStateError.
    """

    def __init__(
        self,
        loop: Loop,
        clock: Clock,
        make: MakeEngine,
        clock_check: ClockCheck,
        lookups: NameLookups,
        logger: logging.Logger,
    ) -> None:
        # fixed after __init__
        self.events: Feed[TableEvent] = Feed()
        self.events.begin()
        #: Handles requests of application protocols. p2p-disc; returns False for one that is lost.
        self.on_talk: Callable[[TalkReceived], bool] = _no_talk
        #: Called once, at the end.
        self.on_end: Callable[[], object] = _nothing
        self._loop = loop
        self._clock = clock
        self._make = make
        self._clock_check = clock_check
        self._lookups = lookups
        self._log = logger
        # fixed before open()
        self.observer: DiscoveryObserver | None = None
        self.restored: Restored | None = None
        # set once, by p2p-disc
        self.is_ready = False
        # owned by p2p-disc
        self._engine: Engine | None = None
        self._use_zone: UseZone = _use_no_zone
        self._send: Send = _lose
        self._timer: Timer | None = None
        self._waiting: dict[int, OnDone] = {}
        self._walking: set[FoundNodes] = set()

    def open(self, send: Send, use_zone: UseZone | None = None) -> None:
        """Make the engine and start it; datagrams are sent with ``send``.

        ``use_zone`` gets each address that a name has: its zone is not in that of a node.
        """
        self._use_zone = use_zone or self._use_zone
        observer = self.observer
        if observer is not None:
            observer = ObserverGuard(self._clock, self._log).guard(observer)
        self._engine, self._send = self._make(self._now(), observer), send
        if self.restored is not None:
            self._engine.restore(self.restored.nodes, self._now())
        self.after_input()

    @property
    def engine(self) -> Engine:
        """The engine. Raises ServerStateError before :meth:`open`."""
        if self._engine is None:
            raise ServerStateError("discovery is not started")
        return self._engine

    @property
    def engine_or_none(self) -> Engine | None:
        """The engine; None before :meth:`open`. Any thread, to read its counts."""
        return self._engine

    # commands and queries

    def begin(self, start: Start, on_done: OnDone) -> int:
        """Start an operation of the engine; return its number. Raises the errors of ``start``."""
        operation = start(self.engine.operations, self._now())
        self._waiting[operation] = on_done
        self.after_input()
        return operation

    def cancel(self, operation: int) -> None:
        """Cancel an operation; its ``on_done`` is not called. Harmless when it has ended."""
        if self._waiting.pop(operation, None) is not None:
            self.engine.operations.cancel(operation)
            self.after_input()

    def post(self, fn: Callable[[Engine, Now], object]) -> None:
        """Have ``fn`` give the engine an input, soon. Any thread; nothing happens after the end."""
        self._loop.post(self.give, fn)

    def request_record(self, node: Node, on_done: OnDone) -> None:
        """Ask ``node`` for its record, without waiting. Any thread.

        ``on_done`` must neither block nor raise; it is not called if discovery has ended before.
        """
        self._loop.post(self.begin, partial(_begin_request, node), on_done)

    def random_nodes(self) -> RandomNodes:
        """Return a new iterator over nodes of the network."""
        _ = self.engine  # raises before open()
        return RandomNodes(self._loop, self._begin_random_lookup, self.cancel, self._walking)

    def topic_nodes(self, look_up: Start) -> TopicNodes:
        """Return a new iterator over the nodes that ``look_up`` finds, one step of a search."""
        begin = partial(self.begin, look_up)
        return TopicNodes(self._loop, begin, self.cancel, self._walking)

    def table(self) -> TableView:
        """Return a copy of the current table."""
        return view_of(self.engine.table, self._now())

    def counters(self) -> Counters:
        """Return a copy of the engine's current counters."""
        return copy.deepcopy(self.engine.counters)

    @property
    def waiting(self) -> int:
        """Number of operations whose result is awaited."""
        return len(self._waiting)

    def end(self, make_error: Callable[[], P2PError], cause: BaseException | None) -> None:
        """End all waits with an error each. Without a ``cause`` iterators just end."""
        waiting, self._waiting = self._waiting, {}
        for on_done in waiting.values():
            on_done(None, make_error())
        for walk in tuple(self._walking):
            walk._end(None if cause is None else make_error())
        self._walking.clear()
        self.events.close(cause)
        if not self.is_ready:
            self._note_ready()
        self.on_end()

    # the engine's input and output

    def receive(self, data: bytes, address: Endpoint) -> bool:
        """Pass a datagram to the engine; return whether it accepts it.

        Call :meth:`after_input` next.
        """
        return self.engine.receive_datagram(data, address, self._now())

    def after_input(self) -> None:
        """Send the engine's datagrams, pass on its events, set the timer."""
        engine = self.engine
        batch = engine.datagrams_to_send()
        if batch and self._log.isEnabledFor(logging.DEBUG):
            for data, address in batch:
                log_datagram(self._log, engine.kind_of(data), len(data), "to", address)
        for data, address in batch:
            self._send(data, address)
        for event in engine.poll_events():
            self._handle_event(event)
        self._set_timer(engine.deadline)
        if engine.is_initialized and not self.is_ready:
            self._note_ready()

    def _note_ready(self) -> None:
        self.is_ready = True
        if self.restored is not None:
            self.restored.on_ready(self)

    def _now(self) -> Now:
        return Now(self._clock.monotonic(), self._clock.time_unix())

    def give(self, fn: Callable[[Engine, Now], _T]) -> _T:
        """Have ``fn`` give the engine an input. Returns its result, and raises its errors."""
        result = fn(self.engine, self._now())
        self.after_input()
        return result

    def _begin_random_lookup(self, on_lookup: OnLookup) -> int:
        return self.begin(Operations.random_lookup, on_lookup)

    def _on_timer(self) -> None:
        self._timer = None
        now = self._now()
        if now.monotonic >= self.engine.deadline:
            self.engine.handle_timeout(now)
        self.after_input()

    def _set_timer(self, deadline: float) -> None:
        # A timer that is too early costs one call; a new timer for each packet would cost more.
        if self._timer is None or deadline < self._timer.when:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_at(deadline, self._on_timer)

    # the engine's events

    def _handle_event(self, event: Event) -> None:
        if isinstance(event, OperationDone):
            on_done = self._waiting.pop(event.operation, None)
            if on_done is not None:
                on_done(event.result, event.error)
        elif isinstance(event, ManyTimeouts):
            self._log.debug("%d requests in a row were not answered", event.count)
            self._clock_check.begin()
        elif isinstance(event, BootnodeSilent):
            self._warn_of_silence(event)
        elif isinstance(event, BootnodeLeftOut):
            self._log.warning("bootnode %s is left out: %s", event.node.id.short, event.reason)
        elif isinstance(event, NameWanted):
            found = self._lookups.begin(event.name)
            found.add_done_callback(partial(self._looked_up, event.name))
        elif isinstance(event, ClockAhead):
            warn_of_drift(self._log, event.seconds, _sources_text(event))
        elif isinstance(event, TalkReceived):
            if not self.on_talk(event):
                self.engine.counters.dropped["talk"] += 1
        else:
            self._table_changed(event)

    def _looked_up(self, name: str, found: Future[list[IPAddress]]) -> None:
        """Give the engine the outcome of a look-up. Called on the thread of the look-up."""
        error = found.exception()
        if error is None:
            ips = found.result()
            self.post(lambda engine, now: self._receive_addresses(engine, name, ips, now))
        elif not isinstance(error, ServerStopped):
            reason = (isinstance(error, OSError) and error.strerror) or str(error)
            self.post(lambda engine, now: engine.receive_no_address(name, reason, now))

    def _receive_addresses(
        self, engine: Engine, name: str, ips: Sequence[IPAddress], now: Now
    ) -> None:
        for ip in ips:
            self._use_zone(ip)
        engine.receive_addresses(name, ips, now)

    def _warn_of_silence(self, event: BootnodeSilent) -> None:
        places = " and ".join(str(endpoint) for endpoint in event.node.udp_endpoints)
        self._log.warning(
            "bootnode %s at %s does not answer, %d pings were lost: it may be down, have another "
            "address, port or key, be behind a firewall that drops UDP, or speak another version "
            "of discovery only; or our own clock is behind",
            event.node.id.short,
            places,
            event.pings,
        )

    def _table_changed(self, event: TableEvent) -> None:
        self._log.debug("%s: %r", type(event).__name__, event.node)
        self.events.publish(event)
        if isinstance(event, NodeAdded):
            for walk in tuple(self._walking):
                walk._table_changed()


def _begin_request(node: Node, operations: Operations, now: Now) -> int:
    return operations.request_enr(node, now)


def _no_talk(request: TalkReceived) -> bool:
    """Drop a request: this protocol has no handlers."""
    return False


def _nothing() -> None:
    """No-op."""


def _use_no_zone(ip: IPAddress) -> None:
    """No-op."""


def _lose(data: bytes, address: Endpoint) -> None:
    """Drop the datagram: there is no socket yet."""


def log_datagram(
    logger: logging.Logger, kind: str | None, size_bytes: int, way: str, address: Endpoint
) -> None:
    """Log a datagram."""
    text = kind or "no packet"
    logger.debug("%s, %d bytes, %s %s", text, size_bytes, way, join_host_port(*address))


def _sources_text(event: ClockAhead) -> str:
    """Name the nodes whose clocks ours was compared with."""
    if event.votes == len(event.bootnodes):
        names = ", ".join(node_id.short for node_id in event.bootnodes)
        return f"bootnode {names}, and no other node answers"
    return f"the nodes in {event.votes} networks that answer us"
