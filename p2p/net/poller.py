"""What the kernel says about sockets: epoll where there is one, ``selectors`` elsewhere.

A file descriptor is added with an interest, which is ``READ``, ``WRITE``, both or 0, and
:meth:`poll` tells what is ready. epoll also tells of a reset on a descriptor with interest 0, as
``ERROR``; that is why it is used without the ``selectors`` module, which knows no interest of 0.
The portable poller leaves such a descriptor out, so there a reset shows up when the interest
comes back.

One thread, the loop's, uses a poller. Both are level-triggered.
"""

from __future__ import annotations

import select
import selectors
import sys
from typing import Protocol

READ = 1
WRITE = 2
#: Never asked for, always told: the connection is dead or has an error to be fetched.
ERROR = 4

# Bounds the work of one pass; the kernel starts with the others next time.
_MAX_EVENTS = 256


class Poller(Protocol):
    """What the loop asks of either poller. ``interest`` has the bits READ and WRITE."""

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

        def __init__(self) -> None:
            self._epoll = select.epoll()

        def add(self, fd: int, interest: int) -> None:
            self._epoll.register(fd, _MASKS[interest])

        def change(self, fd: int, old: int, new: int) -> None:
            self._epoll.modify(fd, _MASKS[new])

        def remove(self, fd: int, interest: int) -> None:
            self._epoll.unregister(fd)

        def poll(self, timeout_s: float | None) -> list[tuple[int, int]]:
            return [
                (fd, _READY[mask & 31]) for fd, mask in self._epoll.poll(timeout_s, _MAX_EVENTS)
            ]

        def close(self) -> None:
            self._epoll.close()

    _MASKS = (0, select.EPOLLIN, select.EPOLLOUT, select.EPOLLIN | select.EPOLLOUT)

    def _ready_of(mask: int) -> int:
        ready = READ if mask & select.EPOLLIN else 0
        ready |= WRITE if mask & select.EPOLLOUT else 0
        return ready | (ERROR if mask & (select.EPOLLERR | select.EPOLLHUP) else 0)

    # IN, PRI, OUT, ERR and HUP are the five lowest bits.
    _READY = tuple(_ready_of(mask) for mask in range(32))


class SelectorPoller:
    """The portable poller. A descriptor with interest 0 is not watched at all."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    def add(self, fd: int, interest: int) -> None:
        if interest:
            self._selector.register(fd, interest)

    def change(self, fd: int, old: int, new: int) -> None:
        if old and new:
            self._selector.modify(fd, new)
        elif new:
            self._selector.register(fd, new)
        elif old:
            self._selector.unregister(fd)

    def remove(self, fd: int, interest: int) -> None:
        if interest:
            self._selector.unregister(fd)

    def poll(self, timeout_s: float | None) -> list[tuple[int, int]]:
        return [(key.fd, ready) for key, ready in self._selector.select(timeout_s)]

    def close(self) -> None:
        self._selector.close()


def new_poller() -> Poller:
    """The best poller of this platform."""
    return EpollPoller() if sys.platform == "linux" else SelectorPoller()
