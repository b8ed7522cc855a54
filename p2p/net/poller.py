"""What the kernel says about sockets: epoll where there is one, ``selectors`` elsewhere.

A file descriptor is added with an interest, which is ``READ``, ``WRITE``, both or 0, and
:meth:`poll` tells what is ready. The numbers are epoll's own, so none has to be translated. epoll
also tells of a reset on a descriptor with interest 0, as ``ERROR``; that is why it is used without
the ``selectors`` module, which knows no interest of 0. The portable poller leaves such a descriptor
out, so there a reset shows up when the interest comes back.

One thread, the loop's, uses a poller. Both are level-triggered, but for what is added with
``EDGE``.
"""

from __future__ import annotations

import select
import selectors
import sys
from typing import Protocol

READ = 0x01  # EPOLLIN
WRITE = 0x04  # EPOLLOUT
#: Never asked for, always told: the connection is dead or has an error to be fetched. To be tested
#: for with ``&``: there are two bits, and one is enough.
ERROR = 0x18  # EPOLLERR, EPOLLHUP
#: With READ: tell each time that something arrives, and not while it lies there. Only for a poller
#: that :attr:`Poller.knows_edges`; the other takes no notice.
EDGE = 0x8000_0000  # EPOLLET

# Bounds the work of one pass, and so how long timers and posted functions wait: a socket may have
# milliseconds of it. The kernel starts with the others next time.
_MAX_EVENTS = 32


class Poller(Protocol):
    """What the loop asks of either poller. ``interest`` has the bits READ and WRITE."""

    #: Whether it takes notice of EDGE.
    knows_edges: bool

    def add(self, fd: int, interest: int) -> None:
        """Watch ``fd``."""

    def change(self, fd: int, old: int, new: int) -> None:
        """Replace the interest ``old`` of ``fd`` by ``new``."""

    def remove(self, fd: int, interest: int) -> None:
        """Watch ``fd``, whose interest is ``interest``, no longer."""

    def poll(self, timeout_s: float | None) -> list[tuple[int, int]]:
        """Wait for ``(fd, READ | WRITE | ERROR)``; ``None`` waits without end."""

    def close(self) -> None:
        """Close the kernel's object."""


if sys.platform == "linux":

    class EpollPoller:
        """The poller for Linux. With interest 0 it still tells of errors."""

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
    """The best poller of this platform."""
    return EpollPoller() if sys.platform == "linux" else SelectorPoller()
