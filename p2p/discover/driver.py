"""What runs the engine on ``p2p-disc``: datagrams and time go in, datagrams and results come out.

A :class:`Driver` owns the engine, its socket and its timer, and nothing but the loop's thread
touches any of them. It decides nothing about discovery. After every input it sends what the engine
wants sent, hands over its events, and sees that it is called again at its deadline.
"""

from __future__ import annotations

import copy
import logging
import socket
from collections.abc import Callable
from typing import Any, TypeAlias

from p2p.clock import Clock
from p2p.discover.engine import Engine
from p2p.discover.event import Counters, Event, ManyTimeouts, NodeAdded, NodeRemoved, OperationDone
from p2p.discover.now import Now
from p2p.discover.ntp import ClockCheck
from p2p.discover.v4wire import MAX_PACKET_SIZE, PacketType
from p2p.discover.view import TableView
from p2p.discover.walk import OnLookup, RandomNodes
from p2p.errors import P2PError
from p2p.events import Feed
from p2p.net import Datagrams, Loop, Timer, format_address
from p2p.net.udp import Datagram

# Where a datagram tells its type, behind hash and signature.
_TYPE_OFFSET = 97

#: Begins something and returns its number.
Start: TypeAlias = Callable[[Engine, Now], int]
#: Is told once the result of what was begun, or its error.
OnDone: TypeAlias = Callable[[Any, P2PError | None], None]
#: What is told of the table.
TableEvent: TypeAlias = NodeAdded | NodeRemoved


class Driver:
    """Runs ``engine`` on ``loop`` with ``sock``, which both belong to it from now on.

    ``events`` gets the changes of the table; ``clock_check`` is begun when nobody answers any more.
    Loop thread only, but for :attr:`lost`.
    """

    def __init__(
        self,
        loop: Loop,
        clock: Clock,
        engine: Engine,
        sock: socket.socket,
        events: Feed[TableEvent],
        clock_check: ClockCheck,
        logger: logging.Logger,
    ) -> None:
        self.walking: set[RandomNodes] = set()
        self._loop = loop
        self._clock = clock
        self._engine = engine
        self._events = events
        self._clock_check = clock_check
        self._log = logger
        self._timer: Timer | None = None
        self._waiting: dict[int, OnDone] = {}
        self._datagrams = Datagrams(loop, sock, self._receive, max_size_bytes=MAX_PACKET_SIZE)
        self._after_input()

    # what is asked of it

    def begin(self, start: Start, on_done: OnDone) -> int:
        """Have the engine begin something; returns its number. Raises what ``start`` raises."""
        operation = start(self._engine, self._now())
        self._waiting[operation] = on_done
        self._after_input()
        return operation

    def begin_random_lookup(self, on_lookup: OnLookup) -> int:
        """Have the engine look up a random target."""
        return self.begin(lambda engine, now: engine.start_random_lookup(now), on_lookup)

    def cancel(self, operation: int) -> None:
        """Forget something that was begun; nobody is told. Harmless when it has ended."""
        if self._waiting.pop(operation, None) is not None:
            self._engine.cancel(operation, self._now())
            self._after_input()

    def table(self) -> TableView:
        """The table as it is now."""
        return TableView.of(self._engine.table, self._now())

    def counters(self) -> Counters:
        """What the engine has counted until now."""
        return copy.deepcopy(self._engine.counters)

    @property
    def lost(self) -> dict[str, int]:
        """Datagrams that the kernel did not take, by the name of its error. Any thread."""
        return dict(self._datagrams.lost)

    @property
    def waiting(self) -> int:
        """How many operations somebody waits for."""
        return len(self._waiting)

    def end(self, make_error: Callable[[], P2PError], fault: P2PError | None) -> None:
        """Close the socket, and tell whoever waits: an error each.

        Iterators come to their end instead, unless there is a ``fault`` to tell.
        """
        self._datagrams.close()
        waiting, self._waiting = self._waiting, {}
        for on_done in waiting.values():
            on_done(None, make_error())
        for walk in tuple(self.walking):
            walk.end(fault)
        self.walking.clear()

    # the engine's input and output

    def _now(self) -> Now:
        return Now(self._clock.monotonic(), self._clock.time_unix())

    def _receive(self, batch: list[Datagram]) -> None:
        if self._log.isEnabledFor(logging.DEBUG):
            self._log_datagrams("from", batch)
        for data, address in batch:
            self._engine.receive_datagram(data, address, self._now())
        self._after_input()

    def _on_timer(self) -> None:
        self._timer = None
        now = self._now()
        if now.monotonic >= self._engine.deadline:
            self._engine.handle_timeout(now)
        self._after_input()

    def _after_input(self) -> None:
        batch = self._engine.datagrams_to_send()
        if batch and self._log.isEnabledFor(logging.DEBUG):
            self._log_datagrams("to", batch)
        for data, address in batch:
            self._datagrams.send(data, address)
        for event in self._engine.poll_events():
            self._handle_event(event)
        self._set_timer(self._engine.deadline)

    def _set_timer(self, deadline: float) -> None:
        # A timer that is too early costs one call; moving it at each packet would cost more.
        if self._timer is None or deadline < self._timer.when:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_at(deadline, self._on_timer)

    def _handle_event(self, event: Event) -> None:
        if isinstance(event, OperationDone):
            on_done = self._waiting.pop(event.operation, None)
            if on_done is not None:
                on_done(event.result, event.error)
        elif isinstance(event, ManyTimeouts):
            self._log.debug("%d requests in a row were not answered", event.count)
            self._clock_check.begin()
        else:
            self._table_changed(event)

    def _table_changed(self, event: TableEvent) -> None:
        self._log.debug("%s: %r", type(event).__name__, event.node)
        self._events.publish(event)
        if isinstance(event, NodeAdded):
            for walk in tuple(self.walking):
                walk.table_changed()

    def _log_datagrams(self, way: str, batch: list[Datagram]) -> None:
        for data, address in batch:
            self._log.debug(
                "%s, %d bytes, %s %s", _kind_name(data), len(data), way, format_address(address)
            )


def _kind_name(data: bytes) -> str:
    try:
        return str(PacketType(data[_TYPE_OFFSET]))
    except (IndexError, ValueError):
        return "no packet"
