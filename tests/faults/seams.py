"""Faults that cannot be made for real, put in at the narrowest place: a socket, a clock, a file.

Linux reports a connection that was reset before it was accepted only when it is used, where other
systems let ``accept`` fail with ECONNABORTED; and its kernel does not run out of buffers on demand.
So :class:`FaultySocket` fails in the socket's own calls, and takes the descriptor of one in use. A
full disk is real as far as SQLite goes: its file may have no more pages.
"""

from __future__ import annotations

import os
import socket
import sqlite3
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import p2p
from p2p.clock import SimulatedClock, SystemClock
from tests.kit import inspect
from tests.kit.waiting import eventually


class FaultySocket(socket.socket):
    """A socket that fails as often as it is told, each time with the next error number."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.accept_errors: deque[int] = deque()
        self.read_errors: deque[int] = deque()
        #: The error of every datagram that is sent; 0 for none.
        self.send_error = 0

    def accept(self) -> Any:
        if self.accept_errors:
            raise _error(self.accept_errors.popleft())
        return super().accept()

    def recvfrom(self, *args: Any) -> Any:
        if self.read_errors:
            raise _error(self.read_errors.popleft())
        return super().recvfrom(*args)

    def sendto(self, *args: Any) -> int:
        if self.send_error:
            raise _error(self.send_error)
        return super().sendto(*args)


def _error(code: int) -> OSError:
    return OSError(code, os.strerror(code))


def faulty_listener(server: p2p.Server) -> FaultySocket:
    """Put a faulty socket into the listener of a server that runs; its descriptor stays."""
    listener = inspect.listener(server)
    assert listener is not None

    def put() -> FaultySocket:
        sock = listener._sock = FaultySocket(fileno=listener._sock.detach())
        return sock

    return inspect.on_io(server, put)


def faulty_discovery(server: p2p.Server) -> FaultySocket:
    """Put a faulty socket into the discovery of a server that runs; its descriptor stays."""
    discovery = server.discovery_v4
    assert discovery is not None

    def put() -> FaultySocket:
        driver = discovery._service._parts.driver
        assert driver is not None
        datagrams = driver._datagrams
        sock = datagrams._sock = FaultySocket(fileno=datagrams._sock.detach())
        return sock

    return discovery._service.call(put)


class JumpingClock(SimulatedClock):
    """A simulated clock whose wall time can be set; the monotonic time goes its way."""

    jumped_s = 0.0

    def time_unix(self) -> float:
        return super().time_unix() + self.jumped_s

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward or back."""
        self.jumped_s += seconds


class JumpingSystemClock(SystemClock):
    """The machine's clock, seen with its wall time set wrong."""

    jumped_s = 0.0

    def time_unix(self) -> float:
        return super().time_unix() + self.jumped_s

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward or back."""
        self.jumped_s += seconds


@contextmanager
def full_disk(server: p2p.Server) -> Iterator[None]:
    """The node database of a server that runs can grow no further (SQLITE_FULL)."""
    file = inspect.database(server)._file
    assert file is not None
    eventually(lambda: _has_no_room_left(file._connection))
    pages = file._connection.execute("PRAGMA page_count").fetchone()[0]
    file._connection.execute(f"PRAGMA max_page_count = {pages}")
    try:
        yield
    finally:
        with suppress(sqlite3.ProgrammingError):  # the server was stopped meanwhile
            file._connection.execute("PRAGMA max_page_count = 1073741823")


def _has_no_room_left(connection: sqlite3.Connection) -> bool:
    """Whether the pages are filled to the brim: what was deleted has left room in them."""
    try:
        connection.execute("VACUUM")
    except sqlite3.OperationalError:  # it is being written
        return False
    return True
