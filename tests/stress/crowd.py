"""Many remotes in one thread: bare connection machines on one selector.

A :class:`Crowd` drives its members by :meth:`Crowd.step`, from one thread, and holds nothing but
their sockets. A :class:`Member` connects, shakes hands and answers pings; what it does besides is
for a subclass to say in ``opened``, ``received`` and ``ended``. It can leave in each of the ways of
:class:`Leave`, stop reading, or vanish so that nothing of it answers any more, not even its kernel.
"""

from __future__ import annotations

import ctypes
import os
import selectors
import socket
import struct
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from enum import Enum

import p2p
from p2p.rlpx import (
    BASE_LENGTH,
    Connection,
    ConnectionFailed,
    DisconnectReceived,
    Event,
    Hello,
    HelloReceived,
    IdentityKnown,
    MessagesReceived,
)

CAP = p2p.Cap("stress", 1)
LENGTH = 4
#: Until something must have come to pass, however busy the machine is.
PATIENCE_S = 120.0

_READ = selectors.EVENT_READ
_WRITE = selectors.EVENT_WRITE
_READ_BYTES = 65536
#: socket(7): a classic BPF program that decides what the socket gets to see.
_SO_ATTACH_FILTER = 26
_BPF_RETURN = 0x06


class Leave(Enum):
    """A way for a member to leave."""

    RESET = "reset"
    FIN = "fin"
    DISCONNECT = "disconnect"


class Stage(Enum):
    """How far a member has come."""

    SHAKING = "shaking"  # connecting, or in its handshake
    OPEN = "open"
    LEAVING = "leaving"  # it has said its last; what the server still says is read
    GONE = "gone"


class Member:
    """One remote. It connects when it is made and does the rest when its crowd is driven."""

    def __init__(self, crowd: Crowd, receive_buffer_bytes: int = 0) -> None:
        self.crowd = crowd
        self.stage = Stage.SHAKING
        self.reason: p2p.DiscReason | None = None  # what the server's Disconnect said
        self.error: OSError | None = None  # what the connection broke with
        key = p2p.generate_key()
        self.id = p2p.Node.from_parts(key.public_key).id
        hello = Hello(5, "member", [CAP], 0, key.public_key.to_bytes())
        self.machine = Connection(
            key, hello, [(CAP, LENGTH)], os.urandom, 0.0, remote=crowd.node.public_key
        )
        self.unsent = bytearray()
        self.sock = socket.socket()
        self.sock.setblocking(False)
        if receive_buffer_bytes:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.connect_ex((str(crowd.node.ip), crowd.node.tcp))
        self._take_output()
        crowd._add(self)

    # for subclasses

    def opened(self) -> None:
        """It is a peer, as far as it knows."""

    def received(self, code: int, payload: bytes) -> None:
        """A message has come."""

    def ended(self, stage: Stage) -> None:
        """The connection is over, and had come to ``stage``; ``reason`` is the one that the server
        gave, if it did."""

    def sent_all(self) -> None:
        """Nothing waits to be sent any more."""

    # what it can do

    def send(self, messages: Iterable[tuple[int, bytes]]) -> None:
        """Send messages, as (code, payload), as soon as the kernel takes them."""
        self.machine.send_messages([(BASE_LENGTH + code, payload) for code, payload in messages])
        self.flush()

    def send_raw(self, data: bytes) -> None:
        """Send bytes as they are, after those that wait."""
        self.unsent += data
        self.flush()

    def leave(self, how: Leave) -> None:
        """Leave; all but a reset sends first what waits, and reads what the server still says."""
        if how is Leave.RESET:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close()
            return
        if how is Leave.DISCONNECT:
            self.machine.disconnect(p2p.DiscReason.REQUESTED)
        self.stage = Stage.LEAVING
        self.flush()

    def stop_reading(self) -> None:
        """Read nothing any more, and send nothing either."""
        self.crowd._forget(self)

    def vanish(self) -> None:
        """Stand for a machine that has lost its power: not even its kernel hears or says a thing.

        The kernel throws away whatever comes for the socket, and so acknowledges nothing.
        """
        self.crowd._forget(self)
        program = ctypes.create_string_buffer(struct.pack("HBBI", _BPF_RETURN, 0, 0, 0))
        filter_ = struct.pack("@HP", 1, ctypes.addressof(program))
        self.sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, filter_)

    def close(self) -> None:
        """Close the socket at once, as it is; harmless when it is closed."""
        if self.stage is not Stage.GONE:
            self.stage = Stage.GONE
            self.crowd._remove(self)
            self.sock.close()

    # driven by the crowd

    def flush(self) -> None:
        """Give the kernel what it takes."""
        if self.stage is Stage.GONE:
            return
        self._take_output()
        try:
            while self.unsent:
                del self.unsent[: self.sock.send(self.unsent)]
        except (BlockingIOError, InterruptedError):
            self.crowd.want(self, _READ | _WRITE)
            return
        except OSError as error:
            self.error = error
            self._end()
            return
        if self.stage is Stage.LEAVING:
            with suppress(OSError):  # it is reset already, which reading will tell
                self.sock.shutdown(socket.SHUT_WR)
        self.crowd.want(self, _READ)

    def on_ready(self, mask: int) -> None:
        """The selector says that there is something to do."""
        if mask & _WRITE:
            self.flush()
            if not self.unsent and self.stage is not Stage.GONE:
                self.sent_all()
        if mask & _READ and self.stage is not Stage.GONE:
            self._read()

    def _read(self) -> None:
        try:
            data = self.sock.recv(_READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self.error, data = error, b""
        if not data:
            self._end()
            return
        self._handle(self.machine.receive_data(data, 0.0))
        if self.stage is not Stage.GONE and self.machine.has_data_to_send:
            self.flush()

    def _handle(self, events: Iterable[Event]) -> None:
        for event in events:
            if isinstance(event, MessagesReceived):
                for code, payload, _ in event.messages:
                    self.received(code, bytes(payload))
            elif isinstance(event, IdentityKnown):
                self._handle(self.machine.accept_identity(0.0))
            elif isinstance(event, HelloReceived):
                rest = self.machine.accept_hello(0.0)
                self.stage = Stage.OPEN
                self.opened()
                self._handle(rest)
            elif isinstance(event, DisconnectReceived):
                self.reason = event.reason
            elif isinstance(event, ConnectionFailed):
                raise event.error

    def _take_output(self) -> None:
        if self.machine.has_data_to_send:
            self.unsent += b"".join(self.machine.data_to_send())

    def _end(self) -> None:
        stage = self.stage
        if stage is not Stage.GONE:
            self.close()
            self.ended(stage)


class Crowd:
    """Members of one server, at ``node``. One thread uses it."""

    def __init__(self, node: p2p.Node) -> None:
        self.node = node
        self.members: set[Member] = set()
        self._selector = selectors.DefaultSelector()

    def step(self, timeout_s: float = 0.05) -> None:
        """Do what there is to do; wait for it ``timeout_s`` seconds at most."""
        for key, mask in self._selector.select(timeout_s):
            member: Member = key.data
            if member.stage is not Stage.GONE:
                member.on_ready(mask)

    def until(
        self,
        happened: Callable[[], object],
        what: str,
        drive: Callable[[], object] | None = None,
    ) -> None:
        """Drive the members until something has happened. Raises AssertionError if it does not.

        ``drive`` is called instead of :meth:`step`.
        """
        deadline = time.monotonic() + PATIENCE_S
        drive = drive or self.step
        while not happened():
            assert time.monotonic() < deadline, f"it did not come to that: {what}"
            drive()

    def is_driven(self, member: Member) -> bool:
        """Whether :meth:`step` reads from the member."""
        return member.sock in self._selector.get_map()

    def close(self) -> None:
        """Close all sockets."""
        for member in list(self.members):
            member.close()
        self._selector.close()

    def __enter__(self) -> Crowd:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # calls of the members

    def _add(self, member: Member) -> None:
        self.members.add(member)
        self._selector.register(member.sock, _READ | _WRITE, member)

    def want(self, member: Member, mask: int) -> None:
        key = self._selector.get_map().get(member.sock)
        if key is not None and key.events != mask:
            self._selector.modify(member.sock, mask, member)

    def _forget(self, member: Member) -> None:
        with suppress(KeyError):
            self._selector.unregister(member.sock)

    def _remove(self, member: Member) -> None:
        self._forget(member)
        self.members.discard(member)
