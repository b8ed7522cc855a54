"""Endless iterators over found nodes: those of the whole network, and those of a topic.

Any thread may read a :class:`FoundNodes`, or ask it for a node without waiting. The discovery
thread makes its lookups: one at a time, and only when a reader waits for a node. It owns the nodes
found and not yet read, and the pause between two lookups; it does not own the lookups.

In a large network each lookup finds nodes not seen before. In a small one it finds the same few
again and again, and almost none while the table is empty. Lookups are less frequent then, and as
frequent as before once a new node is found. So it is with the nodes of a topic.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TypeAlias

from p2p import forks
from p2p.enode import Node, NodeID
from p2p.enode.iterator import ClosableNodes, OnNode
from p2p.errors import LoopCrashed, P2PError, ServerStopped
from p2p.net import Loop, Timer

#: Shortest time from the beginning of a lookup to the next, in seconds.
MIN_INTERVAL_S = 1.0
#: Longest time, in seconds. Each lookup without a new node doubles the time.
MAX_INTERVAL_S = 8.0
#: The same for the nodes of a topic. A pass asks some fifty registrars, and ads last for minutes.
MAX_TOPIC_INTERVAL_S = 30.0
#: Most nodes recorded as seen. In a larger network, nearly every lookup finds a new one.
MAX_SEEN = 256

#: Callback with the nodes of a lookup, or its error; called once.
OnLookup: TypeAlias = Callable[[list[Node] | None, P2PError | None], None]


class FoundNodes(ClosableNodes):
    """An endless iterator over the nodes of one lookup after another.

    ``look_up`` begins a lookup and returns its number, ``cancel`` ends one; both are called on the
    thread of ``loop``. That thread also owns ``walking``, the set of iterators with waiting
    readers.
    """

    #: Longest time from the beginning of a lookup to the next, in seconds.
    _max_interval_s = MAX_INTERVAL_S

    def __init__(
        self,
        loop: Loop,
        look_up: Callable[[OnLookup], int],
        cancel: Callable[[int], None],
        walking: set[FoundNodes],
    ) -> None:
        # fixed after __init__
        self._loop = loop
        self._look_up = look_up
        self._cancel = cancel
        # guarded by _changed
        self._changed = forks.Condition("iterator")
        self._nodes: deque[Node] = deque()
        self._asked = False  # a walk is under way
        self._closed = False
        self._error: P2PError | None = None
        # owned by the loop's thread
        self._walking = walking
        self._askers: deque[OnNode] = deque()
        self._lookup: int | None = None
        self._timer: Timer | None = None
        self._began = float("-inf")
        self._interval_s = MIN_INTERVAL_S
        self._seen: dict[NodeID, None] = {}

    # any thread

    def __next__(self) -> Node:
        """Return the next node; wait until there is one."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._nodes or self._closed or not self._asked)
                if self._nodes:
                    return self._nodes.popleft()
                if self._closed:
                    break
                self._asked = True
            try:
                self._loop.call(self._walk)
            except ServerStopped:
                self._end(None)
            except LoopCrashed as error:
                self._end(error)
        if self._error is not None:
            raise self._error
        raise StopIteration

    def _ask(self, on_node: OnNode) -> None:
        """Have ``on_node`` called once with the next node, on the loop's thread; does not wait.

        ``on_node`` must neither block nor raise. It is not called if the iterator or discovery ends
        first.
        """
        self._loop.post(self._add_asker, on_node)

    def close(self) -> None:
        """End the iteration for all waiting threads. Idempotent; any thread."""
        if not self._changed.is_here:
            return
        self._end(None)
        self._loop.post(self._stop_walking)

    def _end(self, error: P2PError | None) -> None:
        """Wake all waiting threads, with ``error`` if that ended discovery. No effect if closed."""
        with self._changed:
            if not self._closed:
                self._closed, self._error = True, error
            self._nodes.clear()
            self._changed.notify_all()

    def __repr__(self) -> str:
        state = "closed" if self._closed else "open"
        return f"<{type(self).__name__}, {state}, {len(self._nodes)} found>"

    # the loop's thread

    def _table_changed(self) -> None:
        """Shorten the wait for the next lookup: a node was added to the table."""
        if self._timer is not None:
            self._interval_s = MIN_INTERVAL_S
            self._timer.cancel()
            self._schedule()

    def _add_asker(self, on_node: OnNode) -> None:
        self._askers.append(on_node)
        self._serve()

    def _serve(self) -> None:
        """Give nodes to the callbacks of :meth:`_ask`; if there are not enough, look up more."""
        with self._changed:
            count = min(len(self._askers), len(self._nodes))
            nodes = [self._nodes.popleft() for _ in range(count)]
            begins = len(self._askers) > count and not self._asked
            self._asked = self._asked or begins
        for node in nodes:
            self._askers.popleft()(node)
        if begins:
            self._walk()

    def _walk(self) -> None:
        with self._changed:
            if self._closed:
                return
        self._walking.add(self)
        self._schedule()

    def _schedule(self) -> None:
        when = max(self._loop.now(), self._began + self._interval_s)
        self._timer = self._loop.call_at(when, self._begin_lookup)

    def _begin_lookup(self) -> None:
        self._timer = None
        self._began = self._loop.now()
        self._lookup = self._look_up(self._looked_up)

    def _looked_up(self, nodes: list[Node] | None, error: P2PError | None) -> None:
        self._lookup = None
        if self not in self._walking:
            return  # closed
        if self._note(nodes or ()):
            self._interval_s = MIN_INTERVAL_S
        else:
            self._interval_s = min(self._interval_s * 2, self._max_interval_s)
        if not nodes:
            self._schedule()
            return
        self._walking.discard(self)
        with self._changed:
            self._asked = False
            if not self._closed:
                self._nodes.extend(nodes)
            self._changed.notify_all()
        self._serve()

    def _note(self, nodes: list[Node] | tuple[()]) -> bool:
        """Record the nodes as seen. Return whether one of them is new."""
        new = [node.id for node in nodes if node.id not in self._seen]
        for node in nodes:
            self._seen.pop(node.id, None)
            self._seen[node.id] = None
        while len(self._seen) > MAX_SEEN:
            del self._seen[next(iter(self._seen))]
        return bool(new)

    def _stop_walking(self) -> None:
        self._askers.clear()
        self._walking.discard(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._lookup is not None:
            self._cancel(self._lookup)
            self._lookup = None


class RandomNodes(FoundNodes):
    """An endless iterator over nodes of the network, in no order, often with repetitions.

    ``next()`` waits for a node. It ends when any thread closes the iterator, or when discovery is
    stopped; if an internal error ended discovery, LoopCrashed is raised instead. Several threads
    may read it; each node goes to one of them. Made by ``Discovery.random_nodes``.
    """


class TopicNodes(FoundNodes):
    """An endless iterator over the nodes that advertise a topic.

    It goes through the network in passes, and has each node once in a pass; ``next()`` waits
    between two passes, longer if they find no new nodes, at most 30 s. Else it is like
    :class:`RandomNodes`. Made by ``UDPv5.find``.
    """

    _max_interval_s = MAX_TOPIC_INTERVAL_S
