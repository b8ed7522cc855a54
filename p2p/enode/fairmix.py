"""Several sources of nodes, mixed so that none can crowd out the others.

The mix takes from its sources in turn. A source whose turn it is has a time to come up with a node;
when it does not, a node of any other is taken instead, and the source gets half the time at its
next turn, until it delivers again. So sources that are all quick are read equally often, whatever
they have to offer, and one that is slow or silent does not hold up the rest.

Each source is read by a thread of its own, ``p2p-source-<number>``, which holds one node at the
most and reads on when it was taken.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator

from p2p.clock import Clock, SystemClock, finite_timeout
from p2p.enode.iterator import JOIN_TIMEOUT_S, ClosableNodes, close_nodes, join_reader
from p2p.enode.node import Node

_logger = logging.getLogger("p2p.enode")


class _Source:
    """One source and what was read of it. All but ``nodes`` is guarded by the mix's lock."""

    def __init__(self, nodes: Iterator[Node], patience_s: float | None) -> None:
        self.nodes = nodes
        self.patience_s = patience_s
        self.node: Node | None = None
        self.ended = False
        self.thread: threading.Thread | None = None


class FairMix(ClosableNodes):
    """A node iterator that takes from many; sources can be added at any time.

    ``timeout_s`` is how long a source is waited for at its turn, None for as long as it takes; a
    good value is the time that one is willing to wait for a node on average. ``clock`` measures it.

    It ends when it is closed, not when its sources end: those are dropped, and ``next`` waits for
    others to be added. Any thread may read, add and close; a reader gets each node once.
    """

    def __init__(self, timeout_s: float | None, *, clock: Clock | None = None) -> None:
        # fixed after __init__
        self._timeout_s = timeout_s
        self._clock = clock or SystemClock()
        # guarded by _lock
        self._lock = threading.Condition()
        self._sources: list[_Source] = []
        self._turn = 0  # the place in _sources of the source that comes next
        self._added = 0
        self._closed = False
        self._clock.on_advance(self._wake)

    def add_source(self, nodes: Iterator[Node]) -> None:
        """Mix in another source. It is closed with the mix; at once if the mix is closed.

        When it ends it is dropped; when it raises, that is logged and it is dropped, too. Raises
        RuntimeError if the system has no more threads; the source stays the caller's then.
        """
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
        close_nodes(nodes)

    def __next__(self) -> Node:
        """The next node; blocks until there is one. Raises StopIteration when it is closed."""
        with self._lock:
            source = self._next_turn_locked()
            if source is not None and source.node is None and not source.ended:
                self._wait_for_locked(source)
            while not self._closed:
                taken = self._take_locked(source)
                if taken is not None:
                    return taken
                self._lock.wait()
        raise StopIteration

    def close(self, timeout: float = JOIN_TIMEOUT_S) -> None:
        """End the mix, close its sources, and end their threads.

        Threads that their source's ``close`` does not wake are waited for ``timeout`` seconds at
        most, all of them together; they are logged. The ``close`` of a source takes its own time.
        """
        deadline = time.monotonic() + finite_timeout(timeout)
        with self._lock:
            self._closed = True
            sources, self._sources = self._sources, []
            self._lock.notify_all()
        self._clock.off_advance(self._wake)
        for source in sources:
            close_nodes(source.nodes)
        for source in sources:
            if source.thread is not None:
                join_reader(source.thread, max(0.0, deadline - time.monotonic()))

    # The reader.

    def _next_turn_locked(self) -> _Source | None:
        if not self._sources:
            return None
        self._turn %= len(self._sources)
        source = self._sources[self._turn]
        self._turn += 1
        return source

    def _wait_for_locked(self, source: _Source) -> None:
        """Give a source its time to come up with a node."""
        patience_s = source.patience_s
        deadline = None if patience_s is None else self._clock.monotonic() + patience_s
        while not (source.node or source.ended or self._closed):
            if deadline is None:
                self._lock.wait()
            elif self._clock.monotonic() < deadline:
                self._lock.wait(self._clock.sleep_for(deadline))
            else:
                source.patience_s = (patience_s or 0.0) / 2
                return

    def _take_locked(self, first: _Source | None) -> Node | None:
        """A node of ``first``, or of the source that comes next in turn, if there is one."""
        if first is not None and first.node is not None:
            return self._take_from_locked(first)
        for offset in range(len(self._sources)):
            source = self._sources[(self._turn + offset) % len(self._sources)]
            if source.node is not None:
                return self._take_from_locked(source)
        return None

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
        with self._lock:
            self._lock.notify_all()

    # The threads p2p-source-<number>.

    def _run(self, source: _Source) -> None:
        try:
            for node in source.nodes:
                if not self._offer(source, node):
                    break
        except Exception as error:  # of the program's own code; the other sources go on
            if not self._closed:
                _logger.warning("a source of nodes failed, and is dropped: %r", error)
        with self._lock:
            source.ended = True
            self._drop_ended_locked()
            self._lock.notify_all()

    def _offer(self, source: _Source, node: Node) -> bool:
        """Hold a node until a reader takes it; False when the mix is closed before."""
        with self._lock:
            if self._closed:
                return False
            source.node = node
            self._lock.notify_all()
            self._lock.wait_for(lambda: source.node is None or self._closed)
            return not self._closed
