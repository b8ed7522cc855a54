"""Waits between threads: a one-shot gate, and a condition that Ctrl-C leaves free.

A :class:`Latch` opens after a number of events, such as the end of all handlers. It costs one lock
until a thread waits. Any thread may use these.
"""

from __future__ import annotations

import threading
from collections.abc import Callable


class Latch:
    """A gate that opens after ``count`` calls of :meth:`count_down`; open from the start for 0."""

    def __init__(self, count: int = 1) -> None:
        # guarded by _lock
        self._lock = threading.Lock()
        self._count = count
        self._callbacks: list[Callable[[], object]] = []

    @property
    def is_open(self) -> bool:
        """Whether the latch is open: all events have happened, or :meth:`open` was called."""
        return self._count <= 0

    def count_down(self) -> None:
        """Count one event. The callbacks run in the thread of the last one."""
        with self._lock:
            self._count -= 1
            if self._count > 0:
                return
        self._run_callbacks()

    def open(self) -> None:
        """Open now, even if events are missing."""
        with self._lock:
            self._count = 0
        self._run_callbacks()

    def when_open(self, callback: Callable[[], object]) -> None:
        """Call ``callback`` when the latch opens; at once, in this thread, if it is open."""
        with self._lock:
            if self._count > 0:
                self._callbacks.append(callback)
                return
        callback()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until it opens, at most ``timeout_s`` seconds. Returns whether it is open."""
        if not self.is_open:
            opened = threading.Event()
            self.when_open(opened.set)
            try:
                opened.wait(timeout_s)
            finally:
                self._remove_callback(opened.set)
        return self.is_open

    def _remove_callback(self, callback: Callable[[], object]) -> None:
        with self._lock:
            if callback in self._callbacks:
                self._callbacks.remove(callback)

    def _run_callbacks(self) -> None:
        with self._lock:
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()


class Condition(threading.Condition):
    """A condition whose lock is free after a Ctrl-C at the start of a ``with`` block.

    The one of :mod:`threading` takes its lock in Python code. An interrupt after that and before
    the block leaves the lock taken, and every later ``with`` block hangs.
    """

    def __init__(self) -> None:
        self._owned = threading.RLock()  # a lock that has an owner
        super().__init__(self._owned)

    def check(self) -> None:
        """Raise an error in place of taking the lock, in a subclass."""

    def __enter__(self) -> bool:
        self.check()
        try:
            return self._owned.__enter__()
        except BaseException:
            if self._owned._is_owned():  # type: ignore[attr-defined]
                self._owned.release()
            raise
