"""Faults on a read-writer: delay, error, reordering or corruption of chosen messages.

A fault is a function of the read-writer and the message: it returns the message to pass on, or None
to hold it back until after the next one. Programs may define their own. It runs in the thread that
reads or writes the message.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping

from p2p.arguments import check_function, check_int, check_type, wrong, wrong_type
from p2p.clock import Deadline, checked_timeout, nonnegative_timeout
from p2p.errors import DiscReason, PeerDisconnected, checked_reason
from p2p.message import Msg, MsgReadWriter
from p2p.testing.failures import of_whole
from p2p.testing.readwriter import check_read_writer

#: Function of the read-writer and the message; returns the message to pass on, or None to hold it.
Fault = Callable[[MsgReadWriter, Msg], "Msg | None"]


def delay(seconds: float) -> Fault:
    """Return a fault that delays the message by ``seconds`` of real time."""
    return wait_for(threading.Event(), nonnegative_timeout(seconds, "seconds"))


def wait_for(event: threading.Event, timeout: float | None = None) -> Fault:
    """Return a fault that delays the message until ``event`` is set.

    The delay is at most ``timeout`` seconds (None: no limit).
    """
    check_type("event", event, threading.Event, "a threading.Event")
    timeout = checked_timeout(timeout)

    def fault(rw: MsgReadWriter, msg: Msg) -> Msg:
        event.wait(timeout)
        return msg

    return fault


def fail(error: BaseException | type[BaseException]) -> Fault:
    """Return a fault that raises ``error`` and drops the message."""
    kind = error if isinstance(error, type) else type(error)
    if not issubclass(kind, BaseException):
        raise wrong_type("error", error, "an exception")

    def fault(rw: MsgReadWriter, msg: Msg) -> Msg:
        raise error

    return fault


def disconnect(reason: int = DiscReason.NETWORK_ERROR) -> Fault:
    """Return a fault that closes the read-writer with ``reason`` and drops the message.

    It raises PeerDisconnected.
    """
    reason = checked_reason(reason)

    def fault(rw: MsgReadWriter, msg: Msg) -> Msg:
        rw.close(reason)
        error = PeerDisconnected(reason, by_remote=False)
        error.connection_id = rw.connection_id
        raise error

    return fault


def corrupt(position: int = 0) -> Fault:
    """Return a fault that inverts all bits of the payload's byte at ``position``.

    ``position`` is taken modulo the size. An empty payload gets one byte.
    """
    check_type("position", position, int, "an int")

    def fault(rw: MsgReadWriter, msg: Msg) -> Msg:
        payload = bytearray(msg.payload or b"\x00")
        payload[position % len(payload)] ^= 0xFF
        return Msg(msg.code, bytes(payload), msg.received_at, msg.connection_id)

    return fault


def truncate(size_bytes: int) -> Fault:
    """Return a fault that truncates the payload to ``size_bytes`` bytes."""
    check_int("size_bytes", size_bytes, 0, math.inf, "an int from 0 up")

    def fault(rw: MsgReadWriter, msg: Msg) -> Msg:
        return Msg(msg.code, msg.payload[:size_bytes], msg.received_at, msg.connection_id)

    return fault


def swap() -> Fault:
    """Return a fault that holds the message back until after the next one."""

    def fault(rw: MsgReadWriter, msg: Msg) -> None:
        return None

    return fault


class FaultyReadWriter(MsgReadWriter):
    """A read-writer with faults at its n-th message read or written, counted from 1::

        faulty = FaultyReadWriter(rw, reads={2: corrupt()}, writes={1: delay(0.5), 3: swap()})

    Any thread may use it. Raises ArgumentError for a number below 1, and for a fault that is not a
    function of a read-writer and a message.
    """

    def __init__(
        self,
        rw: MsgReadWriter,
        *,
        reads: Mapping[int, Fault] | None = None,
        writes: Mapping[int, Fault] | None = None,
    ) -> None:
        check_read_writer("rw", rw)
        # fixed after __init__
        self.rw = rw
        self.connection_id = getattr(rw, "connection_id", None)
        self._reads = _Faults("reads", rw, reads or {})
        self._writes = _Faults("writes", rw, writes or {})

    @property
    def is_closed(self) -> bool:
        """Whether nothing can be written any more; messages received before may still be read."""
        return self.rw.is_closed

    @property
    def disconnect_reason(self) -> PeerDisconnected | None:
        """The error with the reason of the end; None while open."""
        return getattr(self.rw, "disconnect_reason", None)

    def close(self, reason: int = DiscReason.REQUESTED) -> None:
        """Close the wrapped read-writer."""
        self.rw.close(reason)

    def read_msg(self, timeout: float | None = None) -> Msg:
        deadline = Deadline(checked_timeout(timeout))
        while (msg := self._reads.take()) is None:
            self._reads.put(self.rw.read_msg(deadline.left_s))
        return msg

    def write_msg(self, msg: Msg) -> None:
        check_type("msg", msg, Msg, "a Msg, such as Msg(0, payload)")
        self._writes.put(msg)
        while (passed := self._writes.take()) is not None:
            self.rw.write_msg(passed)

    @of_whole
    def __repr__(self) -> str:
        return f"<FaultyReadWriter of {self.rw!r}>"


class _Faults:
    """The faults of one direction: ``put`` applies them, ``take`` returns the result."""

    def __init__(self, name: str, rw: MsgReadWriter, faults: Mapping[int, Fault]) -> None:
        check_type(name, faults, Mapping, "a dict of faults by the number of the message")
        for number, fault in faults.items():
            if type(number) is not int or number < 1:
                raise wrong(name, number, "numbers of messages, from 1 up")
            check_function(f"{name}[{number}]", fault, "rw", "msg")
        # fixed after __init__
        self._rw = rw
        self._faults = dict(faults)
        self._lock = threading.Lock()
        # guarded by _lock
        self._count = 0
        self._held: list[Msg] = []
        self._passed: list[Msg] = []

    def put(self, msg: Msg) -> None:
        with self._lock:
            self._count += 1
            fault = self._faults.get(self._count)
        passed = msg if fault is None else fault(self._rw, msg)
        with self._lock:
            if passed is None:
                self._held.append(msg)
            else:
                self._passed += [passed, *self._held]
                self._held = []

    def take(self) -> Msg | None:
        with self._lock:
            return self._passed.pop(0) if self._passed else None
