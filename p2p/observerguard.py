"""Guard for observers of the program: an error in an observer has no effect on the rest.

An observer, of a connection (:mod:`p2p.rlpx.observer`) or of discovery
(:mod:`p2p.discover.observer`), is called in the middle of a machine's work, on ``p2p-io`` or
``p2p-disc``. An error of it would leave the machine in an inconsistent state and end the thread.
The machines do not catch it, so that they cost nothing without an observer: the code that passes an
observer to a machine guards it. After its first error, which is logged, an observer is not called
again.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from types import FunctionType, MethodType
from typing import TypeVar, cast
from weakref import WeakValueDictionary

from p2p.clock import Clock
from p2p.loglimit import LogLimit, log_limited

#: Modules of the base classes of observers, whose methods do nothing.
_BASES = frozenset(("p2p.discover.observer", "p2p.observe", "p2p.rlpx.observer"))

#: Maximum number of failed observers to keep, the latest ones.
MAX_FAILED = 16

_T = TypeVar("_T")


class ObserverGuard:
    """Guard of the observers that one owner passes to machines. Used by one thread at a time."""

    def __init__(self, clock: Clock, logger: logging.Logger) -> None:
        self._log = logger
        # each connection may have its own observer, and any remote may connect
        self._limit = LogLimit(clock)
        self._failed: deque[object] = deque(maxlen=MAX_FAILED)
        # by the observer's id, which is unique as long as the observer is held
        self._held: WeakValueDictionary[int, _Held] = WeakValueDictionary()

    def make(self, factory: Callable[..., _T | None], *arguments: object) -> _T | None:
        """Call ``factory`` with ``arguments`` and return the observer that it makes, guarded.

        Returns None if it makes none or fails.
        """
        if self.has_failed(factory):
            return None
        try:
            observer = factory(*arguments)
        except BaseException as error:  # any error of the program: the thread must go on
            self.fail(factory, "making one", error)
            return None
        if observer is None or self.has_failed(observer):
            return None
        return self.guard(observer)

    def make_all(
        self, factories: Iterable[Callable[..., _T | None]], *arguments: object
    ) -> _T | None:
        """Call each factory as :meth:`make` does; return one observer for all that they make.

        Returns None if they make none.
        """
        made = [self.make(factory, *arguments) for factory in factories]
        found = [observer for observer in made if observer is not None]
        return cast(_T, _Joined(found)) if len(found) > 1 else next(iter(found), None)

    def guard(self, observer: _T) -> _T:
        """Return an observer that passes each call to ``observer`` and never raises."""
        if isinstance(observer, (_Guarded, _Joined)):
            return observer
        held = self._held.setdefault(id(observer), _Held(self, observer))
        return cast(_T, _Guarded(held))

    def has_failed(self, observer: object) -> bool:
        """Return whether an observer, or a factory of observers, has raised an error before."""
        return any(failed is observer for failed in self._failed)

    def fail(self, observer: object, doing: str, error: BaseException) -> None:
        """Log the error of an observer in the call ``doing``, and mark it as failed."""
        self._failed.append(observer)
        self._held.pop(id(observer), None)
        name = _name_of(observer)
        left_out = self._limit.admit((name, type(error).__name__), object())
        text = "observer %s failed in %s, and is not called again"
        log_limited(self._log, logging.ERROR, left_out, text, name, doing, error=error)


class _Held:
    """An observer until it fails, shared by everything that it observes."""

    def __init__(self, guard: ObserverGuard, observer: object) -> None:
        self._guard = guard
        self._observer: object | None = observer

    def method(self, name: str) -> Callable[..., None]:
        """Return the guarded method ``name``; for one that is inherited, the cheapest call."""
        method = getattr(self._observer, name, None)
        is_inherited = getattr(method, "__module__", None) in _BASES
        return _do_nothing if is_inherited else partial(self._call, name)

    def _call(self, name: str, *arguments: object) -> None:
        observer = self._observer
        if observer is None:
            return
        try:
            getattr(observer, name)(*arguments)
        except BaseException as error:  # any error of the program: the thread must go on
            self._observer = None
            self._guard.fail(observer, name, error)


def _do_nothing(*arguments: object) -> None:
    """Stand for a method of a base class of observers, none of which does anything."""


class _Guarded:
    """Proxy of an observer, for a machine."""

    def __init__(self, held: _Held) -> None:
        self._held = held

    def __getattr__(self, name: str) -> Callable[..., None]:
        call = self._held.method(name)
        setattr(self, name, call)  # cache: later look-ups skip __getattr__
        return call


class _Joined:
    """Proxy of several guarded observers, which are called in their order."""

    def __init__(self, observers: Sequence[object]) -> None:
        self._observers = observers

    def __getattr__(self, name: str) -> Callable[..., None]:
        calls = [getattr(observer, name) for observer in self._observers]
        calls = [call for call in calls if call is not _do_nothing]

        def call_all(*arguments: object) -> None:
            for call in calls:
                call(*arguments)

        setattr(self, name, call_all)
        return call_all


def _name_of(observer: object) -> str:
    is_named = isinstance(observer, (FunctionType, MethodType, type))
    named = observer if is_named else type(observer)
    return f"{named.__module__}.{getattr(named, '__qualname__', '?')}"
