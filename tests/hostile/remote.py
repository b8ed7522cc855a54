"""A remote that is played by hand: a blocking socket and a connection machine, step by step.

A :class:`Remote` takes the steps of a connection one at a time, so a test can stop at any of them,
say something else than the protocol wants, or say nothing. It reads only when it is told to, and
answers no ping by itself unless :meth:`Remote.flush` is called.
"""

from __future__ import annotations

import os
import socket
import struct
from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from p2p import Cap, DiscReason, Node, PrivateKey, PublicKey, Server, generate_key
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
    State,
)
from p2p.rlpx.base import DISCONNECT, HELLO, encode_hello

#: Longer than anything here takes; a remote that waits this long has met a defect.
PATIENCE_S = 20.0
TEST = Cap("test", 1)
LENGTH = 16
#: The code on the wire of the first message of "test", when it is the only protocol.
FIRST_CODE = BASE_LENGTH


class Remote:
    """One end of a connection. ``to`` is the key it dials; None for the end that listens."""

    def __init__(
        self,
        sock: socket.socket,
        to: PublicKey | None,
        key: PrivateKey | None = None,
        caps: Sequence[Cap] = (TEST,),
        name: str = "remote",
        version: int = 5,
    ) -> None:
        self.key = key or generate_key()
        self.sock = sock
        sock.settimeout(PATIENCE_S)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.hello = Hello(version, name, list(caps), 0, self.key.public_key.to_bytes())
        offers = [(cap, LENGTH) for cap in caps]
        self.machine = Connection(self.key, self.hello, offers, os.urandom, 0.0, remote=to)
        self.eof = False
        self.received_bytes = 0
        self.messages: deque[tuple[int, bytes]] = deque()
        self._events: deque[Event] = deque()

    @classmethod
    def dial(cls, server: Server, **options: Any) -> Remote:
        """Connect to ``server``; nothing is sent yet."""
        return cls(connect(server), server.config.private_key.public_key, **options)

    def __enter__(self) -> Remote:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.sock.close()

    @property
    def node(self) -> Node:
        """The identity, without an address."""
        return Node.from_parts(self.key.public_key)

    # what it says

    def pending(self) -> bytes:
        """What the machine wants to send; it is the caller's now."""
        return b"".join(self.machine.data_to_send())

    def flush(self) -> None:
        """Send what the machine wants to send."""
        self.send_raw(self.pending())

    def send_raw(self, data: bytes) -> None:
        self.sock.sendall(data)

    def send_frame(self, code: int, data: bytes) -> None:
        """Send a frame with ``data`` as it is: nothing is compressed or checked."""
        self.send_raw(self.frame(code, data))

    def frame(self, code: int, data: bytes) -> bytes:
        """The frame of ``data`` as it is; no frame may be pending."""
        writer = self.machine._writer
        assert writer is not None and writer.is_empty
        writer.write([(code, data)], bytes)
        return b"".join(writer.take())

    def send(self, *messages: tuple[int, bytes]) -> None:
        """Send messages of "test", the first protocol."""
        self.machine.send_messages([(FIRST_CODE + code, payload) for code, payload in messages])
        self.flush()

    def say_hello(self, payload: bytes | None = None) -> None:
        """Send the hello, or another payload in its place."""
        self.machine._enter(State.AWAIT_HELLO)
        self.send_frame(HELLO, encode_hello(self.hello) if payload is None else payload)

    def say_disconnect(self, payload: bytes) -> None:
        self.send_frame(DISCONNECT, payload)

    # how far it goes

    def shake_hands(self) -> Remote:
        """Get as far as the secrets: auth and ack are exchanged."""
        self.flush()
        event = self.next_event()
        assert isinstance(event, IdentityKnown), event
        self.flush()
        return self

    def open(self) -> Remote:
        """Get as far as being a peer."""
        self.shake_hands()
        self.say_hello()
        self.receive_hello()
        return self

    def receive_hello(self) -> Hello:
        """Read the server's hello and accept it; messages may pass from here on."""
        self._take(self.machine._process(0.0))
        event = self.next_event()
        assert isinstance(event, HelloReceived), event
        self._take(self.machine.accept_hello(0.0))
        return event.hello

    # what it hears

    def next_event(self) -> Event:
        """The next event that is not a message; messages are kept in :attr:`messages`."""
        while not self._events:
            self.receive()
            assert self._events or not self.eof, "the connection was closed without a word"
        return self._events.popleft()

    def receive(self) -> None:
        """Read once from the socket."""
        assert not self.eof, "the connection was closed"
        data = self.sock.recv(65536)
        self.eof = not data
        self.received_bytes += len(data)
        self._take(self.machine.receive_data(data, 0.0))

    def _take(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, MessagesReceived):
                self.messages += [(code, payload) for code, payload, _ in event.messages]
            else:
                self._events.append(event)

    def next_message(self) -> tuple[int, bytes]:
        """The next message, as (code, payload)."""
        while not self.messages:
            assert not self._events, self._events
            assert not self.eof, "the connection was closed"
            self.receive()
        return self.messages.popleft()

    def disconnect_reason(self) -> DiscReason:
        """The reason in the server's Disconnect, which is the last thing it says."""
        event = self.next_event()
        assert isinstance(event, DisconnectReceived), event
        self.await_eof()
        return event.reason

    def await_eof(self) -> bytes:
        """Read until the server has closed; returns what it said until then."""
        heard = bytearray()
        while not self.eof:
            data = self.sock.recv(65536)
            self.eof = not data
            heard += data
        return bytes(heard)

    def await_failure(self) -> ConnectionFailed:
        event = self.next_event()
        assert isinstance(event, ConnectionFailed), event
        return event

    # how it goes

    def reset(self) -> None:
        """Close with a reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


class RemoteListener:
    """Where a server can dial a :class:`Remote`."""

    def __init__(self, key: PrivateKey | None = None) -> None:
        self.key = key or generate_key()
        self._sock = socket.create_server(("127.0.0.1", 0))
        self._sock.settimeout(PATIENCE_S)

    @property
    def node(self) -> Node:
        ip, port = self._sock.getsockname()
        return Node.from_parts(self.key.public_key, ip, port)

    def accept(self, **options: Any) -> Remote:
        sock, _ = self._sock.accept()
        return Remote(sock, None, key=options.pop("key", self.key), **options)

    def close(self) -> None:
        self._sock.close()

    def __enter__(self) -> RemoteListener:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def connect(server: Server, receive_buffer: int = 0) -> socket.socket:
    """A TCP connection to ``server``, with a small receive buffer if one is given in bytes."""
    assert server.listen_addr is not None
    host, port = server.listen_addr.rsplit(":", 1)
    sock = socket.socket()
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.settimeout(PATIENCE_S)
    sock.connect((host, int(port)))
    return sock
