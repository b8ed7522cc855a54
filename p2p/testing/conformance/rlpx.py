"""Cases of RLPx and its base protocol (rlpx.md; EIP-8, EIP-706).

A case dials the node with a new key. It offers one capability of the node's own hello, so that the
node keeps the connection; what the node says in that protocol is not read. A case blocks its
thread.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from p2p.clock import Deadline
from p2p.codec import decode, encode
from p2p.crypto import PrivateKey, encrypt
from p2p.crypto.backend import Bytes
from p2p.discreason import DiscReason
from p2p.enode import generate_key
from p2p.errors import PeerDisconnected, Timeout
from p2p.protocol import Protocol
from p2p.rlpx import BASE_LENGTH, ConnectionFailed, DisconnectReceived, Hello
from p2p.rlpx.messages import (
    EMPTY,
    HELLO,
    PING,
    PONG,
    encode_disconnect,
    encode_hello,
)
from p2p.rlpx.observer import ConnectionObserver
from p2p.rlpx.snappy import compress
from p2p.testing.conformance.case import CaseList, Skip, Target
from p2p.testing.remote import Remote

#: Codes to reserve for the offered capability, more than any protocol has.
_LENGTH = 4096
#: Disconnect reasons of a node that has understood the hello.
_UNDERSTOOD = (
    DiscReason.USELESS_PEER,
    DiscReason.TOO_MANY_PEERS,
    DiscReason.ALREADY_CONNECTED,
    DiscReason.REQUESTED,
)

case = CaseList("rlpx.md")
cases = case.cases


class _Frames(ConnectionObserver):
    """The frames of the base protocol received and not read yet, by code."""

    def __init__(self) -> None:
        self.waiting: dict[int, bytes] = {}

    def frames_in(self, frames: Sequence[tuple[int, Bytes]]) -> None:
        self.waiting |= {code: bytes(data) for code, data in frames if code < BASE_LENGTH}


class _Dialed(Remote):
    """A connection to the target, with the frames that it sends."""

    _frames: _Frames

    def watch(self) -> _Dialed:
        self._frames = _Frames()
        self._machine._observer = self._frames
        return self

    def await_frame(self, wanted: int, timeout: float) -> bytes:
        """Return the data of a frame of the base protocol; frames of others are skipped."""
        deadline, waiting = Deadline(timeout), self._frames.waiting
        while wanted not in waiting:
            waiting.clear()
            self._fail_on_events()
            try:
                self._receive(deadline)
            except Timeout:
                raise AssertionError(f"message {wanted} did not come in {timeout:g} s") from None
            self._messages.clear()
            if deadline.is_over and wanted not in waiting:  # it may send others without end
                raise AssertionError(f"message {wanted} did not come in {timeout:g} s")
            if self._is_at_end and wanted not in waiting:
                self._fail_on_events()
                raise AssertionError(f"the connection was closed without message {wanted}")
        return waiting.pop(wanted)

    def await_end(self, timeout: float) -> DiscReason | None:
        """Wait until the target ends the connection; return its reason, None without one."""
        deadline, reason = Deadline(timeout), None
        try:
            while not self._is_at_end:
                while self._events:
                    event = self._events.popleft()
                    if isinstance(event, DisconnectReceived):
                        reason = event.reason
                self._messages.clear()
                self._receive(deadline)
                if deadline.is_over and not (self._events or self._is_at_end):
                    break  # it may send messages without end
        except Timeout:
            pass
        if reason is None and not self._is_at_end:
            raise AssertionError(f"the connection was still open after {timeout:g} s")
        return reason

    def _fail_on_events(self) -> None:
        while self._events:
            event = self._events.popleft()
            if isinstance(event, DisconnectReceived):
                raise AssertionError(f"the target sent a Disconnect: {event.reason!r}")
            if isinstance(event, ConnectionFailed):
                raise AssertionError(f"the target broke the protocol: {event.error}")

    def encode_auth(self, items: Sequence[object], padding: bytes) -> None:
        """Replace the auth that is sent next: ``items`` and ``padding`` are its body."""
        exchange, remote = self._machine._exchange, self._machine.remote
        assert exchange is not None and remote is not None
        body = encode(list(items)) + padding
        prefix = (len(body) + 113).to_bytes(2, "big")
        key = PrivateKey.generate(os.urandom)
        sealed = encrypt(remote, body, prefix, key, os.urandom(16))
        exchange.replace_auth(prefix + sealed)

    @property
    def auth_items(self) -> list[bytes]:
        """Items of the body of the auth."""
        exchange = self._machine._exchange
        assert exchange is not None
        items: list[bytes] = decode(exchange.auth_body)
        return items


def _dial(target: Target, *protocols: Protocol, version: int = 5) -> _Dialed:
    return _Dialed.dial(target.node, *protocols, name="p2p conformance", version=version).watch()


def _hello_of(target: Target) -> Hello:
    with _dial(target) as remote:
        remote.shake_hands(target.answer_s)
        remote.send_hello()
        return remote.expect_hello(target.answer_s)


def _protocols(target: Target) -> list[Protocol]:
    """Return the newest version of the first capability of the target, if it has any."""
    caps = sorted(_hello_of(target).caps)
    if not caps:
        return []
    newest = max(cap for cap in caps if cap.name == caps[0].name)
    return [Protocol(newest.name, newest.version, _LENGTH)]


def _open(target: Target, version: int = 5) -> _Dialed:
    """Return a connection after both hellos."""
    protocols = _protocols(target)
    if not protocols:
        raise Skip("the node has no capability, and so keeps no connection")
    remote = _dial(target, *protocols, version=version)
    try:
        return remote.open(target.answer_s)
    except BaseException:
        remote.sock.close()
        raise


def _check_understood(remote: _Dialed, target: Target) -> None:
    """Check that the target has read our hello: it answers a ping, or leaves for a fit reason."""
    remote.send_frame(PING, remote._compressed(EMPTY))
    try:
        remote.await_frame(PONG, target.answer_s)
    except AssertionError as error:
        if not any(repr(reason) in str(error) for reason in _UNDERSTOOD):
            raise


# Initial Handshake


@case("Initial Handshake", "A node answers an auth with an ack, and sends a Hello.")
def handshake(target: Target) -> None:
    hello = _hello_of(target)
    assert hello.node_key == target.node.public_key.to_bytes(), "the Hello names another node"
    assert hello.version >= 4, f"version {hello.version} of the base protocol"


@case("Initial Handshake", "Additional list elements of the auth are ignored.")
def auth_with_more_items(target: Target) -> None:
    with _dial(target) as remote:
        remote.encode_auth([*remote.auth_items, b"more", [b"and", b"more"]], bytes(150))
        remote.shake_hands(target.answer_s)


@case("Initial Handshake", "A mismatch of auth-vsn is ignored.")
def auth_with_another_version(target: Target) -> None:
    with _dial(target) as remote:
        remote.encode_auth([*remote.auth_items[:3], 56], bytes(150))
        remote.shake_hands(target.answer_s)


@case("Initial Handshake", "The padding of the auth is arbitrary data.")
def auth_with_random_padding(target: Target) -> None:
    with _dial(target) as remote:
        remote.encode_auth(remote.auth_items, os.urandom(299))
        remote.shake_hands(target.answer_s)


@case("Initial Handshake", "An auth may arrive in parts of any size.")
def auth_byte_by_byte(target: Target) -> None:
    with _dial(target) as remote:
        for byte in remote.pending():
            remote.send_raw(bytes([byte]))
        remote.shake_hands(target.answer_s)


@case("ECIES Encryption", "An auth with a wrong MAC is refused.")
def auth_with_a_wrong_mac(target: Target) -> None:
    with _dial(target) as remote:
        auth = remote.pending()
        remote.send_raw(auth[:-1] + bytes([auth[-1] ^ 1]))
        _expect_silence(remote, target)


@case("ECIES Encryption", "An auth for another key is refused.")
def auth_for_another_node(target: Target) -> None:
    with _dial(target) as remote:
        remote._machine.remote = generate_key().public_key
        remote.encode_auth(remote.auth_items, bytes(150))
        remote.flush()
        _expect_silence(remote, target)


def _expect_silence(remote: _Dialed, target: Target) -> None:
    """Expect no ack, until the target closes or answers have had their time."""
    try:
        received = remote.expect_closed(target.answer_s)
    except AssertionError:
        received = b""  # it waits for more
    assert not received, f"the target answered with {len(received)} bytes"


# Hello


@case("Hello", "Additional list elements of the Hello are ignored.")
def hello_with_more_items(target: Target) -> None:
    with _dial(target, *_protocols(target)) as remote:
        remote.shake_hands(target.answer_s)
        items = decode(encode_hello(remote.hello))
        remote.send_hello(encode([*items, b"more", [b"and", b"more"]]))
        remote.expect_hello(target.answer_s)
        _check_understood(remote, target)


@case('"p2p" Capability', "A higher version of the base protocol is ignored.")
def hello_with_a_higher_version(target: Target) -> None:
    with _dial(target, *_protocols(target), version=99) as remote:
        remote.open(target.answer_s)
        _check_understood(remote, target)


@case("Version 5 (EIP-706)", "With a peer of version 4, messages are not compressed.")
def hello_with_version_4(target: Target) -> None:
    with _open(target, version=4) as remote:
        remote.send_frame(PING, EMPTY)
        pong = remote.await_frame(PONG, target.answer_s)
        assert pong == EMPTY, f"the Pong has {pong.hex()}, not {EMPTY.hex()}"


@case("Hello", "No other message may be sent before the Hello.")
def ping_before_hello(target: Target) -> None:
    with _dial(target) as remote:
        remote.shake_hands(target.answer_s)
        remote.send_frame(PING, EMPTY)
        remote.await_end(target.answer_s)


@case("Hello", "The Hello is sent once.")
def second_hello(target: Target) -> None:
    with _open(target) as remote:
        remote.send_frame(HELLO, remote._compressed(encode_hello(remote.hello)))
        remote.await_end(target.answer_s)


@case("Hello", "The node key of the Hello is that of the handshake.")
def hello_of_another_node(target: Target) -> None:
    with _dial(target, *_protocols(target)) as remote:
        remote.shake_hands(target.answer_s)
        items = decode(encode_hello(remote.hello))
        items[4] = generate_key().public_key.to_bytes()
        remote.send_hello(encode(items))
        reason = remote.await_end(target.answer_s)
        assert reason in (None, DiscReason.UNEXPECTED_IDENTITY, DiscReason.PROTOCOL_ERROR), (
            f"the target left with {reason!r}"
        )


@case("Hello", "A Hello that is no RLP list ends the connection.")
def malformed_hello(target: Target) -> None:
    with _dial(target) as remote:
        remote.shake_hands(target.answer_s)
        remote.send_hello(b"\xf8\x01")
        remote.await_end(target.answer_s)


# Framing


@case("MAC", "A frame with a wrong MAC ends the connection.")
def frame_with_a_wrong_mac(target: Target) -> None:
    with _open(target) as remote:
        remote.send_bad_mac(PING, remote._compressed(EMPTY))
        remote.await_end(target.answer_s)


@case("MAC", "A header with a wrong MAC ends the connection.")
def header_with_a_wrong_mac(target: Target) -> None:
    with _open(target) as remote:
        frame = bytearray(remote.frame(PING, remote._compressed(EMPTY)))
        frame[16] ^= 1
        remote.send_raw(bytes(frame))
        remote.await_end(target.answer_s)


@case("Framing", "A frame may arrive in parts of any size.")
def frame_byte_by_byte(target: Target) -> None:
    with _open(target) as remote:
        for byte in remote.frame(PING, remote._compressed(EMPTY)):
            remote.send_raw(bytes([byte]))
        remote.await_frame(PONG, target.answer_s)


# Messages


@case("Ping", "A Ping is answered by a Pong.")
def ping(target: Target) -> None:
    with _open(target) as remote:
        remote.send_frame(PING, remote._compressed(EMPTY))
        remote.await_frame(PONG, target.answer_s)


@case("Disconnect", "A peer that receives a Disconnect disconnects.")
def disconnect(target: Target) -> None:
    with _open(target) as remote:
        remote.send_frame(1, remote._compressed(encode_disconnect(DiscReason.REQUESTED)))
        remote.await_end(target.answer_s)


@case("Message Encoding", "A message that is no snappy block ends the connection.")
def message_that_is_not_compressed(target: Target) -> None:
    with _open(target) as remote:
        remote.send_frame(BASE_LENGTH, b"\xff" * 20)
        remote.await_end(target.answer_s)


@case("Message Encoding", "A message of more than 16 MiB uncompressed ends the connection.")
def message_too_large(target: Target) -> None:
    with _open(target) as remote:
        block = bytes(compress(bytes((1 << 24) + 1)))
        try:
            remote.send_frame(BASE_LENGTH, block)
        except PeerDisconnected:
            pass  # it has closed already
        remote.await_end(target.answer_s)
