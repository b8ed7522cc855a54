"""Messages of the base protocol "p2p": hello, disconnect, ping, pong (rlpx.md, '"p2p" Capability').

Pure. Payloads, before compression::

    hello       [version, client name, [[capability name, version], ...], port, node key 64, ...]
    disconnect  [reason], a bare integer, or nothing at all: senders differ, all forms are accepted
    ping, pong  []
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from p2p.codec import decode_fields, encode, split_uint
from p2p.crypto.backend import Bytes
from p2p.errors import CompressionError, DecodeError, DiscReason, HelloError, InvalidIdentity
from p2p.rlpx.capability import Cap
from p2p.rlpx.snappy import decompress

HELLO, DISCONNECT, PING, PONG = 0x00, 0x01, 0x02, 0x03

#: The version of the base protocol that we send.
VERSION = 5
#: Messages are compressed when both ends send this version or a later one (EIP-706).
SNAPPY_VERSION = 5
#: The largest hello that is read, in bytes of payload.
MAX_HELLO_SIZE = 2048
NODE_KEY_SIZE = 64
_MAX_UINT64 = 2**64 - 1
#: Number of bytes of a Disconnect that are read; a valid one is much shorter.
MAX_DISCONNECT_SIZE = 100
#: A reason is one byte.
MAX_REASON = 0xFF

EMPTY = b"\xc0"

_HELLO_FIELDS = (int, bytes, list[tuple[bytes, int]], int, bytes)


@dataclass(frozen=True)
class Hello:
    """A hello. ``node_key`` is the 64-byte public key; ``name`` is not escaped."""

    version: int
    name: str
    caps: Sequence[Cap]
    listen_port: int
    node_key: bytes

    @cached_property
    def payload(self) -> bytes:
        """The encoded hello, cached: a server sends the same to all remotes."""
        caps = [[cap.name, cap.version] for cap in self.caps]
        return encode([self.version, self.name, caps, self.listen_port, self.node_key])


def encode_hello(hello: Hello) -> bytes:
    """Return the payload of a hello."""
    return hello.payload


def decode_hello(payload: Bytes) -> Hello:
    """Read a hello; further fields are ignored. Raises HelloError or InvalidIdentity."""
    if len(payload) > MAX_HELLO_SIZE:
        raise HelloError(f"hello of {len(payload)} bytes, limit is {MAX_HELLO_SIZE}")
    data = bytes(payload)
    try:
        fields, end = decode_fields(data, _HELLO_FIELDS)
    except DecodeError as error:
        raise HelloError("hello is malformed") from error
    version, name, caps, port, key = fields
    if end != len(data):
        raise HelloError("hello is followed by other data")
    if max(version, port, *(number for _, number in caps)) > _MAX_UINT64:
        raise HelloError("hello has an integer of more than 64 bits")
    if len(key) != NODE_KEY_SIZE or not any(key):
        raise InvalidIdentity("hello has no node key of 64 bytes")
    return Hello(version, _text(name), [Cap(_text(n), v) for n, v in caps], port, key)


def encode_disconnect(reason: int) -> bytes:
    """Return the payload of a Disconnect."""
    return encode([int(reason)])


def decode_disconnect(payload: Bytes) -> DiscReason:
    """Read a Disconnect in any form. Returns INVALID if there is no valid reason in it."""
    data = bytes(payload[:MAX_DISCONNECT_SIZE])
    if data in (b"", EMPTY):
        return DiscReason.REQUESTED
    try:
        if data[0] >= 0xC0:
            (number,), _end = decode_fields(data, (int,))
        else:
            number = 0 if data == b"\0" else split_uint(data)[0]
    except DecodeError:
        return DiscReason.INVALID
    return DiscReason(number) if number <= MAX_REASON else DiscReason.INVALID


def open_disconnect(data: Bytes) -> DiscReason:
    """Read a Disconnect on a connection with compression.

    go-ethereum compresses it, @ethereumjs/devp2p does not.
    """
    try:
        return decode_disconnect(decompress(data))
    except CompressionError:
        return decode_disconnect(data)


def _text(raw: bytes) -> str:
    """Decode a name, ASCII by the specification; bytes that are not UTF-8 are escaped."""
    return raw.decode("utf-8", errors="backslashreplace")
