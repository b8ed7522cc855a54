"""An endless walk through the network: nodes as lookups of random targets find them.

A :class:`RandomNodes` is read by any thread, and has its lookups made on the discovery thread: one
at a time, and only when somebody waits for a node. It owns the nodes that were found and not yet
read, and how long to wait between two lookups; it does not own the lookups.

In a large network each lookup finds nodes not seen before. In a small one it finds the same few
over and over, and next to nothing while the table is empty, so the lookups get rarer then, and are
as frequent as before once there is something new.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import TypeAlias

from p2p.enode import Node, NodeID
from p2p.enode.iterator import ClosableNodes
from p2p.errors import LoopCrashed, P2PError, ServerStopped
from p2p.net import Loop, Timer

#: Seconds from the beginning of a lookup to that of the next, at least.
MIN_INTERVAL_S = 1.0
#: And at most. Each lookup without a new node doubles the time.
MAX_INTERVAL_S = 8.0
#: Nodes remembered as seen. In a network of more, nearly every lookup finds another one.
MAX_SEEN = 256

#: Is told once what a lookup has found, or why it failed.
OnLookup: TypeAlias = Callable[[list[Node] | None, P2PError | None], None]


class RandomNodes(ClosableNodes):
    """An endless iterator over nodes of the network, in no order, often with repetitions.

    ``next()`` waits for a node. It ends when the iterator is closed, from whatever thread, or when
    discovery is stopped; if a fault ended that, LoopCrashed is raised instead. Several threads may
    read it; each node goes to one of them. Made by ``UDPv4.random_nodes``.

    ``look_up`` begins a random lookup and returns its number, ``cancel`` ends one; both are called
    on the thread of ``loop``, to which ``walking`` belongs as well: the set of the iterators that
    somebody waits for.
    """

    def __init__(
        self,
        loop: Loop,
        look_up: Callable[[OnLookup], int],
        cancel: Callable[[int], None],
        walking: set[RandomNodes],
    ) -> None:
        # fixed after __init__
        self._loop = loop
        self._look_up = look_up
        self._cancel = cancel
        # guarded by _changed
        self._changed = threading.Condition(threading.Lock())
        self._nodes: deque[Node] = deque()
        self._asked = False  # a walk is under way
        self._closed = False
        self._error: P2PError | None = None
        # owned by the loop's thread
        self._walking = walking
        self._lookup: int | None = None
        self._timer: Timer | None = None
        self._began = float("-inf")
        self._interval_s = MIN_INTERVAL_S
        self._seen: dict[NodeID, None] = {}

    # any thread

    def __next__(self) -> Node:
        """The next node; waits until there is one."""
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
                self.end(None)
            except LoopCrashed as error:
                self.end(error)
        if self._error is not None:
            raise self._error
        raise StopIteration

    def close(self) -> None:
        """End the iteration for everybody who waits in it. Idempotent."""
        self.end(None)
        self._loop.post(self._stop_walking)

    def end(self, error: P2PError | None) -> None:
        """Wake who waits: with ``error``, if a fault ended discovery. Has no effect after close."""
        with self._changed:
            if not self._closed:
                self._closed, self._error = True, error
            self._nodes.clear()
            self._changed.notify_all()

    # the loop's thread

    def table_changed(self) -> None:
        """A node was added to the table: no need to wait long for the next lookup."""
        if self._timer is not None:
            self._interval_s = MIN_INTERVAL_S
            self._timer.cancel()
            self._schedule()

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
            self._interval_s = min(self._interval_s * 2, MAX_INTERVAL_S)
        if not nodes:
            self._schedule()
            return
        self._walking.discard(self)
        with self._changed:
            self._asked = False
            if not self._closed:
                self._nodes.extend(nodes)
            self._changed.notify_all()

    def _note(self, nodes: list[Node] | tuple[()]) -> bool:
        """Remember the nodes as seen. Returns whether one of them is new."""
        new = [node.id for node in nodes if node.id not in self._seen]
        for node in nodes:
            self._seen.pop(node.id, None)
            self._seen[node.id] = None
        while len(self._seen) > MAX_SEEN:
            del self._seen[next(iter(self._seen))]
        return bool(new)

    def _stop_walking(self) -> None:
        self._walking.discard(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._lookup is not None:
            self._cancel(self._lookup)
            self._lookup = None
