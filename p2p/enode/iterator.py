"""Sequences of nodes that may block, and may be ended from another thread.

A :class:`NodeIterator` is an iterator with one promise more: ``close`` may be called from any
thread, and wakes a thread that waits in ``next``; from then on the sequence is at its end. Where
nodes come from (discovery, DNS, a list) is the affair of whoever makes the iterator. Most are for
one reading thread; :class:`~p2p.enode.fairmix.FairMix` mixes several.

Everything here also takes a plain iterator of nodes. One that has no ``close``, or a generator,
cannot be woken while it blocks; its reader then ends when it next returns.
"""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Protocol, TypeVar

from p2p.enode.node import Node

_logger = logging.getLogger("p2p.enode")

#: How long closing waits for a thread that reads ahead.
JOIN_TIMEOUT_S = 5.0

_S = TypeVar("_S", bound="ClosableNodes")


class NodeIterator(Protocol):
    """A sequence of nodes that can be ended from another thread."""

    def __iter__(self) -> Iterator[Node]:
        """Itself."""

    def __next__(self) -> Node:
        """The next node; blocks until there is one. Raises StopIteration at the end."""

    def close(self) -> None:
        """End the sequence and wake who waits for a node. Any thread; more than once is fine."""


class ClosableNodes(ABC):
    """What the iterators of this package share: each is its own ``iter``, and a ``with`` block."""

    def __iter__(self: _S) -> _S:
        return self

    @abstractmethod
    def __next__(self) -> Node:
        """See :class:`NodeIterator`."""

    @abstractmethod
    def close(self) -> None:
        """See :class:`NodeIterator`."""

    def __enter__(self: _S) -> _S:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def iter_nodes(nodes: Iterable[Node]) -> NodeIterator:
    """The given nodes, once. Any thread may read."""
    return _Listed(tuple(nodes), cycle=False)


def cycle_nodes(nodes: Iterable[Node]) -> NodeIterator:
    """The given nodes, again and again until it is closed. Any thread may read."""
    return _Listed(tuple(nodes), cycle=True)


def filter_nodes(source: Iterator[Node], predicate: Callable[[Node], bool]) -> NodeIterator:
    """The nodes of ``source`` for which ``predicate`` is true. Closing it closes ``source``.

    The predicate runs on the reading thread; what it raises comes out of ``next``.
    """
    return _Filtered(source, predicate)


def buffered(source: Iterator[Node], size: int) -> NodeIterator:
    """The nodes of ``source``, read ahead by a thread ``p2p-read-ahead``, at most ``size`` of them.

    What the source raises comes out of ``next`` when the nodes before it are used up. Closing it
    closes ``source`` and ends the thread. Raises ValueError for a size below 1.
    """
    if size < 1:
        raise ValueError(f"a buffer has room for 1 node at least, not {size}")
    nodes = _Buffered(source, size)
    nodes.start()
    return nodes


def close_nodes(source: Iterator[Node]) -> None:
    """Close a source, as far as it can be closed. Never raises: what a source raises is logged."""
    close = getattr(source, "close", None)
    if close is None:
        return
    try:
        close()
    except Exception as error:
        # A generator refuses while it runs, with ValueError. Others are the program's own code,
        # and the sources after this one must be closed as well.
        _logger.debug("closing a source of nodes: %r", error)


def join_reader(thread: threading.Thread, timeout_s: float) -> None:
    """Wait for a thread that reads a closed source; say so if it does not end."""
    if thread is threading.current_thread():
        return  # the source itself closes its reader
    thread.join(timeout_s)
    if thread.is_alive():
        text = "%s still waits in a source of nodes that its close() did not wake"
        _logger.warning(text, thread.name)


class _Listed(ClosableNodes):
    """Nodes that are all known."""

    def __init__(self, nodes: Sequence[Node], cycle: bool) -> None:
        # fixed after __init__
        self._cycle = cycle
        # guarded by _lock
        self._lock = threading.Lock()
        self._nodes = nodes
        self._index = 0

    def __next__(self) -> Node:
        with self._lock:
            if self._cycle and self._index == len(self._nodes):
                self._index = 0
            if self._index == len(self._nodes):
                raise StopIteration
            self._index += 1
            return self._nodes[self._index - 1]

    def close(self) -> None:
        with self._lock:
            self._nodes, self._index = (), 0


class _Filtered(ClosableNodes):
    """Some of the nodes of another iterator."""

    def __init__(self, source: Iterator[Node], predicate: Callable[[Node], bool]) -> None:
        # fixed after __init__
        self._source = source
        self._predicate = predicate
        # Set once, by any thread. A source that cannot be woken must not go on after that.
        self._closed = False

    def __next__(self) -> Node:
        for node in self._source:
            if self._closed:
                break
            if self._predicate(node):
                return node
        raise StopIteration

    def close(self) -> None:
        self._closed = True
        close_nodes(self._source)


class _Buffered(ClosableNodes):
    """Nodes of another iterator, read ahead."""

    def __init__(self, source: Iterator[Node], size: int) -> None:
        # fixed after __init__
        self._source = source
        self._size = size
        self._thread = threading.Thread(target=self._run, name="p2p-read-ahead", daemon=True)
        # guarded by _lock
        self._lock = threading.Condition()
        self._nodes: deque[Node] = deque()
        self._ended = False
        self._closed = False
        self._error: Exception | None = None

    def start(self) -> None:
        self._thread.start()

    def __next__(self) -> Node:
        with self._lock:
            self._lock.wait_for(lambda: self._nodes or self._ended or self._closed)
            if self._nodes:
                self._lock.notify_all()
                return self._nodes.popleft()
            error, self._error = self._error, None
        raise error or StopIteration

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._nodes.clear()
            self._error = None
            self._lock.notify_all()
        close_nodes(self._source)
        join_reader(self._thread, JOIN_TIMEOUT_S)

    def _run(self) -> None:
        """The thread ``p2p-read-ahead``."""
        error: Exception | None = None
        try:
            for node in self._source:
                if not self._put(node):
                    break
        except Exception as raised:  # it is the reader's
            error = raised
        with self._lock:
            self._ended = True
            self._error = None if self._closed else error
            self._lock.notify_all()

    def _put(self, node: Node) -> bool:
        """Keep a node when there is room for it; False when there will be none."""
        with self._lock:
            self._lock.wait_for(lambda: len(self._nodes) < self._size or self._closed)
            if self._closed:
                return False
            self._nodes.append(node)
            self._lock.notify_all()
        return True
