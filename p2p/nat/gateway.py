"""The interface of a router that maps ports, as the thread of port mappings uses it.

Each kind of router has a function ``find(deadline, stop)``, which returns a :class:`Gateway`, or
None if no router of the kind answers in time. The calls of a gateway block, until the deadline at
most; a :class:`Stop` ends them early, and the router's sockets wait with it only.
"""

from __future__ import annotations

import selectors
import socket
import threading
from typing import Protocol

from p2p.clock import Deadline
from p2p.nat.errors import Interrupted
from p2p.nat.mapping import Mapped, PortMapping
from p2p.net.wakeup import WakeUp
from p2p.netutil import IPAddress

# Needs no descriptor of its own, unlike epoll; numbers above 1,023 are allowed, unlike select.
_Selector = getattr(selectors, "PollSelector", selectors.SelectSelector)


class Gateway(Protocol):
    """A router that maps ports. One thread at a time.

    Every call raises NatError if the router refuses, answers wrongly, or not before ``deadline``;
    Interrupted if it was stopped. The first two may raise Restarted once after a restart.
    """

    #: For logs, such as "NAT-PMP 192.168.1.1".
    name: str

    def external_ip(self, deadline: Deadline) -> IPAddress:
        """Return the address of the router on its other side."""

    def map(self, mapping: PortMapping, deadline: Deadline) -> Mapped:
        """Create or renew a mapping."""

    def unmap(self, mapping: PortMapping, deadline: Deadline) -> None:
        """Delete a mapping; ``external_port`` is the granted one."""


class Stop:
    """Interruption of a thread that waits for a router.

    :meth:`set` and :attr:`is_set` are for any thread, and :meth:`wait` for the threads that wait.
    :meth:`clear` is for the deletion of mappings, when no thread waits any more.
    """

    def __init__(self) -> None:
        """Raise OSError if the process has no descriptors left."""
        self._wakeup = WakeUp()
        self._is_set = threading.Event()

    @property
    def is_set(self) -> bool:
        """Whether the thread is to end its wait."""
        return self._is_set.is_set()

    def set(self) -> None:
        """End the present wait, and each later one at once. Idempotent."""
        self._is_set.set()
        self._wakeup.send()

    def clear(self) -> None:
        """Allow waits again."""
        self._is_set.clear()
        self._wakeup.drain(0)

    def wait(
        self, sock: socket.socket | None, timeout_s: float | None, *, write: bool = False
    ) -> bool:
        """Wait until ``sock`` can be read, or written to. Returns whether it can, in time.

        Without ``sock`` it waits for the time only, None: without limit. Raises Interrupted.
        """
        if self.is_set:
            raise Interrupted("stopped")
        with _Selector() as selector:
            selector.register(self._wakeup.fd, selectors.EVENT_READ)
            if sock is not None:
                selector.register(sock, selectors.EVENT_WRITE if write else selectors.EVENT_READ)
            ready = selector.select(timeout_s)
        if self.is_set:
            raise Interrupted("stopped")
        return any(key.fileobj is sock for key, _ in ready)

    def close(self) -> None:
        """Close the descriptors; idempotent. No thread waits any more."""
        self._wakeup.close()
