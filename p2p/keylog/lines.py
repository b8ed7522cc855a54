"""The lines of a key log: one for each connection and each session of discovery v5.

Pure. Text in ASCII, fields separated by single spaces, numbers as hex digits; lines that are empty,
that begin with ``#`` or that have another first field are ignored, as in an SSLKEYLOGFILE::

    RLPX    connection 32 || aes 32 || mac 32 || initiator's nonce 32 || recipient's nonce 32
    DISCV5  initiator's node ID 32 || recipient's node ID 32
            || initiator's key 16 || recipient's key 16

``connection`` is the x coordinate of the ephemeral key in the ECIES envelope of the auth packet: 32
random bytes that are readable in a capture, as the client random of TLS. Both ends of a connection
or session log the same line. ``aes`` decrypts the frames of both directions; ``mac``, the nonces
and the packets of the handshake make the MAC states (rlpx.md, "MAC"). The keys of discovery v5 are
those of AES-128-GCM for messages of the initiator and of the recipient (discv5-theory, "Sessions").
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

from p2p.enode.nodeid import NodeID
from p2p.errors import DecodeError

#: Longest line that is read; the longest valid one has 329 characters.
MAX_LINE_SIZE = 1024
_RLPX, _DISCV5 = "RLPX", "DISCV5"
_FIELD_SIZES = {_RLPX: (32,) * 5, _DISCV5: (32, 32, 16, 16)}
_UNCOMPRESSED = 0x04


class ConnectionKeys(NamedTuple):
    """Secrets of one RLPx connection; ``connection`` identifies it."""

    connection: bytes
    aes: bytes
    mac: bytes
    initiator_nonce: bytes
    recipient_nonce: bytes

    @property
    def line(self) -> str:
        """The line of a key log, without its end."""
        return " ".join((_RLPX, *(value.hex() for value in self)))


class SessionKeys(NamedTuple):
    """Keys of one session of discovery v5, with the node IDs of its ends."""

    initiator: NodeID
    recipient: NodeID
    initiator_key: bytes
    recipient_key: bytes

    @property
    def line(self) -> str:
        """The line of a key log, without its end."""
        return " ".join((_DISCV5, *(bytes(value).hex() for value in self)))


Keys: TypeAlias = ConnectionKeys | SessionKeys


def connection_of(packet: bytes) -> list[bytes]:
    """Return the values that may identify the connection that begins with ``packet``, an auth.

    The first is for a packet of EIP-8, which begins with its size, the other for one from before.
    """
    found = []
    for start in (2, 0):
        if len(packet) >= start + 33 and packet[start] == _UNCOMPRESSED:
            found.append(packet[start + 1 : start + 33])
    return found


def connection_id(packet: bytes) -> bytes:
    """Return the value that identifies the connection with this complete auth packet."""
    is_eip8 = int.from_bytes(packet[:2], "big") == len(packet) - 2
    return packet[3:35] if is_eip8 else packet[1:33]


def parse_line(line: str) -> Keys | None:
    """Read a line. Returns None for a line to be ignored.

    Raises DecodeError for a line of ours that is broken; its text does not repeat the line.
    """
    kind, *digits = line[:MAX_LINE_SIZE].split() or [""]
    sizes = _FIELD_SIZES.get(kind)
    if sizes is None:
        return None
    try:
        values = [bytes.fromhex(text) for text in digits]
    except ValueError:
        raise DecodeError(f"{kind} line has a field that is not hex digits") from None
    if tuple(map(len, values)) != sizes:
        wanted = ", ".join(map(str, sizes))
        raise DecodeError(f"{kind} line has fields of other sizes than {wanted} bytes")
    if kind == _RLPX:
        return ConnectionKeys(*values)
    return SessionKeys(NodeID(values[0]), NodeID(values[1]), values[2], values[3])


def parse_lines(lines: Iterable[str], first: int = 1) -> Iterable[Keys]:
    """Read lines of a key log, from number ``first`` on.

    Raises DecodeError with the number of a broken line.
    """
    for number, line in enumerate(lines, first):
        try:
            keys = parse_line(line)
        except DecodeError as error:
            raise DecodeError(f"line {number}: {error}") from None
        if keys is not None:
            yield keys
