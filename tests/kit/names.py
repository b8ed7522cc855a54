"""The resolver of the system, with names whose addresses a test sets.

The fixture ``names`` (conftest.py) puts a :class:`Names` in the place of ``socket.getaddrinfo``.
Hosts that it does not know are passed on to the real one.
"""

from __future__ import annotations

import socket
import threading
from typing import Any

from tests.kit.waiting import PATIENCE_S

_REAL = socket.getaddrinfo


class Names:
    """Names for ``socket.getaddrinfo``."""

    def __init__(self) -> None:
        self._released = threading.Event()
        #: The addresses of each name; none: the name is unknown; None: no answer until
        #: :meth:`release`, and then a failure.
        self.records: dict[str, list[str] | None] = {}
        #: The names that were asked for, in order.
        self.asked: list[str] = []

    def release(self) -> None:
        """End all look-ups without an answer."""
        self._released.set()

    def getaddrinfo(self, host: Any, *args: Any, **options: Any) -> list[Any]:
        """Take the place of ``socket.getaddrinfo``."""
        if host not in self.records:
            return _REAL(host, *args, **options)
        self.asked.append(host)
        addresses = self.records[host]
        if addresses is None:
            self._released.wait(PATIENCE_S)
            raise socket.gaierror(socket.EAI_AGAIN, "no answer")
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [_info(address) for address in addresses]


def _info(address: str) -> tuple[Any, ...]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return (family, socket.SOCK_STREAM, 6, "", (address, 0))
