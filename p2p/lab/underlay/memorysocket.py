"""The common part of the sockets in memory: methods that mean nothing without a kernel.

Any thread.
"""

from __future__ import annotations

import os
import socket

from p2p.net import VirtualSocket
from p2p.netutil import Endpoint
from p2p.sim.address import SIMULATED


class MemorySocket(VirtualSocket):
    """A socket of IPv4 without a descriptor; ``local`` is its address, if it has one yet."""

    family = socket.AF_INET
    simulated = SIMULATED

    def __init__(self, local: Endpoint | None = None) -> None:
        super().__init__()
        # fixed once it is set
        self.local = local

    def getsockname(self) -> tuple[str, int]:
        """Return the local address."""
        return ("0.0.0.0", 0) if self.local is None else (str(self.local.ip), self.local.port)

    def setblocking(self, flag: bool, /) -> None:
        """Do nothing: it never waits."""

    def setsockopt(self, level: int, option: int, value: int, /) -> None:
        """Do nothing: no option has a meaning here."""

    def getsockopt(self, level: int, option: int, /) -> int:
        """Return 0: there is no error."""
        return 0

    def fileno(self) -> int:
        """Return -1: there is no descriptor."""
        return -1

    def shutdown(self, how: int, /) -> None:
        """Do nothing: it is not connected."""


def os_error(code: int) -> OSError:
    """Return the error of a socket of the kernel, with its text; its class is by ``code``."""
    return OSError(code, os.strerror(code))
