"""Scripted remote: one end of a real connection, under the control of a test.

A :class:`Remote` is a blocking socket and a connection machine. The test may stop after any step,
break the protocol, or send nothing. The remote reads only in calls that wait for input, and answers
pings only with its next output. :class:`RemoteListener` is an address for a server to dial one. No
thread is started; one thread at a time may use each of them.
"""

from __future__ import annotations

import math
import os
import socket
import struct
from collections import deque
from collections.abc import Iterable
from typing import Any, TypeVar

from p2p.arguments import bytes_of, check_int, check_type, check_uint64, wrong, wrong_type
from p2p.clock import Deadline, checked_timeout, nonnegative_timeout
from p2p.crypto import PrivateKey, PublicKey
from p2p.enode import Node, generate_key
from p2p.errors import (
    DiscReason,
    PeerDisconnected,
    ServerStateError,
    Timeout,
    checked_reason,
)
from p2p.message import Msg
from p2p.protocol import Protocol
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
from p2p.rlpx.messages import (
    DISCONNECT,
    HELLO,
    SNAPPY_VERSION,
    encode_disconnect,
    encode_hello,
)
from p2p.rlpx.snappy import compress
from p2p.server import Server
from p2p.testing.failures import of_whole, socket_timeout
from p2p.testing.peers import caps_of, check_key
from p2p.testing.readwriter import PATIENCE_S, ScriptedReadWriter

_HOST = "127.0.0.1"
#: Bytes of a read of the socket.
_READ_BYTES = 65536
#: Reads after the end of a wait at most: more than waits in a socket, so the other end still sends.
_MAX_LATE_READS = 256

R = TypeVar("R", bound="Remote")
E = TypeVar("E", bound=Event)


class Remote(ScriptedReadWriter):
    """One end of a connection, over the stream socket ``sock``.

    ``to`` is the public key of the node to dial, None for the end that listens. ``key`` is its
    private key, by default a new one. Its hello has ``name``, ``version`` of the base protocol and
    ``caps``, by default those of ``protocols``, whose handlers are not used. It writes messages of
    the first protocol that both ends have, and reads those of any. One thread at a time. The end of
    its ``with`` block closes the socket without a Disconnect.

    ``hello`` is its own hello, ``remote_hello`` that of the other end, and ``received_bytes`` is
    the number of bytes received.
    """

    def __init__(
        self,
        sock: socket.socket,
        to: PublicKey | None,
        *protocols: Protocol,
        key: PrivateKey | None = None,
        name: str = "remote",
        version: int = 5,
        caps: Iterable[tuple[str, int]] | None = None,
    ) -> None:
        if not hasattr(sock, "recv"):  # a socket, or an object with its methods
            raise wrong_type("sock", sock, "a connected stream socket")
        check_type("to", to, (PublicKey, type(None)), "the PublicKey of a node, or None")
        for protocol in protocols:
            check_type("protocols", protocol, Protocol, "p2p.Protocols")
        check_type("name", name, str, "a text")
        check_key("key", key)
        check_uint64("version", version)
        self.sock = sock
        self.key = key or generate_key()
        sock.settimeout(PATIENCE_S)
        is_tcp = sock.family in (socket.AF_INET, socket.AF_INET6)
        if is_tcp:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        offers = [(protocol.cap, protocol.length) for protocol in protocols]
        shown = [cap for cap, _ in offers] if caps is None else caps_of(caps)
        self.hello = Hello(version, name, shown, 0, self.key.public_key.to_bytes())
        self._machine = Connection(self.key, self.hello, offers, os.urandom, 0.0, remote=to)
        self.received_bytes = 0
        self._address: tuple[str, int] | tuple[()] = sock.getsockname()[:2] if is_tcp else ()
        self._is_at_end = False
        self._was_reset = False
        self._late_reads = 0  # of the present wait
        self._events: deque[Event] = deque()
        self._messages: deque[tuple[int, bytes]] = deque()

    @classmethod
    def dial(cls: type[R], node: Node | Server, *protocols: Protocol, **options: Any) -> R:
        """Connect to a node by TCP; nothing is sent yet. ``options`` are those of the class.

        Raises OSError if the connection fails, ArgumentError for a node without a TCP endpoint.
        """
        check_type("node", node, (Node, Server), "a Node or a Server")
        if isinstance(node, Server):
            node = node.self
        endpoint = node.tcp_endpoint
        if endpoint is None:
            raise wrong("node", node, "a node with an address and a TCP port")
        sock = socket.create_connection((str(endpoint[0]), endpoint[1]), PATIENCE_S)
        return cls(sock, node.public_key, *protocols, **options)

    @property
    def node(self) -> Node:
        """The node that it is to the other end: its key, and the address of a TCP socket."""
        return Node.from_parts(self.key.public_key, *self._address)

    @property
    def remote_hello(self) -> Hello | None:
        """The hello of the other end; None before it is received."""
        return self._machine.remote_hello

    # the steps of a connection

    def shake_hands(self: R, timeout: float = PATIENCE_S) -> R:
        """Exchange auth and ack; no hello is sent yet. Returns itself, as :meth:`open` does.

        Raises AssertionError for any other input, and after ``timeout`` seconds.
        """
        self.flush()
        self._expect_event(IdentityKnown, "auth or ack", timeout)
        self.flush()
        return self

    def send_hello(self, payload: bytes | None = None) -> None:
        """Send the hello, or another ``payload`` instead."""
        self.send_frame(HELLO, encode_hello(self.hello) if payload is None else payload)
        # The other end expects compression from here on; an older hello of it switches it off.
        self._machine._snappy = self.hello.version >= SNAPPY_VERSION

    def expect_hello(self, timeout: float = PATIENCE_S) -> Hello:
        """Return the hello of the other end; messages may follow.

        Raises AssertionError for any other input, and after ``timeout`` seconds.
        """
        event = self._expect_event(HelloReceived, "hello", timeout)
        self._take(self._machine.accept_hello(0.0))
        return event.hello

    def open(self: R, timeout: float = PATIENCE_S) -> R:
        """Do the whole handshake, and return itself.

        On return it is a peer, or a refusal of the other end follows. Raises AssertionError for
        any other input, and after ``timeout`` seconds for each step.
        """
        self.shake_hands(timeout)
        self.send_hello()
        self.expect_hello(timeout)
        return self

    # output

    def write_msg(self, msg: Msg) -> None:
        """Send a message of the first protocol that both ends have; the code is not checked.

        Raises PeerDisconnected if the socket cannot be written to, and AssertionError if the other
        end does not read.
        """
        check_type("msg", msg, Msg, "a Msg, such as Msg(0, payload)")
        try:
            self.send_frame(BASE_LENGTH + msg.code, self._compressed(msg.payload))
        except (BrokenPipeError, ConnectionResetError) as error:
            raise PeerDisconnected(DiscReason.NETWORK_ERROR, True) from error

    def send_disconnect(self, reason: int = DiscReason.REQUESTED) -> None:
        """Send a Disconnect with ``reason``; the socket stays open."""
        payload = encode_disconnect(checked_reason(reason))
        self.send_frame(DISCONNECT, self._compressed(payload))

    def send_frame(self, code: int, data: bytes) -> None:
        """Send a frame with ``data`` unchanged, neither compressed nor checked.

        ``code`` is the code on the wire: protocols begin at 16.
        """
        self.send_raw(self.frame(code, data))

    def send_bad_mac(self, code: int = BASE_LENGTH, data: bytes = b"") -> None:
        """Send a frame with a wrong MAC: its last byte is changed."""
        frame = self.frame(code, data)
        self.send_raw(frame[:-1] + bytes([frame[-1] ^ 1]))

    def send_raw(self, data: bytes) -> None:
        """Send ``data`` unchanged.

        Raises AssertionError if the other end does not read within :data:`PATIENCE_S`.
        """
        data = bytes_of(data, "data")
        sock = self._open_socket()
        sock.settimeout(PATIENCE_S)
        try:
            sock.sendall(data)
        except TimeoutError:
            what = f"{len(data)} bytes were not sent within {PATIENCE_S:g} s"
            raise AssertionError(f"{what}: the other end does not read") from None

    def frame(self, code: int, data: bytes) -> bytes:
        """Return a frame with ``data`` unchanged; send it before the next frame.

        A pending pong precedes it. Raises ServerStateError before the handshake.
        """
        check_int("code", code, 0, math.inf, "an int from 0 up")
        data = bytes_of(data, "data")
        writer = self._machine._writer
        if writer is None:
            raise ServerStateError("frames need a handshake: call shake_hands() first")
        pending = self.pending()
        writer.write([(code, data)], bytes)
        return pending + b"".join(writer.take())

    def pending(self) -> bytes:
        """Return, and remove, the pending output of the machine, such as a pong."""
        return b"".join(self._machine.data_to_send())

    def flush(self) -> None:
        """Send the pending output of the machine."""
        self.send_raw(self.pending())

    # input

    def read_msg(self, timeout: float | None = PATIENCE_S) -> Msg:
        deadline = self._begin_wait(timeout)
        while not self._messages:
            if self._events:
                self._pass_event(self._events.popleft(), deadline)
            elif self._is_at_end:
                raise self._silent_end()
            else:
                self._receive(deadline)
        return Msg(*self._messages.popleft())

    def _next_event(self, timeout: float | None = PATIENCE_S) -> Event:
        """Return the next event of the machine except messages, which are kept.

        Raises AssertionError if the connection is closed before it, Timeout after ``timeout``
        seconds.
        """
        deadline = self._begin_wait(timeout)
        while not self._events:
            if self._is_at_end:
                raise AssertionError(str(self._silent_end()))
            self._receive(deadline)
        return self._events.popleft()

    def expect_closed(self, timeout: float = PATIENCE_S) -> bytes:
        """Wait for the end of the stream; return the raw bytes received before it.

        Raises AssertionError if the other end has not closed after ``timeout`` seconds.
        """
        timeout = nonnegative_timeout(timeout)
        deadline, received = self._begin_wait(timeout), bytearray()
        try:
            while not self._is_at_end:
                received += self._read(deadline)
        except Timeout:
            raise AssertionError(f"the connection was not closed within {timeout:g} s") from None
        return bytes(received)

    # closing

    @property
    def is_closed(self) -> bool:
        """Whether this end has closed its socket, or has read to the end of the stream."""
        return self._is_at_end or self.sock.fileno() < 0

    def close(self, reason: int = DiscReason.REQUESTED) -> None:
        """Send a Disconnect after the handshake, and close the socket. Harmless when closed."""
        try:
            if self._machine._writer is not None and self.sock.fileno() >= 0:
                self.send_disconnect(reason)
        except (OSError, AssertionError):  # the other end has closed, or does not read
            pass
        finally:
            self.sock.close()

    def reset(self) -> None:
        """Close the socket with a TCP reset. Harmless when closed."""
        if self.sock.fileno() < 0:
            return
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def __exit__(self, *exception: object) -> None:
        self.sock.close()

    # inside

    def _compressed(self, payload: bytes) -> bytes:
        """Return a payload as it is sent, compressed after the hellos that allow it."""
        return bytes(compress(payload)) if self._machine.compresses else payload

    def _open_socket(self) -> socket.socket:
        if self.sock.fileno() < 0:
            text = "this remote is closed, by close(), reset() or the end of its with block"
            raise PeerDisconnected(DiscReason.REQUESTED, False, text)
        return self.sock

    def _expect_event(self, kind: type[E], what: str, timeout: float) -> E:
        timeout = nonnegative_timeout(timeout)
        try:
            event = self._next_event(timeout)
        except Timeout:
            raise AssertionError(f"{what} did not come within {timeout:g} s") from None
        if not isinstance(event, kind):
            raise AssertionError(f"expected {what}; got {event}")
        return event

    def _receive(self, deadline: Deadline) -> None:
        """Pass input to the machine: its buffered bytes, or the next ones of the socket."""
        if self._machine.state is State.IDENTIFIED:  # whether it has sent its hello or not
            self._machine._enter(State.AWAIT_HELLO)
            self._take(self._machine._process(0.0))
        if not self._events:
            self._take(self._machine.receive_data(self._read(deadline), 0.0))

    def _begin_wait(self, timeout: float | None) -> Deadline:
        self._late_reads = 0
        return Deadline(checked_timeout(timeout))

    def _read(self, deadline: Deadline) -> bytes:
        """Read once from the socket and return the bytes, b"" at the end. Raises Timeout."""
        sock = self._open_socket()
        sock.settimeout(socket_timeout(deadline))
        self._late_reads += deadline.is_over
        try:
            if self._late_reads > _MAX_LATE_READS:
                raise TimeoutError
            data = sock.recv(_READ_BYTES)
        except (TimeoutError, BlockingIOError):
            raise Timeout("nothing was received in time") from None
        except ConnectionResetError:
            self._was_reset = True
            data = b""
        self._is_at_end = not data
        self.received_bytes += len(data)
        return data

    def _take(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, MessagesReceived):
                self._messages += [(code, payload) for code, payload, _ in event.messages]
            else:
                self._events.append(event)

    def _pass_event(self, event: Event, deadline: Deadline) -> None:
        """Handle an event between messages. Raises PeerDisconnected at an end."""
        if isinstance(event, HelloReceived):
            self._take(self._machine.accept_hello(0.0))
        elif isinstance(event, DisconnectReceived):
            while not self._is_at_end:
                self._read(deadline)
            raise PeerDisconnected(event.reason, by_remote=True)
        elif isinstance(event, ConnectionFailed):
            raise PeerDisconnected(event.error.disc_reason, False) from event.error

    @of_whole
    def __repr__(self) -> str:
        state = "closed" if self.is_closed else self._machine.state.value
        return f"<Remote {self.hello.name!r}, {state}>"

    def _silent_end(self) -> PeerDisconnected:
        how = "reset" if self._was_reset else "closed"
        text = f"the connection was {how} without a Disconnect"
        return PeerDisconnected(DiscReason.NETWORK_ERROR, True, text)


class RemoteListener:
    """An address on loopback for a server to dial a :class:`Remote`.

    ::

        with p2p.testing.RemoteListener() as listener:
            server.add_peer(listener.node)
            remote = listener.accept(protocol)
            remote.open()
    """

    #: Class of its remotes.
    remote: type[Remote] = Remote

    def __init__(self, key: PrivateKey | None = None) -> None:
        check_key("key", key)
        self.key = key or generate_key()
        self._sock = socket.create_server((_HOST, 0))
        #: The node to dial.
        self.node = Node.from_parts(self.key.public_key, *self._sock.getsockname())

    def accept(
        self, *protocols: Protocol, timeout: float = PATIENCE_S, **options: Any
    ) -> Remote:
        """Wait for the next connection and return its remote; nothing is sent yet.

        ``options`` are those of :class:`Remote`. Raises AssertionError after ``timeout`` seconds,
        ServerStateError when closed.
        """
        timeout = nonnegative_timeout(timeout)
        if self._sock.fileno() < 0:
            raise ServerStateError("the listener is closed")
        self._sock.settimeout(socket_timeout(Deadline(timeout)))
        try:
            sock, _ = self._sock.accept()
        except (TimeoutError, BlockingIOError):
            raise AssertionError(f"no connection within {timeout:g} s") from None
        return self.remote(sock, None, *protocols, **{"key": self.key, **options})

    @of_whole
    def __repr__(self) -> str:
        return f"<RemoteListener of {self.node}>"

    def close(self) -> None:
        """Stop listening. Remotes that it has returned stay open."""
        self._sock.close()

    def __enter__(self) -> RemoteListener:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
