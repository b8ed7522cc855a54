"""Several sources of nodes, mixed so that none can crowd out the others.

The mix takes from its sources in turn. At its turn a source has a limited time to deliver a node;
if it does not, a node of any other is taken instead, and the source gets half the time at its next
turn, until it delivers again. So sources that are all quick are read equally often, however many
nodes they have, and one that is slow or silent does not hold up the rest.

Each source is read by a thread of its own, ``p2p-source-<number>``, which holds at most one node
and reads on when it was taken. A reader waits in ``next``, or polls its turn.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator

from p2p import forks
from p2p.clock import Clock, Deadline, SystemClock, checked_timeout, finite_timeout
from p2p.enode.iterator import (
    JOIN_TIMEOUT_S,
    ClosableNodes,
    as_iterator,
    close_nodes,
    join_reader,
    logger_of,
)
from p2p.enode.node import Node


class _Source:
    """One source and the node read from it. All but ``nodes`` is guarded by the mix's lock."""

    def __init__(self, nodes: Iterator[Node], patience_s: float | None) -> None:
        self.nodes = nodes
        self.patience_s = patience_s
        self.node: Node | None = None
        self.ended = False
        self.thread: threading.Thread | None = None


class Turn:
    """One reader's turn. Until ``deadline`` only its source may deliver a node, then any may.

    ``deadline`` is on the mix's clock, in seconds; None: there is no such time, or it has passed.
    The mix's lock guards both.
    """

    __slots__ = ("deadline", "source")

    def __init__(self, source: _Source | None, deadline: float | None) -> None:
        self.source = source
        self.deadline = deadline


class FairMix(ClosableNodes):
    """A node iterator that mixes the nodes of several; sources can be added at any time.

    ``timeout_s`` is the limit on the wait for a source at its turn, None for no limit; a good value
    is the acceptable average wait for a node. ``clock`` measures it. Sources that fail are logged
    to ``logger`` (None: the logger "p2p").

    It ends when it is closed, not when its sources end: those are dropped, and ``next`` waits for
    others to be added. Any thread may read, add and close; each node goes to one reader, once.
    """

    def __init__(
        self,
        timeout_s: float | None,
        *,
        clock: Clock | None = None,
        logger: logging.Logger | None = None,
    ) -> None:
        # fixed after __init__
        self._log = logger_of(logger)
        self._on_change: Callable[[], object] = _nothing
        self._timeout_s = checked_timeout(timeout_s)
        self._clock = clock or SystemClock()
        # guarded by _lock
        self._lock = forks.Condition("mix of nodes", "make a new one here")
        self._sources: list[_Source] = []
        self._turn = 0  # the place in _sources of the source that comes next
        self._added = 0
        self._closed = False
        self._clock.on_advance(self._wake)

    def add_source(self, nodes: Iterator[Node]) -> None:
        """Mix in another source. It is closed with the mix; at once if the mix is closed.

        When it ends it is dropped; when it raises, that is logged and it is dropped, too. Raises
        RuntimeError if the system has no more threads; the caller then keeps the source. Raises
        ArgumentTypeError for an object that cannot be iterated over.
        """
        nodes = as_iterator("nodes", nodes)
        source = _Source(nodes, self._timeout_s)
        with self._lock:
            if not self._closed:
                name = f"p2p-source-{self._added + 1}"
                thread = threading.Thread(
                    target=self._run, args=(source,), name=name, daemon=True
                )
                thread.start()
                source.thread = thread
                self._added += 1
                self._sources.append(source)
                self._lock.notify_all()
                return
        close_nodes(nodes, self._log)

    def __next__(self) -> Node:
        """Return the next node; blocks until there is one. Raises StopIteration when closed."""
        with self._lock:
            turn = self._begin_turn_locked()
            while not self._closed:
                node = self._take_locked(turn)
                if node is not None:
                    return node
                until = turn.deadline
                self._lock.wait(None if until is None else self._clock.sleep_for(until))
        raise StopIteration

    def __repr__(self) -> str:
        state = "closed" if self._closed else "open"
        return f"<FairMix, {state}, {len(self._sources)} sources>"

    def close(self, timeout: float = JOIN_TIMEOUT_S) -> None:
        """End the mix, close its sources, and end their threads.

        Waits up to ``timeout`` seconds, for all of them together, for threads that the ``close`` of
        their source does not wake; they are logged. The time that the ``close`` of a source itself
        takes is not limited.
        """
        deadline = Deadline(finite_timeout(timeout))
        if not self._lock.is_here:
            return
        with self._lock:
            self._closed = True
            sources, self._sources = self._sources, []
            self._lock.notify_all()
        self._clock.off_advance(self._wake)
        for source in sources:
            close_nodes(source.nodes, self._log)
        for source in sources:
            if source.thread is not None:
                join_reader(source.thread, deadline.left_s, self._log)

    # the reader

    def _begin_turn_locked(self) -> Turn:
        if not self._sources:
            return Turn(None, None)
        self._turn %= len(self._sources)
        source = self._sources[self._turn]
        self._turn += 1
        patience_s = source.patience_s
        return Turn(source, None if patience_s is None else self._clock.monotonic() + patience_s)

    def _take_locked(self, turn: Turn) -> Node | None:
        """Return the node of the source whose turn it is, of the next one if its time is over."""
        first = turn.source
        if first is not None and first.node is not None:
            return self._take_from_locked(first)
        if first is not None and not first.ended and not self._is_over_locked(turn, first):
            return None
        turn.source = turn.deadline = None
        for offset in range(len(self._sources)):
            source = self._sources[(self._turn + offset) % len(self._sources)]
            if source.node is not None:
                return self._take_from_locked(source)
        return None

    def _is_over_locked(self, turn: Turn, source: _Source) -> bool:
        """Whether the time of a source's turn is over; it then gets half of it at the next."""
        if turn.deadline is None or self._clock.monotonic() < turn.deadline:
            return False
        source.patience_s = (source.patience_s or 0.0) / 2
        return True

    def _take_from_locked(self, source: _Source) -> Node | None:
        node, source.node = source.node, None
        source.patience_s = self._timeout_s
        self._drop_ended_locked()
        self._lock.notify_all()
        return node

    def _drop_ended_locked(self) -> None:
        for index in range(len(self._sources) - 1, -1, -1):
            if self._sources[index].ended and self._sources[index].node is None:
                del self._sources[index]
                self._turn -= index < self._turn

    def _wake(self) -> None:
        if not self._lock.is_here:  # called by the copy of a simulated clock in a forked child
            return
        with self._lock:
            self._lock.notify_all()

    # the threads p2p-source-<number>

    def _run(self, source: _Source) -> None:
        try:
            for node in source.nodes:
                if not self._offer(source, node):
                    break
        except Exception as error:  # raised by the program's own code; the other sources go on
            if not self._closed:
                self._log.warning("a source of nodes failed, and is dropped: %r", error)
        with self._lock:
            source.ended = True
            self._drop_ended_locked()
            self._lock.notify_all()
        self._on_change()

    def _offer(self, source: _Source, node: Node) -> bool:
        """Hold a node until a reader takes it. Returns False when the mix is closed before that."""
        with self._lock:
            if self._closed:
                return False
            source.node = node
            self._lock.notify_all()
        self._on_change()
        with self._lock:
            self._lock.wait_for(lambda: source.node is None or self._closed)
            return not self._closed


class PolledMix(FairMix):
    """A mix for a reader that does not wait, but begins a turn and polls it.

    ``on_change`` is called, by the thread of a source, when the source has a node or has ended; it
    must not wait. The other arguments are those of :class:`FairMix`.
    """

    def __init__(
        self,
        timeout_s: float | None,
        on_change: Callable[[], object],
        *,
        clock: Clock | None = None,
        logger: logging.Logger | None = None,
    ) -> None:
        super().__init__(timeout_s, clock=clock, logger=logger)
        self._on_change = on_change

    def begin_turn(self) -> Turn:
        """Give the next source its turn; :meth:`poll` asks for its node."""
        with self._lock:
            return self._begin_turn_locked()

    def poll(self, turn: Turn) -> Node | None:
        """The node of a turn, which is over with it; None if there is no node yet.

        Ask again when ``on_change`` is called, and at ``turn.deadline`` if that is not None.
        """
        with self._lock:
            if not self._closed:
                return self._take_locked(turn)
            turn.deadline = None
        return None


def _nothing() -> None:
    """Do nothing, in place of ``on_change``."""
