"""One request by UDP and its retransmissions, which STUN, NAT-PMP and PCP have in common.

Pure. The protocols differ in the times of the retransmissions and in what is an answer::

    request = Request(packet, waits, read, now)
    data = request.poll_datagram(now)       # None: not before request.deadline
    answer = request.receive(data)          # None: not the answer
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

_T = TypeVar("_T")


class Request(Generic[_T]):
    """The request ``packet``, sent again after each of ``waits``, in seconds.

    After the last of them it is over. ``read`` returns the answer in a datagram, None for anything
    that is not the answer, which is ignored; it raises NatError for a refusal.
    """

    def __init__(
        self, packet: bytes, waits: Iterable[float], read: Callable[[bytes], _T | None], now: float
    ) -> None:
        #: Time of the next call of :meth:`poll_datagram`; infinity after the end.
        self.deadline = now
        self._packet = packet
        self._waits = iter(waits)
        self._read = read

    @property
    def is_over(self) -> bool:
        """Whether the last wait has ended without an answer."""
        return self.deadline == math.inf

    def poll_datagram(self, now: float) -> bytes | None:
        """Return the packet if it is to be sent now, or else None."""
        if self.is_over or now < self.deadline:
            return None
        wait = next(self._waits, None)
        self.deadline = math.inf if wait is None else now + wait
        return None if wait is None else self._packet

    def receive(self, data: bytes) -> _T | None:
        """Return the answer, if the datagram is it. Raises NatError if it is a refusal."""
        return self._read(data)
