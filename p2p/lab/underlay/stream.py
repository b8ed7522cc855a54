"""A stream in memory, with the methods, errors and readiness of a non-blocking TCP socket.

Two streams, the pipes between them and one lock for all are a connection (:func:`connect`). A
stream has no descriptor: its loop watches it as :mod:`p2p.net.virtual` says. What a socket of the
kernel does at the end of a connection, it does as well: bytes that came before a reset can still be
read; a close with unread bytes, and bytes for a closed socket, cause a reset.

Any thread may deliver to it; its loop's thread does the rest.
"""

from __future__ import annotations

import errno
import socket
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from p2p.lab.underlay.memorysocket import MemorySocket, os_error
from p2p.lab.underlay.pipe import Item, Mark, Pipe, segments_of
from p2p.net import ERROR, READ, WRITE
from p2p.netutil import Endpoint

#: Makes the pipe from one stream to another.
MakePipe = Callable[["MemoryStream", "MemoryStream"], Pipe]


class MemoryStream(MemorySocket):
    """One end of a connection, or a socket that may become one.

    ``begin`` is called by :meth:`connect_ex` with the stream and the sockaddr, and returns an
    ``errno``; ``on_close`` once, by :meth:`close`.
    """

    def __init__(
        self,
        begin: Callable[[MemoryStream, Any], int],
        on_close: Callable[[MemoryStream], object],
        lock: threading.Lock | None = None,
    ) -> None:
        super().__init__()
        # fixed after __init__
        self._begin = begin
        self._on_close = on_close
        self._lock = lock or threading.Lock()
        # fixed before it is connected
        self.remote: Endpoint | None = None
        # guarded by _lock, which both ends of a connection have in common
        self._out: Pipe | None = None
        self._in: Pipe | None = None
        self._unread: deque[memoryview] = deque()
        self._connected = False
        self._at_end = False  # the remote sends no more
        self._has_shut_down = False  # we send no more
        self._dead = False  # reset, or not connected in the end
        self._error = 0  # of a dead one, until it is fetched
        self._closed = False
        self._has_refused = False  # bytes for a closed socket, not yet answered

    # methods of a socket

    def getsockopt(self, level: int, option: int, /) -> int:
        """Return and clear the pending error for SO_ERROR, 0 for other options."""
        if (level, option) != (socket.SOL_SOCKET, socket.SO_ERROR):
            return 0
        with self._lock:
            code, self._error = self._error, 0
            return code

    def getpeername(self) -> tuple[str, int]:
        """Return the remote address. Raises OSError unless it is connected."""
        if self.remote is None or not self._connected or self._dead:
            raise os_error(errno.ENOTCONN)
        return str(self.remote.ip), self.remote.port

    def connect_ex(self, address: Any, /) -> int:
        """Begin to connect; return 0 if that has happened, or an ``errno``."""
        code = self._begin(self, address)
        if code != errno.EINPROGRESS:
            return code
        with self._lock:
            code, self._error = self._error, 0
            return code or (0 if self._connected else errno.EINPROGRESS)

    def recv_into(self, buffer: memoryview, /) -> int:
        """Read; raises BlockingIOError if there is nothing to be read yet."""
        with self._lock:
            self._check_open()
            size = self._take_locked(buffer)
            if not size:
                self._check_alive_locked()
                if not (self._at_end or self._dead):
                    raise os_error(errno.EAGAIN)
                return 0
            assert self._in is not None
            has_room = self._in.read_locked(size)
        if has_room:
            self._in.on_room()
        return size

    def send(self, data: Any, /) -> int:
        """Send as much as there is room for. Raises BlockingIOError if there is none."""
        return self.sendmsg([data])

    def sendmsg(self, buffers: list[Any], /) -> int:
        """Send as :meth:`send` does, from several buffers."""
        with self._lock:
            self._check_open()
            self._check_alive_locked()
            out = self._out
            if out is None or not self._connected:
                raise os_error(errno.ENOTCONN)
            if self._dead or self._has_shut_down:
                raise os_error(errno.EPIPE)
            data = bytes(buffers[0]) if len(buffers) == 1 else b"".join(buffers)
            if len(data) > out.room_bytes:
                out.is_full = True
                data = data[: out.room_bytes]
                if not data:
                    raise os_error(errno.EAGAIN)
            times = out.put_locked(segments_of(data))
        out.arrive_at(times)
        return len(data)

    def shutdown(self, how: int, /) -> None:
        """End writing, unless ``how`` is SHUT_RD. Raises OSError if it is not connected."""
        with self._lock:
            self._check_open()
            if not self._connected or self._dead:
                raise os_error(errno.ENOTCONN)
        if how != socket.SHUT_RD:
            self._end(Mark.END)

    def close(self) -> None:
        """End the connection: with a reset if there are unread bytes. Idempotent."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            has_unread = bool(self._unread)
            self._unread.clear()
        self._end(Mark.RESET if has_unread else Mark.END)
        self._on_close(self)

    # inside

    def readiness(self) -> int:
        with self._lock:
            if self._dead:
                return READ | WRITE | ERROR
            if not self._connected:
                return 0
            assert self._out is not None
            ready = READ if self._unread or self._at_end else 0
            return ready if self._out.is_full else ready | WRITE

    def receive_locked(self, item: Item) -> None:
        """Take an item that has arrived, with the lock of the connection."""
        if isinstance(item, bytes):
            if self._closed:
                assert self._in is not None
                self._in.read_locked(len(item))
                self._has_refused = True
            else:
                self._unread.append(memoryview(item))
        elif item is Mark.ACCEPTED:
            self._connected = True
        elif item is Mark.END:
            self._at_end = True
        else:
            self._die_locked(errno.ECONNRESET)

    def reject(self) -> None:
        """Close it with a reset."""
        self._end(Mark.RESET)
        self.close()

    def received(self) -> None:
        """Act on what has arrived, without the lock."""
        with self._lock:
            refused, self._has_refused = self._has_refused, False
        if refused:
            self._end(Mark.RESET)
        self.changed()

    def fail(self, code: int) -> None:
        """End the connection, or the attempt to make one, with an ``errno``, here and now."""
        with self._lock:
            self._die_locked(code)
        self.changed()

    @property
    def is_over(self) -> bool:
        """Whether it is closed or dead."""
        return self._closed or self._dead

    def _end(self, mark: Mark) -> None:
        """Send no more, and the mark after the bytes under way."""
        with self._lock:
            out = self._out
            is_over = self._has_shut_down and mark is Mark.END
            self._has_shut_down = True
            if is_over or out is None or not self._connected or self._dead:
                return
            self._dead = mark is Mark.RESET
            times = out.put_locked([mark])
        out.arrive_at(times)

    def _die_locked(self, code: int) -> None:
        if self._dead or self._closed:
            return
        self._dead, self._error = True, code
        if self._out is not None:
            self._out.drop_locked()

    def _take_locked(self, buffer: memoryview) -> int:
        """Move unread bytes into the buffer; return their number."""
        size, room = 0, len(buffer)
        while self._unread and room:
            piece = self._unread[0][:room]
            buffer[size : size + len(piece)] = piece
            size, room = size + len(piece), room - len(piece)
            if len(piece) == len(self._unread[0]):
                self._unread.popleft()
            else:
                self._unread[0] = self._unread[0][len(piece) :]
        return size

    def _check_open(self) -> None:
        if self._closed:
            raise os_error(errno.EBADF)

    def _check_alive_locked(self) -> None:
        """Raise the pending error, which is cleared."""
        code, self._error = self._error, 0
        if code:
            raise os_error(code)


def connect(caller: MemoryStream, called: MemoryStream, make_pipe: MakePipe) -> bool:
    """Make the connection of two streams that share a lock, and send the answer to the caller.

    Returns False if the caller has been closed.
    """
    with caller._lock:
        if caller._closed:
            return False
        there, back = make_pipe(caller, called), make_pipe(called, caller)
        caller._out, caller._in = there, back
        called._out, called._in = back, there
        called._connected = True
        times = back.put_locked([Mark.ACCEPTED])
    back.arrive_at(times)
    return True

