"""Messages of a captured connection: from the frames of both ends to messages with names.

Pure. It owns what the hellos of both ends decide: compression, and the codes of the protocols. As
long as a hello is missing, because the capture begins later, messages are taken for compressed and
the given protocols for shared ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

from p2p.errors import CompressionError, P2PError
from p2p.eth.versions import ETH69, ETH70, ETH71, ETH72, SNAP1, SNAP2
from p2p.rlpx.capability import BASE_LENGTH, Cap
from p2p.rlpx.messages import (
    DISCONNECT,
    HELLO,
    PING,
    PONG,
    SNAPPY_VERSION,
    Hello,
    decode_disconnect,
    decode_hello,
    open_disconnect,
)
from p2p.rlpx.snappy import decompress

_BASE_NAMES = {HELLO: "Hello", DISCONNECT: "Disconnect", PING: "Ping", PONG: "Pong"}


@runtime_checkable
class MessageDecoder(Protocol):
    """The messages of one version of a protocol; :class:`p2p.messages.Messages` is one."""

    @property
    def name(self) -> str:
        """Name of the capability."""

    @property
    def version(self) -> int:
        """Version of the capability."""

    @property
    def length(self) -> int:
        """Number of message codes."""

    def name_of(self, code: int) -> str:
        """Return the name of the message with a code, or the code as text."""

    def decode(self, code: int, payload: bytes) -> object:
        """Return the message of a payload. Raises P2PError if it is invalid."""


class Decoded(NamedTuple):
    """A message without its packet: the fields are those of :class:`MessageSeen`."""

    cap: Cap | None
    code: int
    wire_code: int
    name: str
    payload: bytes
    value: object
    error: str


@dataclass
class Side:
    """One end of a connection, with its hello if it was seen."""

    hello: Hello | None = None


class _Codes(NamedTuple):
    """A protocol of a connection; ``length`` is None if it is not known."""

    cap: Cap
    offset: int
    length: int | None


#: Protocols that need not be given.
KNOWN: tuple[MessageDecoder, ...] = (ETH69, ETH70, ETH71, ETH72, SNAP1, SNAP2)


class MessageReader:
    """The reader of the messages of one connection; ``decoders`` are those of given protocols."""

    def __init__(self, decoders: Sequence[MessageDecoder]) -> None:
        self._given = [Cap(one.name, one.version) for one in decoders]
        self._decoders = {Cap(one.name, one.version): one for one in (*KNOWN, *decoders)}
        self._sides = (Side(), Side())
        self._codes: list[_Codes] | None = None

    def read(self, side: int, wire_code: int, data: bytes) -> Decoded:
        """Read a frame's message of one side, 0 or 1; the hello of each must come first."""
        if wire_code == HELLO:
            return self._read_hello(side, data)
        payload, error = self._decompress(data)
        if wire_code < BASE_LENGTH:
            return self._read_base(wire_code, data, payload, error)
        found = self._find(wire_code)
        if found is None:
            return Decoded(None, wire_code, wire_code, _hex(wire_code), payload, None, error)
        code = wire_code - found.offset
        decoder = self._decoders.get(found.cap)
        if decoder is None:
            return Decoded(found.cap, code, wire_code, _hex(code), payload, None, error)
        value: object = None
        if not error:
            try:
                value = decoder.decode(code, payload)
            except P2PError as failure:
                error = str(failure)
        return Decoded(found.cap, code, wire_code, decoder.name_of(code), payload, value, error)

    def _read_hello(self, side: int, data: bytes) -> Decoded:
        value, error = None, ""
        try:
            value = decode_hello(data)
        except P2PError as failure:
            error = str(failure)
        if self._sides[side].hello is None:
            self._sides[side].hello = value
            self._codes = None
        return Decoded(None, HELLO, HELLO, _BASE_NAMES[HELLO], data, value, error)

    def _read_base(self, code: int, data: bytes, payload: bytes, error: str) -> Decoded:
        value: object = None
        if code == DISCONNECT:
            read: Any = open_disconnect if self._compresses() else decode_disconnect
            value, error = read(data), ""
        name = _BASE_NAMES.get(code, _hex(code))
        return Decoded(None, code, code, name, payload, value, error)

    def _decompress(self, data: bytes) -> tuple[bytes, str]:
        """Return the payload; the data themselves and the reason if they cannot be opened."""
        if not self._compresses():
            return data, ""
        try:
            return decompress(data), ""
        except CompressionError as failure:
            return data, str(failure)

    def _compresses(self) -> bool:
        """Whether the ends compress: both have version 5, as far as it is known."""
        hellos = [one.hello for one in self._sides if one.hello is not None]
        return all(hello.version >= SNAPPY_VERSION for hello in hellos)

    def _find(self, wire_code: int) -> _Codes | None:
        if self._codes is None:
            self._codes = list(self._shared())
        for one in reversed(self._codes):
            if wire_code >= one.offset:
                is_in = one.length is None or wire_code < one.offset + one.length
                return one if is_in else None
        return None

    def _shared(self) -> Iterable[_Codes]:
        """The protocols in the order of their codes, up to the first of unknown length."""
        ours, theirs = (side.hello for side in self._sides)
        caps: Iterable[Cap] = self._given
        if ours is not None and theirs is not None:
            caps = set(ours.caps) & set(theirs.caps)
        best = {cap.name: cap for cap in sorted(caps)}
        offset = BASE_LENGTH
        for name in sorted(best):
            decoder = self._decoders.get(best[name])
            yield _Codes(best[name], offset, None if decoder is None else decoder.length)
            if decoder is None:
                return
            offset += decoder.length


def _hex(code: int) -> str:
    return f"0x{code:02x}"
