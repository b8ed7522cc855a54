"""Forks: the use of the parent's objects in a child, and the descriptors that the child closes.

A forked child has a copy of every object and descriptor of its parent, but of its threads only the
one that forked. No thread serves a copied server, and a lock that another thread held stays locked
for ever. So each object that depends on threads, sockets or files stores its :class:`Process`, and
in any other one its calls raise :class:`~p2p.errors.WrongProcess` before they wait for anything.
Calls that only end an object (``close``, ``stop``) do nothing there: the parent goes on.

Sockets and selectors that were given to :func:`in_child` are closed in the child by the fork, so
that ports and connections are the parent's alone. That is harmless for the parent: closing a
descriptor neither shuts a connection down nor unregisters it from a selector that both share.

Any thread. Nothing is done before a fork, and nothing in the parent.
"""

from __future__ import annotations

import operator
import os
import weakref
from collections.abc import Callable
from typing import Any, TypeVar

from p2p import latch
from p2p.errors import WrongProcess

#: Default advice for a program in a child.
INSTEAD = "make a new Server here"

T = TypeVar("T")

#: Actions in a child, for each object that still exists.
_in_child: weakref.WeakKeyDictionary[Any, Callable[[Any], object]] = weakref.WeakKeyDictionary()


class Process:
    """A process. Objects that belong to it store it and compare it with :data:`here`."""

    __slots__ = ("pid",)

    def __init__(self) -> None:
        self.pid = os.getpid()

    @property
    def is_here(self) -> bool:
        """Whether this is the current process."""
        return self is here

    def check(self, what: str, instead: str = INSTEAD) -> None:
        """Raise WrongProcess, as :meth:`error` makes it, unless this is the current process."""
        if self is not here:
            raise self.error(what, instead)

    def error(self, what: str, instead: str = INSTEAD) -> WrongProcess:
        """Return the error for a call of ``what`` ("server") in a child.

        ``instead`` is an advice for the program.
        """
        return WrongProcess(
            f"this {what} belongs to process {self.pid}, of which this one is a fork; {instead}"
        )


#: The current process.
here = Process()


class Condition(latch.Condition):
    """A condition that raises WrongProcess in a child instead of waiting."""

    def __init__(self, what: str, instead: str = INSTEAD) -> None:
        super().__init__()
        self._process = here
        self._what = what
        self._instead = instead

    @property
    def is_here(self) -> bool:
        """Whether the current process is the one that it belongs to."""
        return self._process is here

    def check(self) -> None:
        """Raise WrongProcess in a child."""
        if self._process is not here:
            raise self._process.error(self._what, self._instead)


def in_child(thing: T, action: Callable[[T], object] = operator.methodcaller("close")) -> None:
    """Call ``action(thing)`` in each forked child, as long as ``thing`` exists.

    By default it is closed. The action must take no lock and wait for nothing: another thread may
    have been inside ``thing`` at the fork.
    """
    _in_child[thing] = action


def _enter_child() -> None:
    global here
    here = Process()
    for thing, action in list(_in_child.items()):
        try:
            action(thing)
        except OSError:
            pass  # the descriptor is closed already
    _in_child.clear()  # for a child of the child


if hasattr(os, "register_at_fork"):  # not on systems without fork
    os.register_at_fork(after_in_child=_enter_child)
