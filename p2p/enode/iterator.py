"""Sequences of nodes that may block, and may be ended from another thread.

A :class:`NodeIterator` is an iterator with one more guarantee: ``close`` may be called from any
thread, and wakes a thread that waits in ``next``; from then on the sequence is at its end. The
implementation decides on the origin of the nodes (discovery, DNS, a list). Most iterators are for
one reading thread; :class:`~p2p.enode.fairmix.FairMix` mixes several iterators.

Everything here also takes a plain iterator of nodes. One without ``close``, or a generator, cannot
be woken while it blocks; its reader then ends when the iterator next returns.
"""

from __future__ import annotations

import logging
import math
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol, TypeAlias, TypeVar

from p2p import forks
from p2p.arguments import check_function, check_int, check_type, wrong_type
from p2p.enode.node import Node

#: Limit on the wait of ``close`` for a reading thread.
JOIN_TIMEOUT_S = 5.0

#: Callback with a requested node, for code that asks for one without waiting.
OnNode: TypeAlias = Callable[[Node], object]

_S = TypeVar("_S", bound="ClosableNodes")


class NodeIterator(Protocol):
    """A sequence of nodes that can be ended from another thread."""

    def __iter__(self) -> Iterator[Node]:
        """Return the iterator itself."""

    def __next__(self) -> Node:
        """Return the next node; blocks until there is one. Raises StopIteration at the end."""

    def close(self) -> None:
        """End the sequence and wake the threads that wait for a node. Any thread; idempotent."""


class ClosableNodes(ABC):
    """Base class of this package's iterators: each is its own ``iter``, and a context manager."""

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

    def __exit__(self, *exception: object) -> None:
        self.close()


def iter_nodes(nodes: Iterable[Node]) -> NodeIterator:
    """Return an iterator over the given nodes, once. Any thread may read.

    Raises ArgumentTypeError for anything but an iterable of nodes.
    """
    return _Listed(_as_nodes(nodes), cycle=False)


def cycle_nodes(nodes: Iterable[Node]) -> NodeIterator:
    """Return an iterator over the given nodes, repeated until it is closed. Any thread may read.

    Raises ArgumentTypeError for anything but an iterable of nodes.
    """
    return _Listed(_as_nodes(nodes), cycle=True)


def filter_nodes(
    source: Iterator[Node],
    predicate: Callable[[Node], bool],
    *,
    logger: logging.Logger | None = None,
) -> NodeIterator:
    """Return an iterator over the nodes of ``source`` for which ``predicate`` is true.

    Closing it closes ``source``. The predicate runs on the reading thread; ``next`` raises its
    errors. Errors of closing ``source`` are logged to ``logger`` (None: the logger "p2p"). Raises
    ArgumentTypeError for a predicate that cannot be called with a node, and for a source that
    cannot be iterated over.
    """
    check_function("predicate", predicate, "node")
    return _Filtered(as_iterator("source", source), predicate, logger_of(logger))


def buffered(
    source: Iterator[Node], size: int, *, logger: logging.Logger | None = None
) -> NodeIterator:
    """Return an iterator over the nodes of ``source``, at most ``size`` of them read ahead.

    A thread ``p2p-read-ahead`` reads them. ``next`` raises an error of the source after the nodes
    read before it. Closing it closes ``source`` and ends the thread; errors of that are logged to
    ``logger`` (None: the logger "p2p"). Raises ArgumentError for a size below 1.
    """
    check_int("size", size, 1, math.inf, "an int of at least 1")
    nodes = _Buffered(source, size, logger_of(logger))
    nodes.start()
    return nodes


def logger_of(logger: logging.Logger | None) -> logging.Logger:
    """Return the child ``enode`` of ``logger`` (None: of the logger "p2p"), as iterators use it."""
    return (logger or logging.getLogger("p2p")).getChild("enode")


def as_iterator(name: str, source: Iterable[Node]) -> Iterator[Node]:
    """Return ``iter(source)``. Raises ArgumentTypeError if it cannot be iterated over."""
    check_type(name, source, Iterable, "an iterator of nodes")
    return iter(source)


def _as_nodes(nodes: object) -> tuple[Node, ...]:
    if isinstance(nodes, (str, bytes)) or not isinstance(nodes, Iterable):
        raise wrong_type("nodes", nodes, "a list of nodes")
    return tuple(nodes)


def close_nodes(source: Iterator[Node], log: logging.Logger) -> None:
    """Close a source, if it can be closed. Never raises: errors of the source are logged."""
    close = getattr(source, "close", None)
    if close is None:
        return
    try:
        close()
    except Exception as error:
        # A generator refuses while it runs, with ValueError. Others are the program's own code,
        # and the sources after this one must be closed as well.
        log.debug("closing a source of nodes: %r", error)


def join_reader(thread: threading.Thread, timeout_s: float | None, log: logging.Logger) -> None:
    """Wait for a thread that reads a closed source; log a warning if it does not end."""
    if thread is threading.current_thread():
        return  # the source itself closes its reader
    thread.join(timeout_s)
    if thread.is_alive():
        log.warning(
            "%s still waits in a source of nodes that its close() did not wake", thread.name
        )


class _Listed(ClosableNodes):
    """The nodes of a list, once or repeated."""

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

    def __repr__(self) -> str:
        return f"<{'cycle' if self._cycle else 'iter'}_nodes of {len(self._nodes)} nodes>"


class _Filtered(ClosableNodes):
    """Some of the nodes of another iterator."""

    def __init__(
        self, source: Iterator[Node], predicate: Callable[[Node], bool], log: logging.Logger
    ) -> None:
        # fixed after __init__
        self._log = log
        self._source = source
        self._predicate = predicate
        # Set once, by any thread. No node of a source that could not be woken is returned then.
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
        close_nodes(self._source, self._log)

    def __repr__(self) -> str:
        return f"<filter_nodes of {self._source!r}>"


class _Buffered(ClosableNodes):
    """Nodes of another iterator, read ahead."""

    def __init__(self, source: Iterator[Node], size: int, log: logging.Logger) -> None:
        # fixed after __init__
        self._log = log
        self._source = source
        self._size = size
        self._thread = threading.Thread(target=self._run, name="p2p-read-ahead", daemon=True)
        # guarded by _lock
        self._lock = forks.Condition("iterator", "make a new one here")
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
        if not self._lock.is_here:
            return
        with self._lock:
            self._closed = True
            self._nodes.clear()
            self._error = None
            self._lock.notify_all()
        close_nodes(self._source, self._log)
        join_reader(self._thread, JOIN_TIMEOUT_S, self._log)

    def _run(self) -> None:
        """Run the thread ``p2p-read-ahead``."""
        error: Exception | None = None
        try:
            for node in self._source:
                if not self._put(node):
                    break
        except Exception as raised:  # re-raised in the reader
            error = raised
        with self._lock:
            self._ended = True
            self._error = None if self._closed else error
            self._lock.notify_all()

    def _put(self, node: Node) -> bool:
        """Keep a node when there is space for it. Returns False when the iterator is closed."""
        with self._lock:
            self._lock.wait_for(lambda: len(self._nodes) < self._size or self._closed)
            if self._closed:
                return False
            self._nodes.append(node)
            self._lock.notify_all()
        return True
