"""Recording of a handshake of our own, by an observer of its connection.

Called on ``p2p-io``; the thread that reads the record waits until the connection has ended.
"""

from __future__ import annotations

from collections.abc import Sequence

from p2p.crypto import PrivateKey
from p2p.crypto.backend import Bytes
from p2p.discreason import DiscReason
from p2p.explain.handshake import HandshakeRecord
from p2p.observe import (
    ConnectionEvent,
    ConnectionObserver,
    ConnectionSetup,
    DisconnectReceived,
    Hello,
    HelloReceived,
    NewConnection,
    Observer,
    Secrets,
)

#: Bytes to keep of each direction after the handshake; a hello has 2 KiB at most.
_KEPT = 8192
#: Bytes of a private key.
_KEY_SIZE = 32


class HandshakeRecorder(Observer):
    """Observer that records the first connection of a server that dials."""

    def __init__(self) -> None:
        self._recording: _Recording | None = None

    def connection(self, new: NewConnection) -> ConnectionObserver | None:
        if self._recording is not None:
            return None
        self._recording = _Recording()
        return self._recording

    def record(self) -> HandshakeRecord | None:
        """Return the handshake; None if it has not come to the secrets."""
        return None if self._recording is None else self._recording.record()


class _Recording(ConnectionObserver):
    def __init__(self) -> None:
        self._setup: ConnectionSetup | None = None
        self._drawn = b""  # the ephemeral key and the nonce come first
        self._auth = self._ack = (b"", b"")
        self._secrets: Secrets | None = None
        self._sent = bytearray()
        self._received = bytearray()
        self._hello_out = b""
        self._hello_in: tuple[bytes, Hello] | None = None
        self._frames_in: list[tuple[int, bytes]] = []
        self._reason: DiscReason | None = None

    def setup(self, setup: ConnectionSetup) -> None:
        self._setup = setup

    def entropy(self, data: bytes) -> None:
        if len(self._drawn) < 2 * _KEY_SIZE:
            self._drawn += data

    def packet_out(self, packet: bytes, body: bytes, plain: bool) -> None:
        self._auth = packet, body

    def packet_in(self, packet: bytes, body: bytes, plain: bool) -> None:
        self._ack = packet, body

    def secrets(self, secrets: Secrets) -> None:
        self._secrets = secrets

    def data_out(self, buffers: Sequence[bytes]) -> None:
        if len(self._sent) < _KEPT:
            self._sent += b"".join(buffers)

    def data_in(self, data: Bytes, now: float) -> None:
        if len(self._received) < _KEPT:
            self._received += data

    def frames_out(self, frames: Sequence[tuple[int, Bytes]]) -> None:
        if not self._hello_out:
            self._hello_out = bytes(frames[0][1])

    def frames_in(self, frames: Sequence[tuple[int, Bytes]]) -> None:
        if not self._frames_in:
            self._frames_in = [(code, bytes(data)) for code, data in frames[:1]]

    def events(self, events: Sequence[ConnectionEvent]) -> None:
        for event in events:
            if isinstance(event, HelloReceived):
                self._hello_in = self._frames_in[0][1], event.hello
            elif isinstance(event, DisconnectReceived) and self._reason is None:
                self._reason = event.reason

    def record(self) -> HandshakeRecord | None:
        if self._setup is None or self._secrets is None:
            return None
        auth, ack = self._auth[0], self._ack[0]
        key = self._drawn[:_KEY_SIZE]
        return HandshakeRecord(
            key=self._setup.private_key,
            ephemeral=PrivateKey.from_bytes(key),
            nonce=self._drawn[_KEY_SIZE : 2 * _KEY_SIZE],
            remote=self._secrets.remote,
            auth=auth,
            auth_body=self._auth[1],
            ack=ack,
            ack_body=self._ack[1],
            sent=bytes(self._sent[len(auth) :]),
            received=bytes(self._received[len(ack) :]),
            hello=(self._hello_out, self._setup.hello) if self._hello_out else None,
            remote_hello=self._hello_in,
            reason=self._reason,
        )
