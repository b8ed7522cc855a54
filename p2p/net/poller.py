"""Readiness of sockets, from the kernel: epoll where there is one, ``selectors`` elsewhere.

A file descriptor is added with an interest, which is ``READ``, ``WRITE``, both or 0, and
:meth:`poll` returns the descriptors that are ready. The numbers are epoll's own, so none has to be
translated. epoll also reports a reset of a descriptor with interest 0, as ``ERROR``; that is why it
is used without the ``selectors`` module, which has no interest of 0. The portable poller leaves
such a descriptor out, so there a reset shows up when the interest is set again.

One thread, the loop's, uses a poller. Both are level-triggered, except for descriptors added with
``EDGE``.
"""

from __future__ import annotations

import select
import selectors
import sys
from typing import Protocol

READ = 0x01  # EPOLLIN
WRITE = 0x04  # EPOLLOUT
#: Reported without being asked for: the connection is dead or has an error to be fetched. To be
#: tested with ``&``: there are two bits, and one is enough.
ERROR = 0x18  # EPOLLERR, EPOLLHUP
#: With READ: report each arrival once, and not for as long as there is something to read. Only for
#: a poller with :attr:`Poller.knows_edges`; the other ignores it.
EDGE = 0x8000_0000  # EPOLLET

# Bounds the work of one pass, and so the delay of timers and posted functions: a socket may have
# milliseconds of it. The kernel starts with the others next time.
_MAX_EVENTS = 32


class Poller(Protocol):
    """Interface of both pollers, as the loop uses it. ``interest`` has the bits READ and WRITE."""

    #: Whether the poller supports EDGE.
    knows_edges: bool

    def add(self, fd: int, interest: int) -> None:
        """Watch ``fd``."""

    def change(self, fd: int, old: int, new: int) -> None:
        """Replace the interest ``old`` of ``fd`` by ``new``."""

    def remove(self, fd: int, interest: int) -> None:
        """Stop watching ``fd``, whose interest is ``interest``."""

    def poll(self, timeout_s: float | None) -> list[tuple[int, int]]:
        """Wait for and return ``(fd, READ | WRITE | ERROR)``; ``None`` waits without limit."""

    def close(self) -> None:
        """Close the kernel's object."""


if sys.platform == "linux":

    class EpollPoller:
        """The poller for Linux. It still reports errors for interest 0."""

        knows_edges = True

        def __init__(self) -> None:
            self._epoll = select.epoll()

        def add(self, fd: int, interest: int) -> None:
            self._epoll.register(fd, interest)

        def change(self, fd: int, old: int, new: int) -> None:
            self._epoll.modify(fd, new)

        def remove(self, fd: int, interest: int) -> None:
            self._epoll.unregister(fd)

        def poll(self, timeout_s: float | None) -> list[tuple[int, int]]:
            return self._epoll.poll(timeout_s, _MAX_EVENTS)

        def close(self) -> None:
            self._epoll.close()


class SelectorPoller:
    """The portable poller. A descriptor with interest 0 is not watched at all."""

    knows_edges = False

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    def add(self, fd: int, interest: int) -> None:
        if interest:
            self._selector.register(fd, _EVENTS[interest & (READ | WRITE)])

    def change(self, fd: int, old: int, new: int) -> None:
        if old and new:
            self._selector.modify(fd, _EVENTS[new])
        elif new:
            self._selector.register(fd, _EVENTS[new])
        elif old:
            self._selector.unregister(fd)

    def remove(self, fd: int, interest: int) -> None:
        if interest:
            self._selector.unregister(fd)

    def poll(self, timeout_s: float | None) -> list[tuple[int, int]]:
        return [(key.fd, _READY.get(events, 0)) for key, events in self._selector.select(timeout_s)]

    def close(self) -> None:
        self._selector.close()


_EVENTS = {
    READ: selectors.EVENT_READ,
    WRITE: selectors.EVENT_WRITE,
    READ | WRITE: selectors.EVENT_READ | selectors.EVENT_WRITE,
}
_READY = {events: interest for interest, events in _EVENTS.items()}


def new_poller() -> Poller:
    """Return the best poller of this platform."""
    return EpollPoller() if sys.platform == "linux" else SelectorPoller()
