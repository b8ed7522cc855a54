"""Sockets without a descriptor, which tell their loop themselves when they are ready.

A network in memory (:mod:`p2p.lab`) has such sockets. A :class:`p2p.net.Loop` watches them as it
watches those of the kernel: level-triggered, by the same interest, with the same calls, so that
channels, listeners and datagrams work on both. Instead of a poller, the socket posts its report to
the loop, one at a time, however much arrives before it runs.

Any thread may change the state of such a socket; its loop's thread alone watches and reports.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Protocol

from p2p import forks
from p2p.net.poller import ERROR
from p2p.net.sockets import Socket

_OnReady = Callable[[int], None]


class Watcher(Protocol):
    """A loop, as such a socket uses it."""

    def post(self, fn: Callable[..., object], *args: Any) -> bool:
        """Call ``fn`` on the thread of the loop."""

    def register(self, sock: Socket, interest: int, on_ready: _OnReady) -> None:
        """Watch a socket that this one is made of."""

    def set_interest(self, sock: Socket, interest: int) -> None:
        """Replace its interest."""

    def unregister(self, sock: Socket) -> None:
        """Watch it no more."""


class VirtualSocket(ABC):
    """The watched part of a socket in memory. A subclass calls :meth:`changed` with each change."""

    def __init__(self) -> None:
        # guarded by _watching
        self._watching = threading.Lock()
        self._watcher: Watcher | None = None
        self._on_ready: _OnReady | None = None
        self._interest = 0
        self._is_posted = False

    @abstractmethod
    def readiness(self) -> int:
        """Return the bits READ, WRITE and ERROR of what the socket is ready for. Any thread.

        It may take a lock, but none under which :meth:`changed` is called.
        """

    def changed(self) -> None:
        """Note that the socket may have become ready: its loop looks. Any thread."""
        with self._watching:
            if self._is_posted or self._watcher is None or not self._ready_locked():
                return
            self._is_posted = True
            watcher = self._watcher
        watcher.post(self._report)

    # loop thread, by the loop

    def watch(self, watcher: Watcher, interest: int, on_ready: _OnReady) -> None:
        """Call ``on_ready`` on the loop's thread while the socket is ready for ``interest``.

        Raises ValueError if it is watched already.
        """
        with self._watching:
            if self._on_ready is not None:
                raise ValueError(f"socket is registered already: {self}")
            self._watcher, self._on_ready, self._interest = watcher, on_ready, interest
        self.changed()

    def set_interest(self, interest: int) -> None:
        """Replace the interest. Raises KeyError if the socket is not watched."""
        with self._watching:
            if self._on_ready is None:
                raise KeyError(self)
            self._interest = interest
        self.changed()

    def unwatch(self) -> None:
        """Report no more; no effect if it is not watched."""
        with self._watching:
            self._on_ready = self._watcher = None

    def _report(self) -> None:
        with self._watching:
            self._is_posted = False
            on_ready, ready = self._on_ready, self._ready_locked()
        if on_ready is not None and ready:
            on_ready(ready)
            self.changed()  # level-triggered: called again while there is more to read

    def _ready_locked(self) -> int:
        ready = self.readiness()
        return ready & self._interest if not ready & ERROR else ERROR | self._interest


def close_in_child(sock: Socket) -> None:
    """Close the socket in each forked child; one without a descriptor is none there anyway."""
    if not isinstance(sock, VirtualSocket):
        forks.in_child(sock)
