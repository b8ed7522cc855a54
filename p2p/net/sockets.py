"""Types of non-blocking sockets, as this package uses them: those of the kernel, and others.

``socket.socket`` has all of their methods and more, a :class:`p2p.net.virtual.VirtualSocket` just
those. Their errors are those of the kernel: BlockingIOError, and OSError with its number.
"""

from __future__ import annotations

from typing import Any, Protocol


class Socket(Protocol):
    """The part that all sockets have in common."""

    @property
    def family(self) -> int:
        """The address family, such as AF_INET."""

    def close(self) -> None:
        """Close the socket; idempotent."""

    def fileno(self) -> int:
        """Return the descriptor; -1 without one."""

    def getsockname(self) -> Any:
        """Return the local address, as a tuple."""

    def getsockopt(self, level: int, option: int, /) -> int:
        """Return the value of an option."""

    def setblocking(self, flag: bool, /) -> None:
        """Set whether calls may wait."""

    def setsockopt(self, level: int, option: int, value: int, /) -> None:
        """Set an option."""

    def shutdown(self, how: int, /) -> None:
        """End reading, writing or both."""


class StreamSocket(Socket, Protocol):
    """A TCP connection."""

    def connect_ex(self, address: Any, /) -> int:
        """Begin to connect; return an ``errno``, or 0 when connected."""

    def getpeername(self) -> Any:
        """Return the remote address, as a tuple."""

    def recv_into(self, buffer: memoryview, /) -> int:
        """Read into ``buffer``, and return the number of bytes; 0 at the end."""

    def send(self, data: Any, /) -> int:
        """Send from ``data``, and return the number of bytes that were taken."""

    def sendmsg(self, buffers: list[Any], /) -> int:
        """Send from several buffers, as :meth:`send` does."""


class ListeningSocket(Socket, Protocol):
    """A listening TCP socket."""

    def accept(self) -> tuple[StreamSocket, Any]:
        """Return the next connection, and its remote address."""


class DatagramSocket(Socket, Protocol):
    """A UDP socket."""

    def recvfrom(self, size_bytes: int, /) -> tuple[bytes, Any]:
        """Return the next datagram, cut to ``size_bytes``, and its source."""

    def sendto(self, data: bytes, address: Any, /) -> int:
        """Send a datagram."""
