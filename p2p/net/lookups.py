"""Look-ups of names on threads of their own.

A resolver blocks, that of the system with silent name servers for half a minute, and cannot be
stopped. So no thread that must end in time calls it: a :class:`Lookups` does, on at most
``MAX_THREADS`` daemon threads ``p2p-names``, and a stop gives up those that still wait for an
answer. They hold nothing but the name, and end with the answer. A thread runs while there are names
to look up. ``docs/design/names.md`` has the reasons. Any thread.
"""

from __future__ import annotations

import errno
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout  # another class before Python 3.11
from typing import Generic, TypeVar

from p2p.errors import ServerStopped
from p2p.net.resolver import look_up
from p2p.netutil import IPAddress

#: Limit on the look-ups at a time.
MAX_THREADS = 8
#: Limit on the names that are looked up or wait for a thread.
MAX_NAMES = 1024

T = TypeVar("T")


class Lookups(Generic[T]):
    """Look-ups of names by ``resolve``, each name once at a time.

    ``resolve`` is called with a name and raises OSError if that has no answer.
    """

    def __init__(self, resolve: Callable[[str], T]) -> None:
        # fixed after __init__
        self._resolve = resolve
        # guarded by _lock
        self._lock = threading.Lock()
        self._asked: dict[str, list[Future[T]]] = {}
        self._waiting: deque[str] = deque()  # names of _asked without a thread
        self._threads = 0
        self._stopped = False

    def begin(self, name: str) -> Future[T]:
        """Look up ``name``; return the future of the result.

        Does not wait. The future is set on the thread of the look-up. It gets OSError if the name
        has no answer or too many names are asked for, RuntimeError if the system has no threads
        left, and ServerStopped after :meth:`stop`. The caller may cancel it.
        """
        future: Future[T] = Future()
        error = self._add(name, future)
        if error is not None:
            future.set_exception(error)
        elif self._needs_thread():
            try:
                threading.Thread(target=self._run, name="p2p-names", daemon=True).start()
            except RuntimeError as no_thread:
                self._has_no_thread(name, no_thread)
        return future

    def wait(self, name: str, timeout_s: float) -> T:
        """Return the result for ``name``; wait for at most ``timeout_s`` seconds.

        Raises the errors of :meth:`begin`, and OSError when the time is over.
        """
        future = self.begin(name)
        try:
            return future.result(timeout_s)
        except FutureTimeout:
            if future.done():
                return future.result()
            text = f"cannot look up {name}: no answer within {timeout_s:g} s"
            raise OSError(errno.ETIMEDOUT, text) from None
        finally:
            future.cancel()
            del future  # its error's traceback leads back to this frame

    def stop(self) -> None:
        """Begin no more look-ups, and give up those under way. Does not wait; idempotent."""
        with self._lock:
            self._stopped = True
            futures = [future for asked in self._asked.values() for future in asked]
            self._asked.clear()
            self._waiting.clear()
        for future in futures:
            if future.set_running_or_notify_cancel():
                future.set_exception(ServerStopped("stopped during the look-up of a name"))

    def _add(self, name: str, future: Future[T]) -> Exception | None:
        """Note that ``future`` waits for ``name``. Return the reason if it cannot."""
        with self._lock:
            if self._stopped:
                return ServerStopped("stopped before the look-up of a name")
            if name not in self._asked:
                if len(self._asked) >= MAX_NAMES:
                    return OSError(errno.EAGAIN, f"cannot look up {name}: too many look-ups")
                self._waiting.append(name)
                self._asked[name] = []
            wanted = [asked for asked in self._asked[name] if not asked.cancelled()]
            self._asked[name] = [*wanted, future]
        return None

    def _needs_thread(self) -> bool:
        """Count one more thread, if there is a name for it and room."""
        with self._lock:
            if not self._waiting or self._threads >= MAX_THREADS:
                return False
            self._threads += 1
            return True

    def _has_no_thread(self, name: str, error: RuntimeError) -> None:
        with self._lock:
            self._threads -= 1
            is_waiting = name in self._waiting
            if is_waiting:
                self._waiting.remove(name)
        if is_waiting:
            self._end(name, error)

    # threads of the look-ups

    def _run(self) -> None:
        while (name := self._next()) is not None:
            try:
                outcome: T | BaseException = self._resolve(name)
            except BaseException as error:  # the top of a thread
                outcome = error
            self._end(name, outcome)

    def _next(self) -> str | None:
        """Return the next name; without one, the thread ends."""
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            self._threads -= 1
            return None

    def _end(self, name: str, outcome: T | BaseException) -> None:
        with self._lock:
            futures = self._asked.pop(name, [])  # none after a stop
        for future in futures:
            if not future.set_running_or_notify_cancel():
                continue  # cancelled
            if isinstance(outcome, BaseException):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)


class NameLookups(Lookups[list[IPAddress]]):
    """Look-ups of host names by the resolver of the system, as :func:`look_up` returns them."""

    def __init__(self) -> None:
        super().__init__(lambda name: look_up(name))  # a test may replace look_up
