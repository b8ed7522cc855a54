"""One TCP connection on a loop: bytes in, buffers out, an orderly end.

A channel owns its socket from the moment it is made. It reads one piece per readiness into memory
that all channels of the loop share, and keeps the bytes that the kernel does not take at once.
Everything here runs on the loop's thread, and no method calls the receiver back before it returns.

::

    OPEN ──close()──▶ FLUSHING ──all sent──▶ DRAINING ──EOF, error, deadline──▶ CLOSED
      │                   └────────────error, deadline────────────────────────────▲
      └──abort(), error───────────────────────────────────────────────────────────┘

A socket that is closed with unread bytes sends a reset, and a reset can make the remote lose what
it has not read yet, such as our reason for leaving. Hence DRAINING: our writing side is shut down,
and later data of the remote is read and dropped until it closes, too.
"""

from __future__ import annotations

import errno
import os
import socket
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from enum import Enum
from itertools import islice
from typing import Protocol

from p2p.net.limiter import Flow, Limiter
from p2p.net.loop import Loop
from p2p.net.poller import ERROR, READ, WRITE
from p2p.net.sockaddr import ends_of
from p2p.net.sockets import StreamSocket
from p2p.net.timer import Timer
from p2p.net.virtual import close_in_child

Buffer = bytes | bytearray | memoryview

# Limit on the bytes read per readiness. More gains nothing: the kernel hands out 200 KiB at a time
# even on loopback, and a channel with much data must not hold up the others.
_READ_SIZE_BYTES = 262_144
# The kernel refuses sendmsg with more buffers than this.
_IOV_MAX = min(os.sysconf("SC_IOV_MAX"), 1024) if "SC_IOV_MAX" in os.sysconf_names else 16
# Limit on the system calls of one channel for writing in a pass.
_WRITES_PER_PASS = 4
# Limit on the reads of the remote's last data after a failed send.
_LAST_READS = 64


class Receiver(Protocol):
    """Callbacks of a channel, always on the loop's thread, never inside a method of the channel."""

    def data_received(self, data: memoryview) -> None:
        """Called with bytes from the remote; the memory is reused when this returns."""

    def eof_received(self) -> None:
        """Called when the remote will send no more; the channel stays open for sending."""

    def send_buffer_empty(self) -> None:
        """Called when the kernel has all bytes given to ``send``, after some had to wait."""

    def sending_failed(self, error: OSError) -> None:
        """Called when the connection is dead while reading is paused.

        Nothing can be sent any more. The remote's last data can still be read after
        :meth:`Channel.resume_reading`, and ``connection_lost`` comes after it.
        """

    def connection_lost(self, error: OSError | None) -> None:
        """Called once, last, when the socket is closed.

        ``error`` is the reason, None after ``close`` or ``abort``.
        """


class _State(Enum):
    OPEN = 1
    FLUSHING = 2
    DRAINING = 3
    CLOSED = 4


class Channel:
    """A connected TCP socket on a loop. It starts reading when it is made.

    ``sock`` belongs to the channel from now on. ``remote_addr`` and ``local_addr`` are the two
    ends, or ``UNKNOWN_ENDPOINT`` when the connection was reset before the channel was made (which
    ``connection_lost`` then reports), or when the socket is a stream of another family.
    ``unsent_bytes`` is the number of bytes that the kernel has not taken yet. ``read_size`` is the
    limit on the bytes of one ``data_received``. A loop that ends leaves its channels open:
    ``on_end`` has to abort them.
    """

    def __init__(
        self,
        loop: Loop,
        sock: StreamSocket,
        receiver: Receiver,
        read_size: int = _READ_SIZE_BYTES,
    ) -> None:
        close_in_child(sock)
        sock.setblocking(False)
        self.remote_addr, self.local_addr = ends_of(sock)
        self.unsent_bytes = 0
        self._loop = loop
        self._sock = sock
        self._receiver = receiver
        self._buffer = loop.scratch(read_size)[:read_size]
        self._state = _State.OPEN
        self._paused = False
        self._eof = False
        # Cause of the end of the connection; the channel closes when all earlier data is read.
        self._error: OSError | None = None
        self._unsent: deque[Buffer] = deque()
        self._deadline: Timer | None = None
        self._interest = READ
        # while limit() holds
        self._reading: Flow | None = None
        self._writing: Flow | None = None
        _set_no_delay(sock)
        loop.register(sock, READ, self._on_ready)

    # commands

    def send(self, buffers: Sequence[Buffer]) -> None:
        """Send the buffers, in order: now, or when the kernel takes them.

        They are kept, not copied, so they must not change until they are sent. Never raises: after
        an error, earlier data of the remote is still delivered, then ``connection_lost`` has the
        error. After ``close``, ``abort`` or an error this does nothing.
        """
        if self._state is not _State.OPEN or self._error is not None:
            return
        idle = not self._unsent
        for buffer in buffers:
            size = _size_of(buffer)
            if size:
                self._unsent.append(buffer)
                self.unsent_bytes += size
        if idle and self._unsent:
            self._write()

    def pause_reading(self) -> None:
        """Deliver no more data until :meth:`resume_reading`.

        A reset is still noticed, as ``sending_failed`` (without epoll, at the next send). The data
        not read by then is delivered after :meth:`resume_reading`.
        """
        self._paused = True
        self._update_interest()

    def resume_reading(self) -> None:
        """Deliver data again, from the next pass on."""
        self._paused = False
        if self._error is not None:
            self._loop.post(self._read_rest)
        self._update_interest()

    def limit(self, reading: Limiter | None, writing: Limiter | None) -> None:
        """Read and write at the rates of these limiters, until :meth:`lift_limits`.

        Bytes wait, and are not lost. :meth:`close` and errors also lift the limits.
        """
        if self._state is _State.OPEN and self._error is None:
            self._reading = None if reading is None else reading.join(self._on_read_turn)
            self._writing = None if writing is None else writing.join(self._on_write_turn)

    def lift_limits(self) -> None:
        """Read and write as fast as possible from now on."""
        self._leave_limiters()
        self._update_interest()

    def take_read_wait(self) -> bool:
        """Return whether reading has waited for its limit since the last call, or does now."""
        return self._reading is not None and self._reading.take_waited()

    def take_write_wait(self) -> bool:
        """Return the same for writing."""
        return self._writing is not None and self._writing.take_waited()

    def close(self, linger_s: float) -> None:
        """Send the unsent bytes, shut down the writing side, and close when the remote has closed.

        The socket is closed after ``linger_s`` seconds at the latest. No more data is delivered;
        the last callback is ``connection_lost(None)``.
        """
        if self._state is not _State.OPEN:
            return
        self._leave_limiters()
        self._state = _State.FLUSHING
        self._deadline = self._loop.call_later(linger_s, self._lose, None)
        self._update_interest()
        if self._error is not None:
            self._loop.post(self._read_rest)
        elif not self._unsent:
            self._shut_down()

    def abort(self) -> None:
        """Close at once and drop the unsent bytes. ``connection_lost(None)`` is posted."""
        if self._state is not _State.CLOSED:
            self._close_socket()
            self._loop.post(self._receiver.connection_lost, None)

    # inside

    def _on_ready(self, ready: int) -> None:
        if ready & WRITE and self._unsent:
            self._flush()
        if ready & READ and self._state is not _State.CLOSED:
            self._read()
        elif ready & ERROR and self._state is not _State.CLOSED and self._error is None:
            self._find_error()

    def _update_interest(self) -> None:
        if self._state is _State.CLOSED or self._error is not None:
            return
        discarding = self._state is not _State.OPEN
        interest = READ if not self._eof and (discarding or not self._paused) else 0
        if self._reading is not None and self._reading.is_waiting:
            interest = 0
        if self._unsent and not (self._writing is not None and self._writing.is_waiting):
            interest |= WRITE
        if interest != self._interest:
            self._interest = interest
            self._loop.set_interest(self._sock, interest)

    def _read(self) -> None:
        buffer, flow = self._buffer, self._reading
        if flow is not None:
            room = flow.ask()
            if not room:
                self._update_interest()
                return
            buffer = buffer[:room]
        size = 0
        try:
            size = self._sock.recv_into(buffer)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._lose(self._error or error)
            return
        finally:
            if flow is not None:
                flow.settle(size)
        if not size:
            self._end_of_data()
        elif self._state is _State.OPEN:
            self._receiver.data_received(self._buffer[:size])

    def _end_of_data(self) -> None:
        self._eof = True
        if self._state is _State.DRAINING or self._error is not None:
            self._lose(self._error)
            return
        self._update_interest()
        if self._state is _State.OPEN:
            self._receiver.eof_received()

    def _find_error(self) -> None:
        """Fetch the error of a connection that died while reading is paused."""
        code = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) or errno.ECONNRESET
        self._fail(OSError(code, os.strerror(code)))

    def _write(self) -> None:
        """Give the kernel as much as it takes; the rest waits for the socket to be writable."""
        try:
            for _ in range(_WRITES_PER_PASS):
                if not self._write_batch():
                    break
        except (BlockingIOError, InterruptedError):
            pass
        except OSError as error:
            self._fail(error)
            return
        if self._unsent or self._interest & WRITE:
            self._update_interest()

    def _write_batch(self) -> bool:
        """Make one system call. Returns whether another is worthwhile."""
        unsent = self._unsent
        if self._writing is not None:
            sent = self._write_turn(self._writing)
        elif len(unsent) == 1:
            sent = self._sock.send(unsent[0])
            if sent == self.unsent_bytes:  # nearly always
                unsent.clear()
                self.unsent_bytes = 0
                return False
        else:
            sent = self._sock.sendmsg(list(islice(unsent, _IOV_MAX)))
        if not sent:
            return False
        self.unsent_bytes -= sent
        while sent:
            buffer = unsent.popleft()
            size = _size_of(buffer)
            if size > sent:
                unsent.appendleft(memoryview(buffer).cast("B")[sent:])
                return False
            sent -= size
        return bool(unsent)

    def _write_turn(self, flow: Flow) -> int:
        """Send as much as the limit allows. Returns the number of bytes, 0 if it has to wait."""
        sent, room = 0, flow.ask()
        if not room:
            return 0
        buffers: list[Buffer] = []
        for buffer in islice(self._unsent, _IOV_MAX):
            buffers.append(memoryview(buffer).cast("B")[:room])
            room -= len(buffers[-1])
            if not room:
                break
        try:
            sent = self._sock.sendmsg(buffers)
        finally:
            flow.settle(sent)
        return sent

    def _leave_limiters(self) -> None:
        for flow in (self._reading, self._writing):
            if flow is not None:
                flow.leave()
        self._reading = self._writing = None

    def _on_read_turn(self) -> None:
        if self._state is _State.OPEN and not self._paused:
            self._read()
        elif self._reading is not None:
            self._reading.settle(0)
        self._update_interest()

    def _on_write_turn(self) -> None:
        if self._unsent:
            self._flush()
        elif self._writing is not None:
            self._writing.settle(0)

    def _flush(self) -> None:
        self._write()
        if self._unsent or self._error is not None:
            return
        if self._state is _State.FLUSHING:
            self._shut_down()
        elif self._state is _State.OPEN:
            self._receiver.send_buffer_empty()

    def _shut_down(self) -> None:
        self._state = _State.DRAINING
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError as error:
            self._loop.post(self._lose, error)
            return
        if self._eof:  # everything has been read, so closing sends no reset
            self._loop.post(self._lose, None)

    def _fail(self, error: OSError) -> None:
        self._leave_limiters()
        self._error = error
        self._drop_unsent()
        self._loop.unregister(self._sock)  # it would be ready in every pass
        self._loop.post(self._read_rest)

    def _read_rest(self) -> None:
        """Read the data that the remote sent before its reset; they may contain the reason."""
        assert self._error is not None
        for _ in range(_LAST_READS):
            if self._state is not _State.OPEN or self._paused or self._eof:
                break
            self._read()
        if self._state is _State.OPEN and self._paused and not self._eof:
            self._receiver.sending_failed(self._error)
        else:
            self._lose(self._error)

    def _drop_unsent(self) -> None:
        self._unsent.clear()
        self.unsent_bytes = 0

    def _lose(self, error: OSError | None) -> None:
        """Close, and call the receiver. Only the loop calls this, so it is in no method of ours."""
        if self._state is _State.CLOSED:
            return
        if self._state is not _State.OPEN:
            error = None  # close() was called: errors of its last steps do not matter
        self._close_socket()
        self._receiver.connection_lost(error)

    def _close_socket(self) -> None:
        self._leave_limiters()
        self._state = _State.CLOSED
        self._drop_unsent()
        if self._deadline is not None:
            self._deadline.cancel()
        self._loop.unregister(self._sock)
        with suppress(OSError):  # mostly the connection has ended already
            # A child that the program has forked may have the socket, too: it would stay open.
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()


def _size_of(buffer: Buffer) -> int:
    return buffer.nbytes if isinstance(buffer, memoryview) else len(buffer)


def _set_no_delay(sock: StreamSocket) -> None:
    # Messages are small and wait for answers; those that belong together are sent together anyway.
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError:
        pass  # some systems refuse it on a connection that was reset
