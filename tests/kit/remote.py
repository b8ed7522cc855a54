"""The remote by script of :mod:`p2p.testing`, with what the suite alone needs.

It speaks "test" unless it is told otherwise, takes raw payloads, and may announce what no
:class:`p2p.Protocol` can be named.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from p2p import Cap, DiscReason, Msg, PeerDisconnected, PrivateKey, Protocol, PublicKey, Server
from p2p.clock import Deadline
from p2p.net import family_of, sockaddr_of
from p2p.rlpx import BASE_LENGTH, ConnectionFailed, State
from p2p.rlpx.connection import Connection
from p2p.rlpx.messages import DISCONNECT
from p2p.testing import remote as public
from tests.kit.waiting import PATIENCE_S

TEST = Cap("test", 1)
LENGTH = 16
#: The code on the wire of the first message of "test", when it is the only protocol.
FIRST_CODE = BASE_LENGTH


class Remote(public.Remote):
    """One end of a connection. ``length`` is that of each protocol; ``node_key`` is for hello."""

    def __init__(
        self,
        sock: socket.socket,
        to: PublicKey | None = None,
        *,
        key: PrivateKey | None = None,
        caps: Sequence[tuple[str, int]] = (TEST,),
        name: str = "remote",
        version: int = 5,
        length: int = LENGTH,
        node_key: bytes | None = None,
    ) -> None:
        named = [cap for cap in caps if cap[0].isprintable()]
        protocols = [Protocol(*cap, length) for cap in named]
        super().__init__(sock, to, *protocols, key=key, caps=caps, name=name, version=version)
        if node_key is not None:
            self.hello = replace(self.hello, node_key=node_key)
        self._has_said_hello = False

    @classmethod
    def dial(cls, server: Server, **options: Any) -> Remote:  # type: ignore[override]
        """Connect to ``server``; nothing is sent yet."""
        return cls(connect(server), server.config.private_key.public_key, **options)

    @property
    def machine(self) -> Connection:
        """The connection machine."""
        return self._machine

    @property
    def messages(self) -> deque[tuple[int, bytes]]:
        """Messages that have come and were not read."""
        return self._messages

    def send_hello(self, payload: bytes | None = None) -> None:
        self._has_said_hello = True
        super().send_hello(payload)

    def send_payload(self, code: int, payload: bytes = b"\xc0") -> None:
        """Send a message of the first protocol."""
        self.write_msg(Msg(code, payload))

    def send_payloads(self, *messages: tuple[int, bytes]) -> None:
        """Send messages of the first protocol in one go."""
        self.machine.send_messages([(FIRST_CODE + code, payload) for code, payload in messages])
        self.flush()

    def say_disconnect(self, payload: bytes) -> None:
        self.send_frame(DISCONNECT, payload)

    def receive(self) -> None:
        """Read once from the socket."""
        assert not self.is_closed, "the connection was closed"
        self._receive(Deadline(PATIENCE_S))

    def next_message(self) -> tuple[int, bytes]:
        """The next message, as (code, payload)."""
        msg = self.read_msg()
        return msg.code, msg.payload

    def await_failure(self) -> ConnectionFailed:
        return self._expect_event(ConnectionFailed, "a failure", PATIENCE_S)

    def ending(self, silent: bool = False) -> DiscReason | None:
        """Read to the end and close: the server's reason, or None if it closed without a word.

        A hello that was not sent yet goes out before, unless ``silent``. Messages that come are
        kept in ``messages``.
        """
        if not silent and self.machine.state is State.IDENTIFIED and not self._has_said_hello:
            self.send_hello()
        reason = self._read_to_end()
        with suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)
        return reason

    def disconnect_reason(self) -> DiscReason:
        """The reason in the server's Disconnect, which is the last thing it says."""
        reason = self._read_to_end()
        assert reason is not None, "the connection was closed without a word"
        return reason

    def _read_to_end(self) -> DiscReason | None:
        kept = []
        try:
            while True:
                kept.append(self.next_message())
        except PeerDisconnected as error:
            ended = error
        self._messages.extend(kept)
        assert self.machine.error is None, self.machine.error
        return ended.reason if self.machine.state is State.CLOSED else None


class RemoteListener(public.RemoteListener):
    """Where a server can dial a :class:`Remote`."""

    remote = Remote


def connect(server: Server, receive_buffer: int = 0) -> socket.socket:
    """A TCP connection to ``server``, with a small receive buffer if one is given in bytes."""
    assert server.listen_addr is not None
    sock = socket.socket(family_of(server.listen_addr))
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.settimeout(PATIENCE_S)
    sock.connect(sockaddr_of(server.listen_addr))
    return sock
